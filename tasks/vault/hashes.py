"""The hashes that a vault knows for plain bytes, each named before its digits: `blake3:9f86...`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from blake3 import blake3

from tasks.core.errors import ConfigError


class Hasher(Protocol):
    """Takes bytes, and tells their hash."""

    def update(self, data: bytes, /) -> object:
        """Take some bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all that was taken, in hexadecimal digits."""
        ...


WRITTEN = "blake3"
_KNOWN: dict[str, Callable[[], Hasher]] = {
    "blake2b": lambda: hashlib.blake2b(digest_size=32),  # of backups that are older
    WRITTEN: blake3,
}


class PlainHash:
    """The hash of a part's plain bytes, as a manifest names it.

    Args:
        like: A hash of the same sort, such as a manifest's `plain_hash`; the sort that is written now without it.

    Raises:
        ConfigError: It is of a sort that is not known here.
    """

    def __init__(self, like: str = WRITTEN) -> None:
        self._sort = like.partition(":")[0]
        if self._sort not in _KNOWN:
            raise ConfigError(
                f"the hash {self._sort[:20]!r} is not known here", operation="read", hint="use a newer watchkeeper"
            )
        self._hasher = _KNOWN[self._sort]()
        self.update = self._hasher.update

    def __str__(self) -> str:
        return f"{self._sort}:{self._hasher.hexdigest()}"
