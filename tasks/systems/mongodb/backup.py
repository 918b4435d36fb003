"""Backs a MongoDB up in mongodump's own layout: BSON by collection, and beside it what a collection is made with.

All collections are read in one transaction with read concern `snapshot`, so they are of one moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pymongo
from bson import json_util
from pymongo import errors
from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from tasks.core.backup import Order, Sink, Taken
from tasks.core.errors import ConfigError, Garbled
from tasks.core.system import Access
from tasks.systems.mongodb.connection import APPLICATION, translated
from tasks.systems.mongodb.spec import Spec

FOLDER = "dump"

_SECONDS = 20
_NEVER = frozenset({"local", "config"})
_Client = pymongo.MongoClient[dict[str, Any]]


@dataclass
class _Copy:
    """What is read so far."""

    sink: Sink
    total: int
    done: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:  # noqa: ARG001 - it knows one way
    """Write `dump/<database>/<collection>.bson` and `.metadata.json` of every database but `local` and `config`.

    Users and roles are in `dump/admin/`, as mongodump has them, where the server shows their collections; else a
    warning says so. Views have metadata alone.

    Raises:
        Denied: The user may not do what `grant-backup.js` grants.
        NotOffered: The server is in no replica set, so it has no snapshots.
        WatchkeeperError: As the server says.
    """
    uri = access.resolver.resolve(spec.backup_uri or spec.uri)
    trust: dict[str, Any] = {"tlsCAFile": str(access.ca_bundle)} if access.ca_bundle and "tls=true" in uri else {}
    try:
        client: _Client = pymongo.MongoClient(
            uri, appname=APPLICATION, serverSelectionTimeoutMS=_SECONDS * 1000, retryReads=False, **trust
        )
    except (errors.PyMongoError, ValueError, TypeError):
        raise ConfigError(
            "the uri is no MongoDB address", hint="write mongodb://user:password@host:port/database"
        ) from None
    try:
        with client:
            return _taken(client, access, sink)
    except errors.PyMongoError as error:
        raise translated(error) from error


def _taken(client: _Client, access: Access, sink: Sink) -> Taken:
    version = str(client.server_info()["version"])
    databases = [entry for entry in client.list_databases() if entry["name"] not in _NEVER]
    found: dict[str, list[Mapping[str, Any]]] = {
        entry["name"]: list(client[entry["name"]].list_collections()) for entry in databases
    }
    copy = _Copy(sink, sum(int(entry.get("sizeOnDisk", 0)) for entry in databases))
    with client.start_session() as session, session.start_transaction(read_concern=ReadConcern("snapshot")):
        # The snapshot is made by the first read.
        began = access.now()
        client.admin["system.version"].find_one({}, session=session)
        moment = session.operation_time
        for database, collections in found.items():
            for collection in collections:
                _one(client, session, database, collection, copy)
    at = datetime.fromtimestamp(moment.time, UTC) if moment is not None else began
    return Taken(
        method="logical",
        consistent_as_of=at,
        server_version=version,
        tools={"pymongo": pymongo.version},
        position={} if moment is None else {"oplog": f"{moment.time}:{moment.inc}"},
        counts=copy.counts,
        details={"databases": sorted(found)},
        warnings=_without_users(client, found),
        source_bytes=copy.total,
    )


def _without_users(client: _Client, found: Mapping[str, list[Mapping[str, Any]]]) -> tuple[str, ...]:
    """Say so where the server has users and does not list the collection that holds them."""
    if any(told["name"] == "system.users" for told in found.get("admin", [])):
        return ()
    try:
        has_users = bool(client.admin.command({"usersInfo": 1}).get("users"))
    except errors.OperationFailure:
        has_users = True
    return ("users and roles are not in it: the server does not show admin.system.users",) if has_users else ()


def _one(client: _Client, session: ClientSession, database: str, told: Mapping[str, Any], copy: _Copy) -> None:
    """Write one collection, and what it is made with."""
    name, kind = told["name"], told.get("type", "collection")
    if name.startswith("system.") and (database, name) not in _OF_ADMIN and name != "system.js":
        return
    path = f"{FOLDER}/{_escaped(database)}/{_escaped(name)}"
    with copy.sink.part(f"{path}.metadata.json") as writer:
        writer.write(_metadata(client, database, told).encode())
    if kind != "collection":
        return
    count = 0
    with copy.sink.part(f"{path}.bson") as writer:
        batches: Any = client[database][name].find_raw_batches(
            session=session
        )  # its stub says documents; it gives bytes
        for batch in batches:
            count += _documents(batch)
            writer.write(batch)
            copy.done += len(batch)
            copy.sink.progress(copy.done, max(copy.total, copy.done))
    copy.counts[f"{database}.{name}"] = count


_OF_ADMIN = frozenset({("admin", "system.users"), ("admin", "system.roles"), ("admin", "system.version")})


def _metadata(client: _Client, database: str, told: Mapping[str, Any]) -> str:
    """Write mongodump's metadata: options, indexes, the collection's own id and name."""
    is_view = told.get("type") == "view"
    indexes = [] if is_view else [dict(index) for index in client[database][told["name"]].list_indexes()]
    metadata: dict[str, Any] = {
        "options": told.get("options", {}),
        "indexes": indexes,
        "collectionName": told["name"],
        "type": told.get("type", "collection"),
    }
    if identity := told.get("info", {}).get("uuid"):
        metadata["uuid"] = bytes(identity).hex()
    return json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS)


def _documents(batch: bytes) -> int:
    """Count the documents of a batch by their lengths alone."""
    count = position = 0
    while position < len(batch):
        length = int.from_bytes(batch[position : position + 4], "little")
        if length < 5 or position + length > len(batch):  # noqa: PLR2004 - the empty document
            raise Garbled("a batch ends in the middle of a document")
        position += length
        count += 1
    return count


def _escaped(name: str) -> str:
    return quote(name, safe="$ ").replace("%20", " ")


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that give the dump back to mongorestore. See `tasks.core.backup.Recovery`."""
    lines = [f"Start an empty MongoDB of version {taken.server_version} or newer; let URI name its administrator.", ""]
    folders = dict.fromkeys(part.rsplit("/", 1)[0] for part in sorted(parts))
    lines += [f"    mkdir -p '{folder}'" for folder in folders]
    lines += [f"    {{read:{part}}} > '{part}'" for part in sorted(parts)]
    lines += ["", "Then give it back, with its indexes, validators, views and users:", ""]
    lines += [f'    mongorestore --uri "$URI" --stopOnError {FOLDER}', ""]
    return "\n".join(lines)
