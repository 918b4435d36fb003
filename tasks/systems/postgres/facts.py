"""How a PostgreSQL is set and what it was used for, for advice. Needs no more than the probe's `grant.sql`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from tasks.core.advice.bundle import Database
from tasks.core.advice.pools import Pool
from tasks.core.advice.postgres import Index, Server, Setting, Wanted
from tasks.core.advice.read_replicas import Replicas
from tasks.core.errors import WatchkeeperError
from tasks.core.system import Access
from tasks.systems.postgres import queries
from tasks.systems.postgres.connection import Connection, connect, rows, translated
from tasks.systems.postgres.spec import Spec

_READ = ("max_connections", "shared_buffers", "work_mem", "enable_seqscan", "superuser_reserved_connections")
_LEAST_DAYS = 0.5


async def facts(spec: Spec, access: Access) -> Database:
    """Read settings, indexes and statistics; what is not offered is left open.

    Raises:
        WatchkeeperError: It does not answer, or does not let us in.
    """
    connection = await connect(access.resolver.resolve(spec.dsn), within=spec.timeout, ca_bundle=access.ca_bundle)
    try:
        known = (await rows(connection, queries.SETTINGS))[0]
        settings = await _settings(connection, spec)
        used = (await rows(connection, queries.CONNECTION_COUNT))[0]["total"]
        statistics = (await rows(connection, queries.USE_OF_MEMORY))[0]
        handled = (await rows(connection, queries.ROWS))[0] if spec.read_replicas is not None else None
        indexes = await rows(connection, queries.INDEXES, {"names": list(spec.indexes)})
        requested = await _requested(connection)
    except (psycopg.Error, OSError) as error:
        raise translated(error) from None
    finally:
        await connection.close()
    blocks = statistics["hit"] + statistics["read"]
    days = float(statistics["days"] or 0.0)
    server = Server(
        settings=settings,
        indexes=tuple(Index(row["name"], row["relation"], row["valid"]) for row in indexes),
        connections=float(used),
        cache_hits=statistics["hit"] / blocks if blocks else None,
        temporary=float(statistics["temporary"]) / days if days > _LEAST_DAYS else None,
        requested=requested,
        memory=spec.memory,
    )
    pools = [
        Pool(name, one.size, one.overflow, one.processes, one.replicas, of=one.of or "")
        for name, one in spec.pools.items()
    ]
    wanted, available = Wanted(spec.settings, spec.indexes), known["max_connections"] - known["reserved"]
    return Database(server, wanted, pools, available, _replicas(spec, handled, days))


def _replicas(spec: Spec, handled: Mapping[str, Any] | None, days: float) -> Replicas | None:
    if handled is None or spec.read_replicas is None:
        return None
    total = handled["read"] + handled["written"]
    reads = handled["read"] / total if total and days > _LEAST_DAYS else None
    return Replicas(handled["standbys"], spec.read_replicas.add, reads)


async def _settings(connection: Connection, spec: Spec) -> Mapping[str, Setting]:
    found = await rows(connection, queries.SETTINGS_BY_NAME, {"names": [*_READ, *spec.settings]})
    return {row["name"]: _setting(row) for row in found}


def _setting(row: Mapping[str, Any]) -> Setting:
    return Setting(
        value=str(row["setting"]),
        unit=row["unit"] or "",
        kind=row["vartype"],
        context=row["context"],
        source=row["source"],
        pending=row["pending_restart"],
    )


async def _requested(connection: Connection) -> float | None:
    """Return the share of checkpoints that the log asked for; PostgreSQL 17 moved where it is told."""
    for query in (queries.CHECKPOINTS, queries.CHECKPOINTS_BEFORE_17):
        try:
            row = (await rows(connection, query))[0]
        except (psycopg.Error, WatchkeeperError):
            if connection.closed:
                raise
            continue
        total = row["timed"] + row["requested"]
        return row["requested"] / total if total else None
    return None
