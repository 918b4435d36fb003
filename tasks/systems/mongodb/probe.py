"""Measures MongoDB with pymongo. `grant.js` holds what its user needs: no document of an application is ever read."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from pymongo import ReadPreference, errors

from tasks.core.errors import NotOffered, WatchkeeperError
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.core.units import format_duration
from tasks.systems.mongodb.connection import APPLICATION, Client, connect, translated
from tasks.systems.mongodb.indexes import Use, counted_since, named, unused, use_of
from tasks.systems.mongodb.spec import CATALOG, Spec

_PINGS = 5
_MEBIBYTE = 2**20
_PROFILED = timedelta(days=1)
_PRIMARY, _SECONDARY, _ARBITER = 1, 2, 7
_MOST_COLLECTIONS, _LARGEST = 200, 5
_OPLOG = "local.oplog.rs"

Document = dict[str, Any]


@dataclass(frozen=True)
class _Session:
    client: Client
    database: str | None
    hello: Document
    now: Callable[[], datetime]
    unused_after: timedelta = timedelta(days=7)

    async def command(self, command: Document, database: str = "admin") -> Document:
        return await _command(self.client, command, database)

    def read(self, name: str, value: float | bool, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
        return CATALOG.read(name, value, at=self.now(), subject=subject, note=note)


async def _command(client: Client, command: Document, database: str = "admin") -> Document:
    """Run a command on a primary or, where there is none, on any other member."""
    return await client[database].command(command, read_preference=ReadPreference.PRIMARY_PREFERRED)


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield connections, members, lag, operations, sizes, the slowest profiled query and the use of indexes.

    Sources: ping, hello, serverStatus, replSetGetStatus, $currentOp, dbStats, collStats, $indexStats, the oplog,
    system.profile.
    """
    client = connect(access.resolver.resolve(spec.uri), within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        yield CATALOG.read("latency", await _latency(client), at=access.now())
        hello = await _command(client, {"hello": 1})
        session = _Session(client, _database(spec, client), hello, access.now, spec.unused_after)
        for names, take in _SECTIONS.items():
            for reading in await _attempt(session, names, take):
                yield reading
    except (errors.PyMongoError, OSError) as error:
        raise translated(error) from None
    finally:
        await client.close()


async def _attempt(session: _Session, names: tuple[str, ...], take: _Section) -> list[Reading]:
    """Take some measurements, or say for each why not; only a broken connection ends the probe."""
    try:
        return await take(session)
    except WatchkeeperError as error:
        return [Gap.of(error, name) for name in names]
    except errors.OperationFailure as error:
        return [Gap.of(translated(error), name) for name in names]


async def _latency(client: Client) -> float:
    times = []
    for _ in range(_PINGS):
        began = perf_counter()
        await _command(client, {"ping": 1})
        times.append(perf_counter() - began)
    # The first one also opens the connection and proves the password.
    return statistics.median(times[1:])


def _database(spec: Spec, client: Client) -> str | None:
    if spec.database is not None:
        return spec.database
    try:
        return client.get_default_database().name
    except errors.ConfigurationError:
        return None


async def _primary(session: _Session) -> list[Reading]:
    hello = session.hello
    known = bool(hello.get("isWritablePrimary") or hello.get("primary") or hello.get("msg") == "isdbgrid")
    return [session.read("has_primary", known)]


async def _members(session: _Session) -> list[Reading]:
    if "setName" not in session.hello:
        return []
    members: list[Document] = (await session.command({"replSetGetStatus": 1}))["members"]
    down = [member for member in members if not _works(member)]
    note = ", ".join(f"{member['name']} is {member.get('stateStr', 'unknown').lower()}" for member in down)
    readings: list[Reading] = [session.read("members_down", len(down), note=note)]
    working = [member for member in members if _works(member) and member["state"] != _ARBITER]
    newest = max((member["optimeDate"] for member in working), default=None)
    for member in working:
        if newest is not None and member["state"] == _SECONDARY:
            lag = (newest - member["optimeDate"]).total_seconds()
            readings.append(session.read("replication_lag", lag, subject=member["name"]))
    return readings


def _works(member: Document) -> bool:
    return member.get("health") == 1 and member["state"] in (_PRIMARY, _SECONDARY, _ARBITER)


async def _oplog(session: _Session) -> list[Reading]:
    if "setName" not in session.hello:
        return []
    oplog = session.client.get_database("local", read_preference=ReadPreference.PRIMARY_PREFERRED)["oplog.rs"]
    ends = [await oplog.find_one({}, {"ts": 1}, sort=[("$natural", order)]) for order in (1, -1)]
    if ends[0] is None or ends[1] is None:
        raise NotOffered("the oplog is empty")
    return [session.read("oplog_window", float(ends[1]["ts"].time - ends[0]["ts"].time))]


async def _status(session: _Session) -> list[Reading]:
    status = await session.command({"serverStatus": 1})
    return list(_from_status(session, status))


def _from_status(session: _Session, status: Document) -> Iterator[Reading]:
    connections = status.get("connections", {})
    current, available = connections.get("current", 0), connections.get("available", 0)
    yield session.read("connections", current)
    if not available and "active" not in connections:
        # MongoDB always tells both; a server that only speaks its protocol may know no limit and say 0.
        yield Gap.of(NotOffered("the server does not say how many connections it allows"), "connections_used")
    else:
        most = current + available
        yield session.read("connections_used", current / most, note=f"{current} of {most}")
    yield session.read("uptime", float(status["uptime"]))
    if resident := status.get("mem", {}).get("resident"):
        yield session.read("memory", resident * _MEBIBYTE)
    if queue := status.get("globalLock", {}).get("currentQueue"):
        yield session.read("queued_operations", queue["total"])
    cache = status.get("wiredTiger", {}).get("cache", {})
    if most := cache.get("maximum bytes configured"):
        yield session.read("cache_used", cache["bytes currently in the cache"] / most)


async def _operations(session: _Session) -> list[Reading]:
    stages = [{"$currentOp": {"allUsers": True, "idleConnections": False}}, {"$match": {"active": True}}]
    admin = session.client.get_database("admin", read_preference=ReadPreference.PRIMARY_PREFERRED)
    async with await admin.aggregate(stages) as cursor:
        ages = [(_age(operation), operation) async for operation in cursor if _is_work(operation)]
    if not ages:
        return [session.read("longest_operation", 0.0)]
    age, operation = max(ages, key=lambda pair: pair[0])
    waits = ", waits for a lock" if operation.get("waitingForLock") else ""
    note = f"{operation.get('op')} on {operation.get('ns')}, operation {operation.get('opid')}{waits}"
    return [session.read("longest_operation", age, note=note)]


def _is_work(operation: Document) -> bool:
    """Leave out what waits by design: heartbeats, replication's tails, and the server's own threads."""
    command = operation.get("command", {})
    waits = {"hello", "isMaster", "ismaster", "replSetUpdatePosition"} & command.keys()
    own = operation.get("appName") == APPLICATION or "client" not in operation
    return not waits and not own and operation.get("ns") != _OPLOG and operation.get("op") != "none"


def _age(operation: Document) -> float:
    microseconds = operation.get("microsecs_running")
    return microseconds / 1e6 if microseconds is not None else float(operation.get("secs_running", 0))


async def _sizes(session: _Session) -> list[Reading]:
    if session.database is None:
        listed = await session.command({"listDatabases": 1, "nameOnly": False})
        return [session.read("database_size", float(listed["totalSize"]))]
    stats = await session.command({"dbStats": 1}, session.database)
    return [
        session.read("database_size", float(stats["storageSize"] + stats["indexSize"])),
        session.read("index_size", float(stats["indexSize"])),
        session.read("data_size", float(stats["dataSize"])),
        session.read("documents", stats["objects"]),
        session.read("collections", stats["collections"]),
    ]


async def _profile(session: _Session) -> list[Reading]:
    if session.database is None:
        return []
    if not (await session.command({"profile": -1}, session.database))["was"]:
        raise NotOffered("the profiler is off", hint=f"db.setProfilingLevel(1) in {session.database}")
    profile = session.client[session.database]["system.profile"]
    # The profiler records what touches itself, too.
    asked = {"ts": {"$gt": session.now() - _PROFILED}, "ns": {"$ne": f"{session.database}.system.profile"}}
    found = await profile.find_one(asked, {"op": 1, "ns": 1, "millis": 1, "planSummary": 1}, sort=[("millis", -1)])
    if found is None:
        return []
    note = f"{found['op']} on {found['ns']} {found.get('planSummary', '')}".strip()
    return [session.read("slowest_query", found["millis"] / 1000, note=note)]


async def _names(session: _Session, database: str) -> list[str]:
    """Return the database's own collections, by name."""
    found = session.client.get_database(database, read_preference=ReadPreference.PRIMARY_PREFERRED)
    listed = await found.list_collection_names(filter={"type": "collection"}, authorizedCollections=True)
    return sorted(name for name in listed if not name.startswith("system."))


async def _collections(session: _Session) -> list[Reading]:
    """Tell how large the largest collections are, each with its indexes."""
    if session.database is None:
        return []
    sizes: dict[str, float] = {}
    for name in (await _names(session, session.database))[:_MOST_COLLECTIONS]:
        stats = await session.command({"collStats": name}, session.database)
        sizes[name] = float(stats["storageSize"] + stats["totalIndexSize"])
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:_LARGEST]
    return [session.read("collection_size", sizes[name], name) for name in largest]


