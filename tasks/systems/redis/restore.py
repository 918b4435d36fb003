"""Restores an RDB: into a scratch server, and from there key by key into a named one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import redis

from tasks.clients.places import places
from tasks.core.errors import ConfigError
from tasks.core.manifest import Manifest
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.system import Access
from tasks.core.versions import must_not_be_older, release
from tasks.systems.redis.backup import PART
from tasks.systems.redis.connection import connected, selected
from tasks.systems.redis.counting import keys_by_database
from tasks.systems.redis.rdb import Check
from tasks.systems.redis.scratch import RDB, READS_REDIS, made_by, program, scratch
from tasks.systems.redis.spec import Spec
from tasks.systems.redis.values import checksum, digest, is_small

_AT_ONCE = 500
_FOREVER = -1


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Load the RDB into a scratch server; with `order.into`, copy its keys to there. `order.only` has key prefixes.

    Keys whose time was up since the backup are counted, and never given out.

    Raises:
        ConfigError: The place has keys, is the live server, or is older than the backup; the time is another.
        Garbled: The RDB is damaged.
        NotOffered: There is no server here to load it.
    """
    _possible(spec, access, source, order)
    with order.phase(Phase.PROVISION):
        command = ready(source.manifest)
        if order.into is not None:
            _must_take(order.into, access, source.manifest)
    with order.phase(Phase.FETCH):
        moment = _fetch(source, order)
    with ExitStack() as opened:
        with order.phase(Phase.RESTORE):
            address, _ = opened.enter_context(scratch(command, order.folder))
            restored = _loaded(address, access, order)
        yield replace(restored, recovered_to=moment or source.manifest.consistent_as_of)


def ready(manifest: Manifest) -> str:
    """Name the server that a backup is restored into here.

    Raises:
        NotOffered: There is none.
        ConfigError: It is older than the backup.
    """
    command = program(_product(manifest))
    _must_read(*made_by(command), manifest)
    return command


def _product(manifest: Manifest) -> str:
    return str(manifest.details.get("server", "redis"))


def _must_read(product: str, version: str, manifest: Manifest) -> None:
    """Refuse a server that is older than the backup, or a Valkey where the backup is of a Redis that it never read."""
    taken = _product(manifest)
    if product == taken:
        must_not_be_older(version, manifest.server_version, product=product.capitalize())
    elif taken == "redis" and release(manifest.server_version) > release(READS_REDIS):
        raise ConfigError(
            f"the place is Valkey {version}, which reads what Redis {READS_REDIS} wrote and nothing newer: "
            f"the backup was taken of Redis {manifest.server_version}",
            operation="restore",
            hint="restore into a redis-server of that version or newer; nothing was written",
        )


def _loaded(address: str, access: Access, order: Order) -> Restored:
    """Count what was loaded, leave out what is not wanted, and copy the rest to the named place, if any."""
    details: dict[str, Any] = {"only": list(order.only)} if order.only else {}
    with connected(address) as client:
        server = client.info("server")
        if order.only:
            _keep_only(client, order.only)
        counts = keys_by_database(client)
        if order.into is None:
            details |= _digest(client)
        elif is_small(client.info("memory"), counts):
            details["values"] = checksum(client)
    if order.into is not None:
        details["expired"] = _copy(address, order.into, access)
    return Restored(
        address=order.into or address,
        server_version=str(server.get("valkey_version") or server["redis_version"]),
        counts=counts,
        details=details,
    )


def _digest(client: redis.Redis) -> dict[str, Any]:
    """Return what the server itself makes of all its keys, where it does."""
    try:
        return {"digest": digest(client)}
    except redis.ResponseError:
        return {}


def endpoints(address: str) -> frozenset[str]:
    """Return the server behind an address, names resolved; its databases are one place, as an RDB has them all."""
    parts = urlsplit(address)
    try:
        return places(parts.hostname or "127.0.0.1", parts.port or 6379)
    except ValueError:
        raise ConfigError("the url is no Redis address", hint="write redis://[user:password@]host:port/db") from None


