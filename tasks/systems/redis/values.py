"""A checksum of what keys hold: the same on any version, whatever the encoding in memory and the order of its parts.

Keys that expire are left out, as they go by themselves. Each key is read by the commands of its type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import redis

from tasks.systems.redis.connection import selected
from tasks.systems.redis.counting import keys_by_database

MOST_KEYS, MOST_BYTES = 50_000, 128 << 20
"""With more than so many keys or bytes of them, a server that people use is not asked to read them all."""
_AT_ONCE = 200
_FOREVER = -1
_BYTES = 16
_MODULUS = 1 << 8 * _BYTES
_READS = {
    b"string": lambda pipe, key: pipe.execute_command("GET", key),
    b"list": lambda pipe, key: pipe.execute_command("LRANGE", key, 0, -1),
    b"set": lambda pipe, key: pipe.execute_command("SMEMBERS", key),
    b"zset": lambda pipe, key: pipe.execute_command("ZRANGE", key, 0, -1, "WITHSCORES"),
    b"hash": lambda pipe, key: pipe.execute_command("HGETALL", key),
    b"stream": lambda pipe, key: pipe.execute_command("XRANGE", key, "-", "+"),
}


def is_small(info: dict[str, Any], keys: dict[str, int]) -> bool:
    """Tell whether all keys of a server can be read at little cost."""
    return sum(keys.values()) <= MOST_KEYS and int(info.get("used_memory_dataset", MOST_BYTES + 1)) <= MOST_BYTES


def digest(client: redis.Redis) -> str:
    """Return the server's own digest of all keys, those that expire among them; one that people use would stand still.

    Raises:
        redis.ResponseError: It does not offer it.
    """
    anyhow: Any = client
    found = anyhow.execute_command("DEBUG", "DIGEST")
    return found.decode() if isinstance(found, bytes) else str(found)


def checksum(client: redis.Redis) -> str:
    """Read every key that lasts, in all databases, and return the sum of their hashes.

    Raises:
        redis.RedisError: As the server says; `NoPermissionError` where the user may not read keys.
    """
    total = 0
    for name in keys_by_database(client):
        database = int(name.removeprefix("keys/db"))
        with selected(client, database) as one:
            keys = list(set(one.scan_iter(count=_AT_ONCE)))  # SCAN may tell a key twice
            for at in range(0, len(keys), _AT_ONCE):
                total += sum(_hashes(one, database, keys[at : at + _AT_ONCE]))
    return f"{total % _MODULUS:0{2 * _BYTES}x}"


def _hashes(client: Any, database: int, keys: list[bytes]) -> Iterator[int]:
    asked = client.pipeline(transaction=False)
    for key in keys:
        asked.execute_command("PTTL", key)
        asked.execute_command("TYPE", key)
    answers = asked.execute()
    lasting = [
        (key, kind if isinstance(kind, bytes) else str(kind).encode())
        for key, left, kind in zip(keys, answers[::2], answers[1::2], strict=True)
        if left == _FOREVER
    ]
    known = [(key, kind) for key, kind in lasting if kind in _READS]
    reads = client.pipeline(transaction=False)
    for key, kind in known:
        _READS[kind](reads, key)
    for (key, kind), value in zip(known, reads.execute(), strict=True):
        yield _hash(database, key, kind, value)
    yield from (_hash(database, key, kind, None) for key, kind in lasting if kind not in _READS)


def _hash(database: int, key: bytes, kind: bytes, value: Any) -> int:
    found = hashlib.blake2b(digest_size=_BYTES)
    for piece in (str(database).encode(), key, kind, *_plain(kind, value)):
        found.update(len(piece).to_bytes(8, "big"))
        found.update(piece)
    return int.from_bytes(found.digest(), "big")


def _plain(kind: bytes, value: Any) -> Iterator[bytes]:
    """Yield a value's pieces in an order of their own where they have none."""
    if kind == b"set":
        yield from sorted(value)
    elif kind == b"hash":
        yield from _flat(sorted(value.items()))
    elif kind == b"zset":  # versions write the same number in several ways
        for place, piece in enumerate(_flat(value)):
            yield repr(float(piece)).encode() if place % 2 else piece
    elif value is not None:
        yield from _flat(value)


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _flat(pair)
    else:
        yield value if isinstance(value, bytes) else repr(value).encode()
