"""How a Redis is set and what it holds, for advice on its memory. Source: INFO; it needs no more than the probe."""

from __future__ import annotations

from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.advice.bundle import Cache
from tasks.core.advice.redis import Redis
from tasks.core.errors import Garbled
from tasks.core.system import Access
from tasks.systems.redis.spec import Spec

_ALERT = 0.8


async def facts(spec: Spec, access: Access) -> Cache:
    """Read how it is set.

    Raises:
        WatchkeeperError: It does not answer, or does not let INFO be read.
    """
    client = connection(spec.url, spec.timeout.total_seconds(), access)
    try:
        async with client:
            info = await client.info()
    except (exceptions.RedisError, OSError) as error:
        raise translated(error) from None
    try:
        server = of_info(info)
    except (KeyError, TypeError, ValueError) as error:
        raise Garbled(f"INFO lacks what every Redis says: {type(error).__name__} {error}") from None
    limit = spec.limits.get("memory_used")
    return Cache(server, alert=limit.warn.number if limit is not None and limit.warn is not None else _ALERT)


def of_info(info: dict[str, object]) -> Redis:
    """Take what counts out of INFO's answer.

    Raises:
        KeyError: It lacks what every version tells.
        ValueError: A number is none.
    """

    def number(name: str, otherwise: float | None = None) -> float:
        value = info[name] if otherwise is None else info.get(name, otherwise)
        return float(str(value))

    return Redis(
        used=number("used_memory"),
        peak=number("used_memory_peak"),
        maximum=number("maxmemory", 0),
        policy=str(info.get("maxmemory_policy", "")),
        evicted=number("evicted_keys"),
        resident=number("used_memory_rss", 0),
        machine=number("total_system_memory", 0),
        saves=bool(number("aof_enabled", 0) or number("rdb_saves", 0)),
        replicas=int(number("connected_slaves", 0)),
        backlog=number("repl_backlog_size", 0),
        written=number("master_repl_offset", 0) / max(number("uptime_in_seconds"), 1.0),
    )
