"""A store seen through damage: what a drill reads to see that damage is seen. Nothing is ever written through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from tasks.clients.blobs import BlobStore, BlobWriter, Scale, Unfinished
from tasks.core.errors import Denied, PermanentError
from tasks.vault.vault import Vault


class Damage(StrEnum):
    """What may have happened to a blob."""

    TRUNCATED = "truncated"
    FLIPPED = "bit-flipped"
    MISSING = "missing"


class ReadOnly:
    """A store through which nothing can be written or removed."""

    def __init__(self, inner: BlobStore) -> None:
        self._inner = inner

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        return self._inner.get(key)

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        return self._inner.list(prefix)

    def where(self, key: str) -> str:
        """Return where a person finds the blob."""
        return self._inner.where(key)

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, from a place in it on."""
        return self._inner.reading(key, start)

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix."""
        return self._inner.folders(prefix)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        return self._inner.sizes(prefix)

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key."""
        return self._inner.sizes_along(prefixes, scale)

    def sums(self, prefix: str = "") -> dict[str, str] | None:  # noqa: ARG002 - as every store has it
        """Return None: of what is damaged, nobody says what it adds up to."""
        return None

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:
        """Return what was begun and not ended."""
        return self._inner.unfinished(prefix)

    def locked_until(self, key: str) -> datetime | None:
        """Return until when the store lets nobody remove a blob."""
        return self._inner.locked_until(key)

    def require_lock(self, key: str = "") -> None:
        """See that the store did lock a blob."""
        self._inner.require_lock(key)

    def put(self, key: str, data: bytes) -> None:  # noqa: ARG002 - as every store has it
        """Refuse."""
        self._refuse(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:  # noqa: ARG002
        """Refuse."""
        self._refuse(key)

    def delete(self, key: str) -> None:
        """Refuse."""
        self._refuse(key)

    def writing(self, key: str) -> AbstractContextManager[BlobWriter]:
        """Refuse."""
        self._refuse(key)

    def abort(self, unfinished: Unfinished) -> None:
        """Refuse."""
        self._refuse(unfinished.key)

    def _refuse(self, key: str) -> NoReturn:
        raise Denied("a drill writes nothing to a vault", operation=f"write {key}")


class Damaged(ReadOnly):
    """A store in which one blob is damaged, for whoever reads through it.

    Args:
        inner: The sound store.
        key: Of the blob.
        damage: What happened to it.
    """

    def __init__(self, inner: BlobStore, key: str, damage: Damage) -> None:
        super().__init__(inner)
        self._key, self._damage = key, damage

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none any more."""
        if key != self._key:
            return super().get(key)
        return None if self._damage is Damage.MISSING else b"".join(self.reading(key))

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, without one that is missing."""
        return [key for key in super().list(prefix) if not self._is_missing(key)]

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob, as the damage left it."""
        found = super().sizes(prefix)
        if self._key in found and self._damage is Damage.TRUNCATED:
            found[self._key] //= 2
        return {key: size for key, size in found.items() if not self._is_missing(key)}

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes, as the damage left them, from a place in it on."""
        if self._is_missing(key):
            raise PermanentError("it is not there", operation=f"read {key}")
        if key != self._key:
            yield from super().reading(key, start)
            return
        middle = self._inner.sizes(key).get(key, 0) // 2
        done = start
        for data in super().reading(key, start):
            if self._damage is Damage.TRUNCATED:
                yield data[: max(middle - done, 0)]
            elif done <= middle < done + len(data):
                place = middle - done
                yield data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            else:
                yield data
            done += len(data)

    def _is_missing(self, key: str) -> bool:
        return key == self._key and self._damage is Damage.MISSING


def through(vault: Vault, store: ReadOnly) -> Vault:
    """Return the vault as it is read through another store; nothing can be written or removed there."""
    return replace(vault, store=store, keeper=None, eraser=None)
