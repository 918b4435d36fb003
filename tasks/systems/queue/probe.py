"""Measures a work queue inside a Redis with redis-py. `grant.acl` holds what the Redis' user needs beside its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from typing import Any, cast

import redis.asyncio
from redis import exceptions

from tasks.clients.redis_server import connection, translated
from tasks.core.errors import ConfigError, Garbled, NotOffered
from tasks.core.moments import at_path, moment
from tasks.core.results import Gap, Reading
from tasks.core.system import Access
from tasks.systems.queue.spec import CATALOG, Spec

# Kombu's own names for Redis, the same in every version since 3.0.
_PRIORITY_SEPARATOR = "\x06\x16"
_UNACKNOWLEDGED = "unacked"
_DELIVERED = "unacked_index"


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield how many jobs wait, how long the oldest has waited, and what Celery's workers have not acknowledged."""
    client = connection(holder_address(spec, access), spec.timeout.total_seconds(), access)
    try:
        async with client:
            names = lists(spec)
            lengths = [await _whole(client.llen(name)) for name in names]
            yield CATALOG.read("depth", sum(lengths), at=access.now(), note=_by_priority(spec, lengths))
            if spec.timestamp is not None:
                async for reading in _oldest(client, spec, names, access):
                    yield reading
            if spec.celery is not None:
                async for reading in _unacknowledged(client, access):
                    yield reading
    except (exceptions.RedisError, OSError) as error:
        raise translated(error) from None


def holder_address(spec: Spec, access: Access) -> Any:
    """Return the address of the Redis that holds the queue.

    Raises:
        ConfigError: There is none.
    """
    holder: Any = (access.systems or {}).get(spec.inside)
    if holder is None or holder.kind != "redis":
        raise ConfigError(f"the platform has no Redis named {spec.inside}", hint="name one in `in`")
    return holder.url


async def _whole(answer: Awaitable[int] | int) -> int:
    """Await what redis-py's types leave open."""
    return await cast("Awaitable[int]", answer)


def lists(spec: Spec) -> list[str]:
    """Name the lists that make up the queue: Celery keeps one for each priority but 0 beside the queue's own."""
    if spec.celery is None:
        return [cast("str", spec.list)]
    return [f"{spec.celery}{_PRIORITY_SEPARATOR}{step}" if step else spec.celery for step in spec.priorities]


def _by_priority(spec: Spec, lengths: list[int]) -> str:
    if spec.celery is None or not any(lengths[1:]):
        return ""
    counts = zip(spec.priorities, lengths, strict=True)
    return ", ".join(f"{length} of priority {step}" for step, length in counts if length)


async def _oldest(client: redis.asyncio.Redis, spec: Spec, names: list[str], access: Access) -> AsyncIterator[Reading]:
    """Look at both ends of each list, as some push where others pop; no part of a job but its time is kept."""
    try:
        ends = [await cast("Awaitable[Any]", client.lindex(name, end)) for name in names for end in (0, -1)]
        times = [_time(job, cast("str", spec.timestamp)) for job in ends if job is not None]
    except exceptions.NoPermissionError as error:
        yield Gap.of(translated(error), "oldest_job")
        return
    except Garbled as error:
        yield Gap.of(error, "oldest_job")
        return
    now = access.now()
    age = max(((now - time).total_seconds() for time in times), default=0.0)
    yield CATALOG.read("oldest_job", max(age, 0.0), at=now, note="" if times else "nothing waits")


def _time(job: bytes | str, path: str) -> datetime:
    """Read when a job was made, from its JSON.

    Raises:
        Garbled: The job does not say so.
    """
    try:
        return moment(at_path(json.loads(job), path))
    except (LookupError, ValueError, RecursionError):
        hint = "see `timestamp` of the queue in the spec"
        raise Garbled(f"a job holds no time with its zone at {path}", hint=hint) from None


async def _unacknowledged(client: redis.asyncio.Redis, access: Access) -> AsyncIterator[Reading]:
    """Count what Celery's workers took; Celery keeps it for all queues of a database together."""
    try:
        count = await _whole(client.hlen(_UNACKNOWLEDGED))
        first: list[Any] = await client.zrange(_DELIVERED, 0, 0, withscores=True)
    except exceptions.NoPermissionError as error:
        yield Gap.of(translated(error), "unacknowledged")
        return
    now = access.now()
    yield CATALOG.read("unacknowledged", count, at=now)
    if first:
        yield CATALOG.read("oldest_unacknowledged", max(0.0, now.timestamp() - float(first[0][1])), at=now)
    else:
        yield Gap.of(NotOffered("no worker holds a job"), "oldest_unacknowledged")
