"""Backs a PostgreSQL server up by a copy of its files, whole or of what changed since the copy before.

Each tablespace is a part, as the server sends it: a tar. The manifest of hashes is a part that is not encrypted, as the
next incremental copy must read it; it names files and their checksums, and nothing that is in them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tasks.core.backup import Order, Parent, Sink, Taken
from tasks.core.errors import Garbled, NotOffered, PermanentError, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.postgres.replication import BaseBackup, Position, Refused, Walsender, walsender
from tasks.systems.postgres.sampling import Sampler, sampling
from tasks.systems.postgres.spec import Physical, Spec
from tasks.systems.postgres.wal import parse_lsn, segment_name, segment_of

BASE = "base.tar"
MANIFEST = "backup_manifest"

_OLDEST = 150_000
_INCREMENTAL = 170_000
_ARCHIVED_SECONDS = 20.0
_ARCHIVED_PAUSE = 0.1
_ARCHIVED = (
    "SELECT max(last_archived_wal) FILTER (WHERE last_archived_wal ~ '^[0-9A-F]{24}') AS name FROM pg_stat_archiver"
)
_QUIET_SECONDS = 1800.0
_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
       clock_timestamp() AT TIME ZONE 'UTC' AS at, current_setting('archive_mode') AS archive,
       (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes,
       (SELECT rolname FROM pg_roles WHERE oid = 10) AS superuser
"""
_SUMMARIES = "SELECT setting FROM pg_settings WHERE name = 'summarize_wal'"
_DATABASES = "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"


class Server(NamedTuple):
    """What the server says of itself before it is copied."""

    version: str
    number: int
    at: datetime
    archives: bool
    segment_bytes: int
    superuser: str
    databases: tuple[str, ...]
    identifier: str


class Chosen(NamedTuple):
    """Whether a copy builds on another, and why not."""

    parent: Parent | None
    why_full: str = ""
    surprising: bool = False


@dataclass
class _Copied:
    """What was copied."""

    start: Position
    end: Position
    at: datetime
    total: int
    spaces: dict[str, str]


