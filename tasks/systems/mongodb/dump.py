"""Writes the collections of a MongoDB in mongodump's own layout, all of one moment or with what joins them to one.

Small ones are read in one transaction with read concern `snapshot`. A server ends a transaction after a minute, and
keeps no old snapshot for much longer. So what is large is read as it is, and the oplog of that time is put beside it:
replayed after the dump, it leads to the one moment at which the dump ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

from bson import Timestamp
from pymongo import ReadPreference, errors
from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from tasks.clients.ahead import ahead
from tasks.core.backup import Sink
from tasks.core.errors import TransientError
from tasks.systems.mongodb.connection import Blocking
from tasks.systems.mongodb.layout import (
    BUCKETS,
    OPLOG,
    bson_of,
    documents,
    documents_in,
    metadata_of,
    metadata_text,
    path_of,
    raw,
)
from tasks.systems.mongodb.oplog import changes, must_hold, newest, read_slice, safe_start
from tasks.systems.mongodb.tool import Tool

Consistency = Literal["transaction", "oplog", "none"]

_NEVER = frozenset({"local", "config"})
_OF_ADMIN = frozenset({"system.users", "system.roles", "system.version"})
_SMALL = 64 << 20  # bytes on disk that are surely read within a transaction's minute
_TRANSACTION_SECONDS = 30.0
_Told = Mapping[str, Any]


@dataclass
class Dump:
    """What is read so far.

    Attributes:
        consistency: Of one moment by a `transaction`; once its `oplog` is replayed; or `none`.
        moment: Of the snapshot, or the last entry of the oplog that is in it.
        start: Where an oplog that goes on from it must begin.
        counts: Documents by `database.collection`.
        changed: At most so many documents of a collection came or went while it was read.
        found: Collections by database, as the server listed them.
        tool: What reads collections in our stead, if anything.
    """

    sink: Sink
    total: int
    consistency: Consistency
    done: int = 0
    moment: Timestamp | None = None
    start: Timestamp | None = None
    counts: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[_Told]] = field(default_factory=dict)
    tool: Tool | None = None


def dump(client: Blocking, sink: Sink, only: Sequence[str], tool: Tool | None = None) -> Dump:
    """Write `dump/<database>/<collection>.bson` and `.metadata.json`, and `dump/oplog.bson` where it is needed.

    Raises:
        PermanentError: The oplog rolled over meanwhile.
        PyMongoError: As the server says.
    """
    databases = {
        told["name"]: int(told.get("sizeOnDisk", 0))
        for told in client.list_databases()
        if told["name"] not in _NEVER and (not only or told["name"] in only)
    }
    copy = Dump(sink, sum(databases.values()), "none", tool=tool)
    copy.consistency = _best(client, copy.total, _listed(client, databases), alone=tool is None)
    # What the oplog holds from here on may be in the copy or not.
    copy.start = safe_start(client, before) if (before := newest(client)) else None
    with _snapshot(client, copy) as session:
        copy.found = _listed(client, databases)
        _all(client, session, copy)
    if copy.consistency == "oplog":
        _write_oplog(client, copy)
    return copy


def _best(client: Blocking, size: int, found: Mapping[str, list[_Told]], *, alone: bool) -> Consistency:
    """Choose how the copy comes to be of one moment; a capped collection, and a program, read in no transaction."""
    hello = client.admin.command("hello")
    in_set = "setName" in hello
    is_writable = bool(hello.get("isWritablePrimary")) and (in_set or hello.get("msg") == "isdbgrid")
    capped = any(told.get("options", {}).get("capped") for collections in found.values() for told in collections)
    if alone and is_writable and size <= _SMALL and not capped:
        return "transaction"
    return "oplog" if in_set else "none"


def _listed(client: Blocking, databases: Mapping[str, int]) -> dict[str, list[_Told]]:
    return {name: list(client[name].list_collections()) for name in databases}


@contextmanager
def _snapshot(client: Blocking, copy: Dump) -> Iterator[ClientSession | None]:
    """Hold a snapshot open where that is how the copy is made; it is made by the first read."""
    if copy.consistency != "transaction":
        yield None
        return
    concern = ReadConcern("snapshot")
    with client.start_session() as session, session.start_transaction(concern, read_preference=ReadPreference.PRIMARY):
        client["watchkeeper"]["snapshot"].find_one({}, session=session)
        copy.moment = session.operation_time
        yield session


def _all(client: Blocking, session: ClientSession | None, copy: Dump) -> None:
    began = monotonic()
    for database, collections in copy.found.items():
        for told in collections:
            if session is not None and monotonic() - began > _TRANSACTION_SECONDS and copy.start:
                copy.consistency, session = "oplog", None
            # In a transaction no server lets anybody read the database admin.
            _one(client, None if database == "admin" else session, database, told, copy)


def _one(client: Blocking, session: ClientSession | None, database: str, told: _Told, copy: Dump) -> None:
    """Write one collection, and what it is made with."""
    name, kind = told["name"], told.get("type", "collection")
    if name.startswith("system.") and not (database == "admin" and name in _OF_ADMIN) and name != "system.js":
        return
    with copy.sink.part(metadata_of(path_of(database, name))) as writer:
        writer.write(_metadata(client, database, told).encode())
    if kind == "view":
        return
    holder = f"{BUCKETS}{name}" if kind == "timeseries" else name
    count = 0
    with copy.sink.part(bson_of(path_of(database, holder))) as writer:
        batches: Any
        if copy.tool is not None and kind == "collection" and database != "admin":
            batches = copy.tool.read(database, name)
        else:
            collection = client[database].get_collection(holder, read_preference=ReadPreference.PRIMARY)
            batches = collection.find_raw_batches(session=session)  # its stub says documents; it gives bytes
        for batch in ahead(batches):
            count += documents_in(batch)
            writer.write(batch)
            copy.done += len(batch)
            copy.sink.progress(copy.done, max(copy.total, copy.done))
    copy.counts[f"{database}.{holder}"] = count


def _metadata(client: Blocking, database: str, told: _Told) -> str:
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
    return metadata_text(metadata)


def _write_oplog(client: Blocking, copy: Dump) -> None:
    """Write what happened since the first collection was read.

    A collection that got another name meanwhile may be missing, or there twice; mongodump refuses it too.
    """
    end = newest(client)
    if end is None or copy.start is None:
        must_hold(None, Timestamp(0, 0))
        return
    with copy.sink.part(OPLOG) as writer:
        for batch, _ in read_slice(client, copy.start, end):
            writer.write(batch)
            entries = [raw(entry) for entry in documents([batch])]
            if any(entry["op"] == "c" and "renameCollection" in entry["o"] for entry in entries):
                raise TransientError("a collection was renamed while it was read", hint="take the backup again")
            for name, count in changes(entries).items():
                copy.changed[name] = copy.changed.get(name, 0) + count
    copy.moment = copy.start = end


def without_users(client: Blocking, copy: Dump) -> tuple[str, ...]:
    """Say so where the server has users and does not list the collection that holds them."""
    if any(told["name"] == "system.users" for told in copy.found.get("admin", [])):
        return ()
    try:
        has_users = bool(client.admin.command({"usersInfo": 1}).get("users"))
    except errors.OperationFailure:
        has_users = True
    return ("users and roles are not in it: the server does not show admin.system.users",) if has_users else ()
