"""Measures a PostgreSQL database with psycopg, over one read-only connection. `grant.sql` holds what its user needs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

import psycopg

from tasks.core.errors import Denied, NotOffered, WatchkeeperError
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.core.units import format_duration
from tasks.systems.postgres import queries
from tasks.systems.postgres.connection import Connection, Rows, connect, rows, translated
from tasks.systems.postgres.spec import CATALOG, Spec

_QUERIES = 5
_TRANSACTION_IDS = 2**31
_SHOWN = 300
_ON = "on"


@dataclass(frozen=True)
class _Session:
    connection: Connection
    spec: Spec
    now: Callable[[], datetime]
    settings: dict[str, Any]

    async def rows(self, query: str, **parameters: Any) -> Rows:
        return await rows(self.connection, query, parameters or None)

    def read(self, name: str, value: float | bool, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
        return CATALOG.read(name, value, at=self.now(), subject=subject, note=note)

    def sees_all(self) -> None:
        if not self.settings["sees_all"]:
            raise Denied("the user may not see other users' sessions", hint="GRANT pg_monitor to the user of the dsn")


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield connections, queries, replication, archiving, sizes, cache and the slowest statement.

    Sources: the pg_stat views, pg_database_size, pg_total_relation_size, and pg_stat_statements where it is installed.
    """
    dsn = access.resolver.resolve(spec.dsn)
    connection = await connect(dsn, within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        yield CATALOG.read("query_time", await _query_time(connection), at=access.now())
        session = _Session(connection, spec, access.now, (await rows(connection, queries.SETTINGS))[0])
        for names, take in _SECTIONS.items():
            for reading in await _attempt(session, names, take):
                yield reading
    except (psycopg.Error, OSError) as error:
        raise translated(error) from None
    finally:
        await connection.close()


async def _attempt(session: _Session, names: tuple[str, ...], take: _Section) -> list[Reading]:
    """Take some measurements, or say for each why not; only a broken connection ends the probe."""
    try:
        return await take(session)
    except WatchkeeperError as error:
        return [Gap.of(error, name) for name in names]
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        return [Gap.of(translated(error), name) for name in names]


async def _query_time(connection: Connection) -> float:
    times = []
    for _ in range(_QUERIES):
        began = perf_counter()
        await rows(connection, "SELECT 1")
        times.append(perf_counter() - began)
    return statistics.median(times)


async def _connections(session: _Session) -> list[Reading]:
    total, most = (await session.rows(queries.CONNECTION_COUNT))[0]["total"], session.settings["max_connections"]
    for_all = most - session.settings["reserved"]
    used = session.read("connections_used", total / for_all, note=f"{total} of {for_all}")
    return [used, session.read("max_connections", most)]


async def _activity(session: _Session) -> list[Reading]:
    session.sees_all()
    found = await session.rows(queries.ACTIVITY)
    states = Counter(str(row["state"]) for row in found)
    others = [row for row in found if not row["own"]]
    idle_after = session.spec.idle_after.total_seconds()
    idle = sum(row["state"] == "idle" and row["state_age"] > idle_after for row in others)
    blocked = sum(row["state"] == "active" and row["waits"] == "Lock" for row in others)
    forgotten = [row for row in others if row["state"].startswith("idle in transaction")]
    return [
        *(session.read("connections", count, subject=state) for state, count in sorted(states.items())),
        session.read("idle_connections", idle),
        session.read("blocked_queries", blocked),
        _oldest(session, "longest_query", "query_age", [row for row in others if row["state"] == "active"]),
        _oldest(session, "longest_transaction", "transaction_age", others),
        _oldest(session, "longest_idle_transaction", "state_age", forgotten),
    ]


def _oldest(session: _Session, name: str, age: str, candidates: Rows) -> Measurement:
    aged = [row for row in candidates if row[age] is not None]
    if not aged:
        return session.read(name, 0.0)
    row = max(aged, key=lambda row: float(row[age]))
    waits = ", waits for a lock" if row["waits"] == "Lock" else ""
    return session.read(name, max(0.0, row[age]), note=f"process {row['pid']} of {row['user']}{waits}")


async def _replication(session: _Session) -> list[Reading]:
    if session.settings["standby"]:
        return await _own_lag(session)
    standbys = await session.rows(queries.STANDBYS)
    if standbys:
        session.sees_all()
    readings: list[Reading] = [session.read("standbys", len(standbys))]
    for row in standbys:
        # An idle primary has no lag to report; PostgreSQL then answers NULL.
        lag = row["lag"] if row["lag"] is not None else 0.0 if row["caught_up"] else None
        if lag is None:
            unknown = NotOffered("the standby has not reported yet")
            readings.append(Gap.of(unknown, "replication_lag", row["name"]))
        else:
            readings.append(session.read("replication_lag", lag, subject=row["name"], note=row["state"]))
    return readings


async def _own_lag(session: _Session) -> list[Reading]:
    row = (await session.rows(queries.OWN_LAG))[0]
    if row["lag"] is None:
        return [Gap.of(NotOffered("this standby has replayed no transaction yet"), "replication_lag")]
    note = "" if row["receives"] else "this standby does not receive from a primary now"
    return [session.read("replication_lag", max(0.0, row["lag"]), note=note)]


async def _slots(session: _Session) -> list[Reading]:
    return [
        session.read(
            "slot_retained", row["retained"], subject=row["name"], note="" if row["active"] else "nobody reads from it"
        )
        for row in await session.rows(queries.SLOTS)
    ]


async def _archiver(session: _Session) -> list[Reading]:
    mode = session.settings["archive_mode"]
    if mode == "off" or (mode == _ON and session.settings["standby"]):
        return []
    row = (await session.rows(queries.ARCHIVER))[0]
    note = f"{row['last_failed_wal']} failed; {row['failed_count']} failures" if row["failing"] else ""
    never = "nothing has been archived yet" if row["never"] else ""
    return [
        session.read("archiver_ok", not row["failing"], note=note),
        session.read("archive_age", max(0.0, row["age"]), note=never),
    ]


async def _database(session: _Session) -> list[Reading]:
    row = (await session.rows(queries.DATABASE))[0]
    readings: list[Reading] = [
        session.read("database_size", row["size"]),
        session.read("deadlocks", row["deadlocks"]),
        session.read("transaction_ids_used", row["oldest_transaction_id"] / _TRANSACTION_IDS),
    ]
    if blocks := row["blks_hit"] + row["blks_read"]:
        readings.append(session.read("cache_hit_ratio", row["blks_hit"] / blocks))
    return readings


async def _tables(session: _Session) -> list[Reading]:
    if not session.spec.tables:
        return []
    found = await session.rows(queries.TABLES, count=session.spec.tables)
    sized = [row for row in found if row["size"] is not None]
    locked = NotOffered("the table is locked now")
    readings: list[Reading] = [Gap.of(locked, "table_size", row["name"]) for row in found if row["size"] is None]
    readings += [session.read("table_size", row["size"], subject=row["name"]) for row in sized]
    if sized:
        readings.insert(0, session.read("largest_table", sized[0]["size"], note=sized[0]["name"]))
    return readings


async def _dead_rows(session: _Session) -> list[Reading]:
    found = await session.rows(queries.DEAD_ROWS)
    if not found:
        return [session.read("dead_rows", 0.0)]
    row = found[0]
    ago = "never vacuumed" if row["vacuumed"] is None else f"vacuumed {format_duration(max(0.0, row['vacuumed']))} ago"
    return [session.read("dead_rows", row["share"], note=f"{row['name']}: {row['dead']:,} dead rows, {ago}")]


async def _statements(session: _Session) -> list[Reading]:
    installed = await session.rows(queries.STATEMENTS_EXTENSION)
    if not installed:
        raise NotOffered(
            "pg_stat_statements is not installed in this database", hint="CREATE EXTENSION pg_stat_statements"
        )
    session.sees_all()
    query = queries.SLOWEST_STATEMENT.format(**installed[0])
    return list(_slowest(session, await session.rows(query, seen=session.spec.seen)))


def _slowest(session: _Session, found: Rows) -> Iterator[Reading]:
    for row in found:
        query = " ".join(row["query"].split())
        shown = query if len(query) <= _SHOWN else query[:_SHOWN] + "..."
        yield session.read("slowest_query", row["mean"], note=f"{row['calls']} calls of {shown}")


_Section = Callable[[_Session], Awaitable[list[Reading]]]
_SECTIONS: dict[tuple[str, ...], _Section] = {
    ("connections_used",): _connections,
    ("connections", "idle_connections", "blocked_queries", "longest_query", "longest_transaction"): _activity,
    ("replication_lag",): _replication,
    ("slot_retained",): _slots,
    ("archiver_ok",): _archiver,
    ("database_size", "transaction_ids_used", "cache_hit_ratio"): _database,
    ("largest_table",): _tables,
    ("dead_rows",): _dead_rows,
    ("slowest_query",): _statements,
}
