"""What the next backup knows of this one without any key: salted hashes, that tell no name and no content.

The first line says how they were made; each other one is of one object: 16 hexadecimal digits of its key, 16 of its
size, ETag and time, the number of the backup in the chain that holds it, of the part, and of the member in that part.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import Garbled

FINGERPRINTS = "fingerprints.jsonl"
_FORMAT = 1
_NUMBER_BITS, _PART_BITS, _ODD_BIT = 24, 24, 1
_Numbers = NDArray[np.uint64]


class Where(NamedTuple):
    """Which member holds an object: number of the backup in the chain, of the part in it, of the member in that.

    `odd` tells that the member's name is not the key.
    """

    holder: int
    part: int
    number: int
    odd: bool

    def packed(self) -> int:
        """Return it as one number of 64 bits."""
        upper = (self.holder << _PART_BITS | self.part) << _NUMBER_BITS | self.number
        return upper << _ODD_BIT | self.odd

    @classmethod
    def unpacked(cls, number: int) -> Where:
        """Return what `packed` gave."""
        upper, odd = divmod(number, 1 << _ODD_BIT)
        upper, member = divmod(upper, 1 << _NUMBER_BITS)
        return cls(*divmod(upper, 1 << _PART_BITS), member, bool(odd))


@dataclass(frozen=True)
class Head:
    """The first line.

    Attributes:
        salt: Of all hashes of the chain.
        scope: Hash of what is copied: another one begins a new chain.
        chain: The ids of the backups before this one, oldest first; this one's number is their count.
    """

    salt: bytes
    scope: str
    chain: tuple[str, ...]

    def line(self) -> bytes:
        """Return it as a line."""
        told = {"format": _FORMAT, "salt": self.salt.hex(), "scope": self.scope, "chain": self.chain}
        return json.dumps(told, separators=(",", ":")).encode() + b"\n"

    def of_key(self, key: str, version: str = "") -> int:
        """Return the hash of an object's name."""
        return self._hash(f"{key}\0{version}" if version else key)

    def of_state(self, size: int, tag: str, at: str) -> int:
        """Return the hash of what changes when an object does."""
        return self._hash(f"{size} {tag} {at}")

    def _hash(self, text: str) -> int:
        data = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self.salt).digest(), "big")


def line(key: int, state: int, where: Where) -> bytes:
    """Return the line of one object."""
    return b'["%016x%016x",%d,%d,%d,%d]\n' % (key, state, where.holder, where.part, where.number, where.odd)


class Known:
    """The objects of an earlier backup: 24 bytes each, found by halving."""

    def __init__(self, head: Head, keys: array[int], states: array[int], wheres: array[int]) -> None:
        self.head = head
        order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable") if keys else np.empty(0, np.int64)
        self._keys, self._states, self._wheres = (
            (np.frombuffer(column, np.uint64) if column else np.empty(0, np.uint64))[order]
            for column in (keys, states, wheres)
        )
        self._seen = np.zeros(len(self._keys), bool)

    def look(self, key: int, state: int) -> Where | bool:
        """Return where an object is that is unchanged, True where it has changed, and False where it is new."""
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at == len(self._keys) or int(self._keys[at]) != key:
            return False
        self._seen[at] = True
        return Where.unpacked(int(self._wheres[at])) if int(self._states[at]) == state else True

    @property
    def unseen(self) -> int:
        """How many objects were never looked for: those that are gone."""
        return int(len(self._seen) - self._seen.sum())


def read(lines: Iterable[bytes]) -> Known:
    """Read fingerprints.

    Raises:
        Garbled: A line is damaged, or the format is another.
    """
    found = iter(lines)
    head = _head(next(found, b""))
    keys, states, wheres = (array("Q") for _ in range(3))
    for text in found:
        hashes, where = _object(text, len(head.chain))
        keys.append(hashes >> 64)
        states.append(hashes & 0xFFFF_FFFF_FFFF_FFFF)
        wheres.append(where.packed())
    return Known(head, keys, states, wheres)


def _head(text: bytes) -> Head:
    try:
        told: dict[str, Any] = json.loads(text)
        if told["format"] == _FORMAT:
            return Head(bytes.fromhex(told["salt"]), str(told["scope"]), tuple(map(str, told["chain"])))
    except (ValueError, KeyError, TypeError):
        pass
    raise Garbled("they have no head that this version knows", operation=f"read {FINGERPRINTS}")


def _object(text: bytes, newest: int) -> tuple[int, Where]:
    try:
        hashes, holder, part, number, odd = json.loads(text)
        where = Where(int(holder), int(part), int(number), bool(odd))
        if len(hashes) == 32 and 0 <= where.holder <= newest:  # noqa: PLR2004 - two hashes of 16 digits
            return int(hashes, 16), where
    except (ValueError, TypeError):
        pass
    raise Garbled("a line is damaged", operation=f"read {FINGERPRINTS}")


def lines(source: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into lines."""
    rest = b""
    for data in source:
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
    if rest:
        yield rest
