"""A checksum of a collection that is the same in whatever order its documents come: the sum of their hashes.

MongoDB's own dbHash depends on storage and is not offered everywhere; this one is kept up to date while the oplog is
replayed, one document at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from tasks.systems.mongodb.connection import Blocking
from tasks.systems.mongodb.layout import RAW, documents

_BYTES = 16
_MODULUS = 1 << 8 * _BYTES


def hashed(document: bytes) -> int:
    """Return the hash of one document of BSON as a number."""
    return int.from_bytes(hashlib.blake2b(document, digest_size=_BYTES).digest(), "big")


def moved(total: int, *, gone: Iterable[bytes] = (), come: Iterable[bytes] = ()) -> int:
    """Return a sum once documents have gone and others have come."""
    return (total + sum(map(hashed, come)) - sum(map(hashed, gone))) % _MODULUS


def shown(total: int) -> str:
    """Write a sum for a person, and to be compared."""
    return f"{total:0{2 * _BYTES}x}"


def sum_of(client: Blocking, database: str, name: str) -> str:
    """Read a collection as the server has it, and return its sum."""
    collection = client[database].get_collection(name, codec_options=RAW)
    total = 0
    batches: Iterable[Any] = collection.find_raw_batches({})
    for batch in batches:
        total = moved(total, come=documents([batch]))
    return shown(total)
