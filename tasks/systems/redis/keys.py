"""Surveys the keys of a Redis: a sample by SCAN, bounded in keys and time; it reads how keys are, never what they hold.

SCAN walks the hash table in an order that has nothing to do with the names, so what comes first is a fair sample.
"""

from __future__ import annotations

import asyncio
import re
import statistics
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import redis.asyncio
from redis import exceptions

from tasks.clients.redis_server import translated
from tasks.core.errors import Denied, NotOffered
from tasks.core.results import Gap, Reading
from tasks.core.system import Access
from tasks.core.units import format_bytes
from tasks.systems.redis.spec import CATALOG, Survey

_PAGE = 500
_WEIGHED = 1_000  # MEMORY USAGE looks inside a key, so only so many are weighed
_NAMED = 3
_FOREVER, _GONE = -1, -2
_REST = "other keys"
# A session's key is a credential, and a hash says nothing to a reader.
_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
_LONGEST_NAME = 60


@dataclass
class _Group:
    """What was seen of the keys of one pattern."""

    keys: list[bytes] = field(default_factory=list)
    expiries: list[float] = field(default_factory=list)
    forever: int = 0
    weights: list[tuple[int, bytes]] = field(default_factory=list)


async def survey(client: redis.asyncio.Redis, spec: Survey, access: Access, seconds: float) -> AsyncIterator[Reading]:
    """Yield by pattern how many keys there are, how many never expire, when they expire, and how large they get.

    Args:
        client: Open, on the database to look at.
        spec: The patterns and the bound on keys.
        access: The clock.
        seconds: The survey ends after this long, with what it has seen by then.
    """
    end = asyncio.get_running_loop().time() + seconds
    try:
        total = int(await client.dbsize())
        groups: dict[str, _Group] = {name: _Group() for name in (*spec.patterns, _REST)}
        sample = await _sample(client, spec.keys, end)
        for key in sample:
            groups[_group(key, spec)].keys.append(key)
        for group in groups.values():
            await _ask_expiries(client, group, end)
        await _weigh(client, [group for group in groups.values() if group.keys], end)
    except exceptions.NoPermissionError as error:
        denied = Denied(translated(error).message, hint="grant what grant-survey.acl beside the kind holds")
        for name in ("pattern_keys", "without_ttl", "shortest_ttl", "median_ttl", "biggest_key"):
            yield Gap.of(denied, name)
        return
    for name, group in groups.items():
        if group.keys or name != _REST:
            for reading in _told(name, group, sampled=len(sample), total=total, access=access):
                yield reading


async def _sample(client: redis.asyncio.Redis, most: int, end: float) -> list[bytes]:
    clock = asyncio.get_running_loop().time
    seen: dict[bytes, None] = {}
    cursor: int = 0
    while True:
        answer: Any = await client.scan(cursor, count=_PAGE)
        cursor, page = answer
        seen |= dict.fromkeys(page)
        if not cursor or len(seen) >= most or clock() > end:
            return list(seen)[:most]


def _group(key: bytes, spec: Survey) -> str:
    text = key.decode("utf-8", errors="replace")
    return next((name for name, pattern in spec.patterns.items() if fnmatchcase(text, pattern)), _REST)


def _pages(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), _PAGE):
        yield keys[start : start + _PAGE]


async def _ask_expiries(client: redis.asyncio.Redis, group: _Group, end: float) -> None:
    for page in _pages(group.keys):
        if asyncio.get_running_loop().time() > end:
            return
        for left in await _pipelined(client, (("PTTL", key) for key in page)):
            group.forever += left == _FOREVER
            if left > _GONE + 1:
                group.expiries.append(left / 1000)


async def _weigh(client: redis.asyncio.Redis, groups: list[_Group], end: float) -> None:
    for group in groups:
        for page in _pages(group.keys[: _WEIGHED // len(groups)]):
            if asyncio.get_running_loop().time() > end:
                return
            sizes = await _pipelined(client, (("MEMORY USAGE", key) for key in page))
            group.weights += [(size, key) for size, key in zip(sizes, page, strict=True) if size is not None]


async def _pipelined(client: redis.asyncio.Redis, commands: Iterable[tuple[str, bytes]]) -> list[Any]:
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute()
        return answers


def _told(name: str, group: _Group, *, sampled: int, total: int, access: Access) -> Iterator[Reading]:
    at, whole = access.now(), sampled >= total
    sample = "" if whole else f"estimated by a sample of {sampled:,} of {total:,} keys"
    count = len(group.keys) if whole else round(len(group.keys) / sampled * total) if sampled else 0
    yield CATALOG.read("pattern_keys", count, at=at, subject=name, note=sample)
    yield from _weighed(name, group, access)
    if name == _REST:
        return  # nobody has said what these are, nor that they should expire
    asked = group.forever + len(group.expiries)
    looked = f"of {asked:,} keys" + ("" if whole else f"; {sample.removeprefix('estimated by ')}")
    if asked:
        yield CATALOG.read("without_ttl", group.forever / asked, at=at, subject=name, note=looked)
    elif group.keys:
        for measurement in ("without_ttl", "median_ttl"):
            yield Gap.of(
                NotOffered("the survey's time was over", hint="raise timeout, or lower keys"), measurement, name
            )
    if group.expiries:
        yield CATALOG.read("shortest_ttl", min(group.expiries), at=at, subject=name, note=looked)
        yield CATALOG.read("median_ttl", statistics.median(group.expiries), at=at, subject=name, note=looked)


def _weighed(name: str, group: _Group, access: Access) -> Iterator[Reading]:
    if group.weights:
        largest = sorted(group.weights, reverse=True)[:_NAMED]
        named = ", ".join(f"{_shown(key)} {format_bytes(size)}" for size, key in largest)
        note = f"{named}; of {len(group.weights):,} keys"
        yield CATALOG.read("biggest_key", largest[0][0], at=access.now(), subject=name, note=note)


def _shown(key: bytes) -> str:
    """Name a key so that a person finds its kind, and nobody finds a token."""
    text = _TOKEN.sub(lambda found: found[0][:4] + "...", key.decode("utf-8", errors="replace"))
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "..."
