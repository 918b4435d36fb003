"""Backs a MongoDB up: a dump in mongodump's own layout, and slices of the oplog that go on from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import Timestamp

from tasks.core.backup import Order, Parent, Sink, Taken
from tasks.core.errors import ConfigError, Garbled, PermanentError
from tasks.core.system import Access
from tasks.systems.mongodb.connection import Blocking, blocking
from tasks.systems.mongodb.dump import Dump, dump, without_users
from tasks.systems.mongodb.layout import FOLDER, OPLOG
from tasks.systems.mongodb.oplog import clock, must_hold, newest, oldest, read_position, read_slice, written
from tasks.systems.mongodb.spec import Plan, Spec
from tasks.systems.mongodb.tool import PROGRAM, Tool

_SECONDS = 20.0


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Write a dump of every database but `local` and `config`, or a slice of the oplog.

    Users and roles are in `dump/admin/`, as mongodump has them, where the server shows their collections; else a
    warning says so. Views have metadata alone. A slice is one part, `dump/oplog.bson`.

    Raises:
        ConfigError: There is no dump that a slice could go on from, or a database of the plan is not there.
        PermanentError: The oplog no longer holds what a slice must begin with.
        Denied: The user may not do what `grant-backup.js` grants.
        WatchkeeperError: As the server says.
    """
    uri = access.resolver.resolve(spec.backup_uri or spec.uri)
    with blocking(uri, seconds=_SECONDS, ca_bundle=access.ca_bundle) as client:
        if order.method == "oplog":
            return _slice(client, sink, order)
        return _logical(client, access, sink, spec)


def _logical(client: Blocking, access: Access, sink: Sink, spec: Spec) -> Taken:
    plan = spec.backup or Plan(to=("-",))
    began, hello = access.now(), client.admin.command("hello")
    version = str(client.server_info()["version"])
    uri = access.resolver.resolve(spec.backup_uri or spec.uri)
    tool = Tool.found(uri, access.ca_bundle) if plan.tool == PROGRAM else None
    copy = dump(client, sink, plan.databases, tool)
    if missing := sorted(set(plan.databases) - set(copy.found)):
        raise ConfigError(f"there is no database {missing[0]}", hint="correct backup.databases")
    moment, start = copy.moment, copy.start
    details: dict[str, Any] = {"databases": sorted(copy.found), "consistency": copy.consistency}
    if copy.changed:
        details["changed"] = copy.changed
    return Taken(
        method="logical",
        consistent_as_of=began if moment is None else clock(moment),
        server_version=version,
        tools={"pymongo": pymongo.version} | ({} if tool is None else {PROGRAM: tool.version}),
        position={"oplog": written(moment), "from": written(start)} if moment and start else {},
        counts=copy.counts,
        details=details | _set_of(hello),
        warnings=_warnings(client, copy, plan),
        source_bytes=copy.total,
    )


def _warnings(client: Blocking, copy: Dump, plan: Plan) -> tuple[str, ...]:
    told = list(without_users(client, copy)) if not plan.databases else []
    if copy.consistency == "none":
        told.append(
            "its collections are not of one moment: the server has no oplog, as it is in no replica set, or a router"
        )
    return tuple(told)


def _slice(client: Blocking, sink: Sink, order: Order) -> Taken:
    """Write what happened since the last slice, or since the dump."""
    if order.base is None:
        raise ConfigError("there is no dump to go on from", hint="take a backup by the method `logical` first")
    hello = client.admin.command("hello")
    first, end = oldest(client), newest(client)
    start, parents, warnings = _begin(order.base, order.parent, first)
    must_hold(first, start)
    if end is None or order.base.taken.details.get("set", hello.get("setName")) != hello.get("setName"):
        raise ConfigError("the dump is of another replica set", hint="take a new one by the method `logical`")
    if end < start:
        raise PermanentError(
            f"the oplog ends before {clock(start):%Y-%m-%d %H:%M:%S} UTC, where the last slice ended",
            hint="the server was set back: take a new backup by the method `logical`",
        )
    count = size = 0
    with sink.part(OPLOG) as writer:
        for batch, entries in read_slice(client, start, end):
            writer.write(batch)
            count, size = count + entries, size + len(batch)
            sink.progress(size)
    return Taken(
        method="oplog",
        consistent_as_of=max(clock(end), _local_time(hello)),
        server_version=str(client.server_info()["version"]),
        tools={"pymongo": pymongo.version},
        position={"from": written(start), "oplog": written(end)},
        counts={"entries": count},
        parents=parents,
        details=_set_of(hello),
        warnings=warnings,
    )


def _begin(base: Parent, last: Parent | None, first: Timestamp | None) -> tuple[Timestamp, tuple[str, ...], Warnings]:
    """Return where a slice begins, what it cannot be used without, and what is lost.

    Raises:
        ConfigError: The dump does not say where it stands in the oplog.
    """
    if "from" not in base.taken.position:
        raise ConfigError("the dump does not say where it stands in the oplog: its server was in no replica set")
    after_base = read_position(base.taken.position["from"])
    if last is None:
        return after_base, (base.id,), ()
    after_last = read_position(last.taken.position["oplog"])
    follows = last.taken.parents[:1] == (base.id,)
    if first is not None and after_last < first <= after_base and not follows:
        return after_base, (base.id,), (f"no moment between {clock(after_last)} and {clock(first)} can be restored",)
    if follows:
        return after_last, (*last.taken.parents, last.id), ()
    # The first slice after a new dump joins the older chain to it.
    return min(after_last, after_base), (base.id,), ()


Warnings = tuple[str, ...]


def _set_of(hello: dict[str, Any]) -> dict[str, str]:
    return {"set": str(hello["setName"])} if "setName" in hello else {}


def _local_time(hello: dict[str, Any]) -> datetime:
    told = hello.get("localTime")
    if not isinstance(told, datetime):
        raise Garbled("the server does not tell its time")
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that give the dump back to mongorestore. See `tasks.core.backup.Recovery`."""
    folders = dict.fromkeys(part.rsplit("/", 1)[0] for part in sorted(parts))
    files = [f"    mkdir -p '{folder}'" for folder in folders]
    files += [f"    {{read:{part}}} > '{part}'" for part in sorted(parts)]
    if taken.method == "oplog":
        return _recovery_of_slice(taken, files)
    replay = " --oplogReplay" if OPLOG in parts else ""
    lines = [
        f"Start an empty MongoDB of version {taken.server_version} or newer; let URI name its administrator.",
        "",
        *files,
        "",
        "Then give it back, with its indexes, validators, views and users:",
        "",
        f'    mongorestore --uri "$URI" --stopOnError{replay} {FOLDER}',
        "",
    ]
    return "\n".join(lines)


def _recovery_of_slice(taken: Taken, files: Sequence[str]) -> str:
    before = ", ".join(f"`{parent}`" for parent in taken.parents)
    return "\n".join(
        [
            f"This is what happened from {taken.position['from']} to {taken.position['oplog']}, in seconds since 1970",
            f"and a number. Restore first, one after the other: {before}. Then, in an empty folder:",
            "",
            *files,
            "",
            "Replay it; let URI name the administrator. To end at a moment before a mishap add",
            "`--oplogLimit=SECONDS:1` to this, the last command.",
            "",
            f'    mongorestore --uri "$URI" --oplogReplay {FOLDER}',
            "",
        ]
    )