def _possible(spec: Spec, access: Access, source: Source, order: Order) -> None:
    """Refuse what cannot be done before anything is touched."""
    shown = source.manifest.consistent_as_of
    if (order.until is not None and order.until < shown) or order.position is not None:
        raise ConfigError(f"this backup shows {shown:%Y-%m-%d %H:%M:%S} UTC only", hint="choose an earlier backup")
    if order.into is not None and endpoints(order.into) & endpoints(access.resolver.resolve(spec.url)):
        raise ConfigError("this is the live server", hint="name another one, then let the application use it")


def _fetch(source: Source, order: Order) -> datetime | None:
    """Write the RDB where the server starts, and check it on the way; return when it was taken, as it says itself."""
    check, total = Check(), source.manifest.part(PART).plain_bytes
    path = order.folder / RDB
    path.touch(mode=0o600)
    with path.open("wb") as file:
        for chunk in source.read(PART):
            check.take(chunk)
            file.write(chunk)
            order.progress(check.size, total)
    check.finish()
    return None if check.seconds is None else datetime.fromtimestamp(check.seconds, UTC)


def _must_take(into: str, access: Access, manifest: Manifest) -> None:
    """Refuse a place that would not read the keys, or that has keys of its own."""
    with connected(into, access.ca_bundle) as target:
        server = target.info("server")
        product = "valkey" if "valkey_version" in server else "redis"
        _must_read(product, str(server[f"{product}_version"]), manifest)
        if found := keys_by_database(target):
            raise ConfigError(
                f"the place is not empty: it has {sum(found.values())} keys",
                hint="name an empty server, or empty this one with FLUSHALL where nobody needs it",
            )


def _databases(client: redis.Redis) -> Iterator[int]:
    """Select each database that has keys, one after the other, on a client's only connection."""
    for name in keys_by_database(client):
        yield int(name.removeprefix("keys/db"))


def _keep_only(client: redis.Redis, prefixes: Iterable[str]) -> None:
    """Remove every key that begins with none of the prefixes."""
    wanted = tuple(prefix.encode() for prefix in prefixes)
    for database in list(_databases(client)):
        with selected(client, database) as one:
            others = (key for key in one.scan_iter(count=_AT_ONCE) if not key.startswith(wanted))
            for batch in _batches(others):
                one.unlink(*batch)


def _copy(address: str, into: str, access: Access) -> int:
    """Copy every key with its time to live; return of how many that time is up."""
    copied = 0
    with connected(address) as client, connected(into, access.ca_bundle) as target:
        held = sum(keys_by_database(client).values())
        for database in list(_databases(client)):
            with selected(client, database) as one, selected(target, database) as other:
                for batch in _batches(one.scan_iter(count=_AT_ONCE)):
                    copied += _move(one, other, batch)
    return held - copied


def _move(one: Any, other: Any, keys: list[bytes]) -> int:
    asked = one.pipeline(transaction=False)
    for key in keys:
        asked.dump(key)
        asked.pttl(key)
    answers = asked.execute()
    given = other.pipeline(transaction=False)
    for key, value, left in zip(keys, answers[::2], answers[1::2], strict=True):
        if value is not None:
            given.restore(key, 0 if left == _FOREVER else max(left, 1), value)
    try:
        return len(given.execute())
    except redis.ResponseError as error:
        if re.search(r"version or checksum|Bad data format", str(error)):
            raise ConfigError(
                "the place is older than what the keys were read with", hint="use a newer server"
            ) from None
        if re.search(r"MOVED|CLUSTERDOWN", str(error)):
            raise ConfigError("the place is a cluster", hint="name a single server") from None
        raise


def _batches(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    held: list[bytes] = []
    for key in keys:
        held.append(key)
        if len(held) >= _AT_ONCE:
            yield held
            held = []
    if held:
        yield held