async def _indexes(session: _Session) -> list[Reading]:
    if session.database is None:
        return []
    database = session.client.get_database(session.database, read_preference=ReadPreference.PRIMARY_PREFERRED)
    names = await _names(session, session.database)
    uses: list[Use] = []
    for name in names[:_MOST_COLLECTIONS]:
        async with await database[name].aggregate([{"$indexStats": {}}]) as cursor:
            uses += [use_of(name, document) async for document in cursor]
    return list(_of_indexes(session, uses, left_out=len(names[_MOST_COLLECTIONS:])))


def _of_indexes(session: _Session, uses: list[Use], *, left_out: int = 0) -> Iterator[Reading]:
    cut = f"at least: {left_out} collections more were not asked" if left_out else ""
    yield session.read("indexes", len(uses), note=cut)
    since, now = counted_since(uses), session.now()
    if since is None and uses:
        yield Gap.of(NotOffered("the server does not count the use of its indexes"), "unused_indexes")
    elif since is not None and now - since < session.unused_after:
        young = f"the server has counted only for {format_duration(max(0.0, (now - since).total_seconds()))}"
        yield Gap.of(NotOffered(young, hint="wait, or lower unused_after"), "unused_indexes")
    else:
        idle = unused(uses, now=now, after=session.unused_after)
        note = "; ".join(filter(None, [named(idle), cut]))
        yield session.read("unused_indexes", len(idle), note=note)


_Section = Callable[[_Session], Awaitable[list[Reading]]]
_SECTIONS: dict[tuple[str, ...], _Section] = {
    ("has_primary",): _primary,
    ("members_down", "replication_lag"): _members,
    ("oplog_window",): _oplog,
    ("connections_used", "connections"): _status,
    ("longest_operation",): _operations,
    ("database_size",): _sizes,
    ("collection_size",): _collections,
    ("slowest_query",): _profile,
    ("unused_indexes",): _indexes,
}
