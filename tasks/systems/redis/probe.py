"""Measures a Redis or Valkey server with redis-py. `grant.acl` holds what its user needs: no key is ever read.

What a survey or a registry needs beside it is in `grant-survey.acl` and `grant-registry.acl`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter
from typing import Any

import redis.asyncio
from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.errors import Garbled, NotOffered
from tasks.core.results import Gap, Measurement, Reading
from tasks.core.system import Access
from tasks.systems.redis.keys import survey
from tasks.systems.redis.registry import registered
from tasks.systems.redis.spec import CATALOG, Spec

_PINGS = 5
_PATIENCE = 0.5
_KEYS_SHARE = 0.3  # of the system's time, for each of the two looks at keys
_REPLICA = "slave"
_IO = ("memory_used", "hit_ratio", "clients", "last_save_ok")

Info = dict[str, Any]


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield latency, memory, keys, clients, saves and replication, then what the spec's survey and registry tell.

    Sources: PING and INFO; SCAN, PTTL and MEMORY USAGE; GETRANGE and HMGET of the registry's keys alone.
    """
    client = connection(spec.url, spec.timeout.total_seconds(), access)
    try:
        async with client:
            yield CATALOG.read("latency", await _latency(client), at=access.now())
            for reading in await _from_info(client, spec, access):
                yield reading
            async for reading in _keys(client, spec, access):
                yield reading
    except (exceptions.RedisError, OSError) as error:
        raise translated(error) from None


async def _keys(client: redis.asyncio.Redis, spec: Spec, access: Access) -> AsyncIterator[Reading]:
    seconds = spec.timeout.total_seconds() * _KEYS_SHARE
    if spec.registry is not None:
        async for reading in registered(client, spec.registry, access, seconds):
            yield reading
    if spec.survey is not None:
        async for reading in survey(client, spec.survey, access, seconds):
            yield reading


async def _latency(client: redis.asyncio.Redis) -> float:
    """Return the time of the fastest of several PINGs; where even that is slow, they are not waited for."""
    times: list[float] = []
    while len(times) < _PINGS and sum(times) < _PATIENCE:
        times.append(await _ping(client))
    return min(times)


async def _ping(client: redis.asyncio.Redis) -> float:
    began = perf_counter()
    await client.ping()
    return perf_counter() - began


async def _from_info(client: redis.asyncio.Redis, spec: Spec, access: Access) -> list[Reading]:
    try:
        info: Info = await client.info()
    except exceptions.NoPermissionError as error:
        return [Gap.of(translated(error), name) for name in spec.limits or _IO if name != "latency"]
    at = access.now()

    def read(name: str, value: float | bool, subject: str = "", note: str = "") -> Measurement:  # noqa: FBT001
        return CATALOG.read(name, value, at=at, subject=subject, note=note)

    try:
        return [reading for part in _PARTS for reading in part(info, read)]
    except (KeyError, TypeError, ValueError) as error:
        raise Garbled(f"INFO lacks what every Redis says: {type(error).__name__} {error}") from None


def _memory(info: Info, read: _Read) -> Iterator[Reading]:
    yield read("memory", info["used_memory"])
    if most := info.get("maxmemory"):
        policy = str(info.get("maxmemory_policy", ""))
        yield read("memory_used", info["used_memory"] / most, note=policy and f"when full: {policy}")
    else:
        yield Gap.of(
            NotOffered("maxmemory is not set", hint="set maxmemory, or watch the host's memory"), "memory_used"
        )
    yield read("evicted_keys", info["evicted_keys"])
    yield read("eviction_rate", info["evicted_keys"] / max(info["uptime_in_seconds"], 1))


def _look_ups(info: Info, read: _Read) -> Iterator[Reading]:
    if looked_up := info["keyspace_hits"] + info["keyspace_misses"]:
        yield read("hit_ratio", info["keyspace_hits"] / looked_up)
    yield read("operations", info["instantaneous_ops_per_sec"])
    for name, value in info.items():
        if re.fullmatch(r"db\d+", name):
            yield read("keys", value["keys"], subject=name)


def _clients(info: Info, read: _Read) -> Iterator[Reading]:
    yield read("clients", info["connected_clients"])
    if most := info.get("maxclients"):
        yield read("clients_used", info["connected_clients"] / most, note=f"{info['connected_clients']} of {most}")
    yield read("blocked_clients", info["blocked_clients"])
    yield read("rejected_connections", info["rejected_connections"])
    yield read("uptime", info["uptime_in_seconds"])


def _saves(info: Info, read: _Read) -> Iterator[Reading]:
    yield read("last_save_ok", info["rdb_last_bgsave_status"] == "ok")
    now = info["server_time_usec"] / 1e6 if "server_time_usec" in info else read("memory", 0).at.timestamp()
    never = "not saved since its start" if info.get("rdb_saves") == 0 else ""
    yield read("last_save_age", max(0.0, now - info["rdb_last_save_time"]), note=never)
    yield read("unsaved_changes", info["rdb_changes_since_last_save"])
    if info.get("aof_enabled"):
        parts = {"write": info["aof_last_write_status"], "rewrite": info["aof_last_bgrewrite_status"]}
        broken = [name for name, status in parts.items() if status != "ok"]
        yield read("aof_ok", not broken, note=f"the last {' and the last '.join(broken)} failed" if broken else "")


def _replication(info: Info, read: _Read) -> Iterator[Reading]:
    if info["role"] == _REPLICA:
        up = info["master_link_status"] == "up"
        yield read("replication_link_up", up)
        silent = "master_last_io_seconds_ago" if up else "master_link_down_since_seconds"
        yield read("replication_lag", max(0.0, float(info[silent])))
        return
    yield read("replicas", info["connected_slaves"])
    for name, replica in info.items():
        if re.fullmatch(r"slave\d+", name):
            address = f"{replica['ip']}:{replica['port']}"
            yield read("replication_lag", float(replica["lag"]), subject=address, note=replica["state"])


_Read = Callable[..., Measurement]
_PARTS: tuple[Callable[[Info, _Read], Iterator[Reading]], ...] = (_memory, _look_ups, _clients, _saves, _replication)
