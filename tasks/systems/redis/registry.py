"""Reads a service registry in a Redis: a key for each service, which holds JSON or a hash with state and heartbeat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import redis.asyncio
from redis import exceptions

from tasks.clients.redis_server import translated
from tasks.core.errors import Denied, Garbled
from tasks.core.moments import at_path, moment
from tasks.core.results import Gap, Reading
from tasks.core.system import Access
from tasks.systems.redis.spec import CATALOG, Registry

_PAGE = 2_000
_MOST = 500
_LONGEST = 64 << 10
_NAMES = ("services_registered", "service_registered", "service_healthy", "heartbeat_age")


async def registered(
    client: redis.asyncio.Redis, spec: Registry, access: Access, seconds: float
) -> AsyncIterator[Reading]:
    """Yield for each service that is registered, or should be, whether it is, how it says it is, and since when.

    Args:
        client: Open, on the registry's database.
        spec: Where the registry is and what it must hold.
        access: The clock.
        seconds: Looking for entries ends after this long.
    """
    try:
        names, cut = await _names(client, spec, asyncio.get_running_loop().time() + seconds)
        entries = await _entries(client, spec, sorted({*names, *spec.services}))
    except exceptions.NoPermissionError as error:
        denied = Denied(translated(error).message, hint="grant what grant-registry.acl beside the kind holds")
        for name in _NAMES:
            yield Gap.of(denied, name)
        return
    present = {name: entry for name, entry in entries.items() if entry is not None}
    note = f"at least: the look for entries was cut after {len(names)}" if cut else ", ".join(present)
    yield CATALOG.read("services_registered", len(present), at=access.now(), note=note)
    for name in spec.services:
        yield CATALOG.read("service_registered", name in present, at=access.now(), subject=name)
    for name, entry in present.items():
        for reading in _told(name, entry, spec, access):
            yield reading


async def _names(client: redis.asyncio.Redis, spec: Registry, end: float) -> tuple[list[str], bool]:
    """Find the services by SCAN, which blocks nothing however many other keys there are."""
    clock = asyncio.get_running_loop().time
    found: set[str] = set()
    cursor: int = 0
    while True:
        answer: Any = await client.scan(cursor, match=spec.keys, count=_PAGE)
        cursor, page = answer
        found |= {spec.service(key.decode("utf-8", errors="replace")) for key in page}
        if not cursor:
            return sorted(found)[:_MOST], len(found) > _MOST
        if len(found) >= _MOST or clock() > end:
            return sorted(found)[:_MOST], True


async def _entries(client: redis.asyncio.Redis, spec: Registry, names: list[str]) -> dict[str, Any]:
    """Return for each service its entry as a document, None where there is none, Garbled where it cannot be read.

    However large an entry is, only its beginning is fetched; of a hash, only the fields that the spec names.
    """
    keys = [spec.key(name) for name in names]
    texts = await _pipelined(client, [("GETRANGE", key, 0, _LONGEST) for key in keys])
    hashes = [key for key, text in zip(keys, texts, strict=True) if isinstance(text, exceptions.ResponseError)]
    fields = [spec.status, *filter(None, [spec.heartbeat])]
    found = await _pipelined(client, [("HMGET", key, *fields) for key in hashes])
    read = dict(zip(hashes, (_from_hash(fields, values) for values in found), strict=True))
    pairs = zip(names, keys, texts, strict=True)
    return {name: read[key] if key in read else _from_text(text) for name, key, text in pairs}


async def _pipelined(client: redis.asyncio.Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    if not commands:
        return []
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, exceptions.NoPermissionError):
            raise answer
    return answers


def _from_hash(fields: list[str], values: Any) -> Any:
    if isinstance(values, exceptions.ResponseError):
        return Garbled("its entry is neither text nor a hash")
    pairs = zip(fields, values, strict=True)
    return {name: value.decode(errors="replace") for name, value in pairs if value is not None}


def _from_text(text: bytes) -> Any:
    if not text:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else Garbled("its entry is no JSON object of a service")


def _told(name: str, entry: Any, spec: Registry, access: Access) -> Iterator[Reading]:
    if isinstance(entry, Garbled):
        yield Gap.of(entry, "service_healthy", name)
        return
    try:
        status = str(at_path(entry, spec.status))
    except LookupError as error:
        yield Gap.of(
            Garbled(f"its entry says nothing of its state: {error}", hint="see `status`"), "service_healthy", name
        )
    else:
        well = status.lower() in {word.lower() for word in spec.healthy}
        yield CATALOG.read("service_healthy", well, at=access.now(), subject=name, note=f"it says {status[:60]}")
    if spec.heartbeat is None:
        return
    try:
        beat = moment(at_path(entry, spec.heartbeat))
    except (LookupError, ValueError) as error:
        yield Gap.of(Garbled(f"its entry tells no heartbeat: {error}", hint="see `heartbeat`"), "heartbeat_age", name)
    else:
        now = access.now()
        yield CATALOG.read("heartbeat_age", max(0.0, (now - beat).total_seconds()), at=now, subject=name)