def copy(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Write `base.tar`, each tablespace as `tablespaces/<oid>.tar`, and `backup_manifest`.

    Where an incremental copy is wanted and cannot be had, a whole one is taken, and a warning says why.

    Raises:
        ConfigError: The user may not replicate.
        NotOffered: The server is older than PostgreSQL 15.
        WatchkeeperError: As the server says.
    """
    plan = (spec.backup.physical if spec.backup is not None else None) or Physical()
    dsn = access.resolver.resolve(spec.backup_dsn or spec.dsn)
    warnings: list[str] = []
    with (
        sampling(dsn, access.ca_bundle) as sampler,
        walsender(dsn, quiet=_QUIET_SECONDS, ca_bundle=access.ca_bundle) as sender,
    ):
        server = _survey(sender)
        included = plan.wal == "included" or not server.archives
        if plan.wal == "continuous" and not server.archives:
            warnings.append("any moment but its own: the server archives no write-ahead log (archive_mode is off)")
        chosen = choose(sender, server, plan, order.parent)
        copied = None
        if chosen.parent is not None:
            try:
                begun = _begin_incremental(sender, chosen.parent, wal=included)
                copied = _take(begun, sampler, server, sink)
            except _NoIncremental as error:
                chosen = Chosen(None, error.message, surprising=True)
        if copied is None:
            with walsender(dsn, quiet=_QUIET_SECONDS, ca_bundle=access.ca_bundle) as anew:
                begun = anew.base_backup(label="watchkeeper", wal=included, incremental=False)
                copied = _take(begun, sampler, server, sink)
    if not included:
        with walsender(dsn, quiet=_QUIET_SECONDS, ca_bundle=access.ca_bundle) as asking:
            warnings += _unarchived(asking, copied, server)
    if chosen.surprising:
        warnings.append(f"a mere difference to the copy before, though one is wanted: {chosen.why_full}")
    return _taken(server, copied, chosen, included=included, warnings=tuple(warnings))


def _unarchived(sender: Walsender, copied: _Copied, server: Server) -> list[str]:
    """Wait a little until the log that the copy needs is archived, and warn where it is not.

    The server itself would wait without end, as long as one vault does not take the log.
    """
    last = segment_name(
        segment_of(copied.end.timeline, parse_lsn(copied.end.lsn) - 1, server.segment_bytes), server.segment_bytes
    )
    deadline = time.monotonic() + _ARCHIVED_SECONDS
    while (sender.ask(_ARCHIVED)[0]["name"] or "")[: len(last)] < last:
        if time.monotonic() > deadline:
            return [f"its log up to {last} is not archived yet: until it is, this copy cannot be restored"]
        time.sleep(_ARCHIVED_PAUSE)
    return []


class _NoIncremental(PermanentError):
    """An incremental copy cannot be had; nothing was written."""


def _survey(sender: Walsender) -> Server:
    row = sender.ask(_SERVER)[0]
    found = {name: value or "" for name, value in row.items()}
    if int(found["number"]) < _OLDEST:
        raise NotOffered(
            f"physical backups need PostgreSQL 15, and the server is {found['version']}", hint="back it up logically"
        )
    return Server(
        version=found["version"],
        number=int(found["number"]),
        at=datetime.fromisoformat(f"{found['at']}+00:00"),
        archives=found["archive"] in ("on", "always"),
        segment_bytes=int(found["segment_bytes"]),
        superuser=found["superuser"],
        databases=tuple(row["name"] or "" for row in sender.ask(_DATABASES)),
        identifier=sender.ask("IDENTIFY_SYSTEM")[0]["systemid"] or "",
    )


def choose(sender: Walsender | None, server: Server, plan: Physical, parent: Parent | None) -> Chosen:
    """Say which copy to build on; a reason that people should know of is surprising."""
    if plan.full_every == 1:
        return Chosen(None, "all are to be whole")
    if parent is None:
        return Chosen(None, "there is no earlier one to build on")
    if len(parent.chain) + 1 >= plan.full_every:
        return Chosen(None, f"each {plan.full_every}. is to be whole")
    if server.number < _INCREMENTAL:
        return Chosen(None, f"PostgreSQL {server.version} has no incremental copies", surprising=True)
    if sender is None or sender.ask(_SUMMARIES)[0]["setting"] != "on":
        return Chosen(None, "summarize_wal is off", surprising=True)
    return Chosen(parent)


def _begin_incremental(sender: Walsender, parent: Parent, *, wal: bool) -> BaseBackup:
    try:
        sender.upload_manifest(parent.read(MANIFEST))
        return sender.base_backup(label="watchkeeper", wal=wal, incremental=True)
    except Refused as error:
        raise _NoIncremental(error.message) from error
    except WatchkeeperError as error:
        raise _NoIncremental(f"{parent.id} cannot be read: {error.message}") from error


def _take(begun: BaseBackup, sampler: Sampler, server: Server, sink: Sink) -> _Copied:
    """Write every archive into a part, and return where it begins and ends."""
    done, spaces = 0, {}
    for archive in begun.archives():
        name = archive.name
        if archive.path:
            identifier = name.removesuffix(".tar")
            spaces[identifier], name = archive.path, f"tablespaces/{name}"
        with sink.part(name, encrypt=name != MANIFEST) as writer:
            for chunk in archive.chunks:
                writer.write(chunk)
                done += len(chunk)
                sink.progress(done, max(begun.total, done))
    if begun.end is None or BASE not in begun.names or MANIFEST not in begun.names:
        raise Garbled("the server ended the copy too early")
    at = sampler.moment(parse_lsn(begun.end.lsn)) or server.at
    return _Copied(begun.start, begun.end, at, begun.total, spaces)


def _taken(server: Server, copied: _Copied, chosen: Chosen, *, included: bool, warnings: tuple[str, ...]) -> Taken:
    start, end = copied.start, copied.end
    first = segment_of(start.timeline, parse_lsn(start.lsn), server.segment_bytes)
    last = segment_of(end.timeline, parse_lsn(end.lsn) - 1, server.segment_bytes)
    parent = chosen.parent
    return Taken(
        method="physical",
        consistent_as_of=copied.at,
        server_version=server.version,
        position={
            "lsn": end.lsn,
            "start_lsn": start.lsn,
            "timeline": str(end.timeline),
            "system_identifier": server.identifier,
        },
        parents=() if parent is None else (*parent.chain, parent.id),
        details={
            "databases": list(server.databases),
            "superuser": server.superuser,
            "tablespaces": copied.spaces,
            "chain": [] if parent is None else _chain(parent),
            "segment_bytes": server.segment_bytes,
            "wal": {
                "included": included,
                "first": segment_name(first, server.segment_bytes),
                "last": segment_name(last, server.segment_bytes),
            },
            **({"whole_because": chosen.why_full} if parent is None else {}),
        },
        warnings=warnings,
        source_bytes=copied.total,
    )


def _chain(parent: Parent) -> list[dict[str, Any]]:
    """Say of each copy that this one builds on which tablespaces it holds, oldest first."""
    before: list[dict[str, Any]] = parent.taken.details["chain"]
    return [*before, {"id": parent.id, "tablespaces": sorted(parent.taken.details["tablespaces"])}]
