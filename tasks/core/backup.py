"""Backing up: what a kind's `backup.py` is given, and what it brings home. Pure; the vault is elsewhere.

A kind reads its system and writes parts into a *sink*, one after the other or side by side, as plain bytes: to
compress, encrypt, hash and store them is the vault's. What it returns becomes part of the manifest, which is written
last.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from tasks.core.model import Model


class PartWriter(Protocol):
    """Takes the bytes of one part."""

    def write(self, data: bytes, /) -> object:
        """Take some bytes; blocks while the store is slower than the source.

        Raises:
            WatchkeeperError: The store refuses; the source should end.
        """
        ...


class Sink(Protocol):
    """Where a kind writes the parts of a backup to."""

    def part(self, name: str, *, compress: bool = True) -> AbstractContextManager[PartWriter]:
        """Open a part; it counts once the block has ended without an exception, and is gone where it has not.

        Args:
            name: Relative path such as `databases/shop.dump`; lower case and digits are safest. Each name once.
            compress: False for what is compressed already.
        """
        ...

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell how many bytes of the source are read, and of how many, where that is known."""
        ...


class Taken(Model):
    """What a kind tells of the backup that it took."""

    method: str = Field(description="How: `logical`, `physical`, `snapshot`, `rdb`, `manifests`, `copy`, `archive`.")
    consistent_as_of: AwareDatetime = Field(description="The moment that the copy shows.")
    server_version: str = ""
    tools: dict[str, str] = Field(
        default_factory=dict, description="Programs and libraries that took it: `pg_dump` 18.1."
    )
    position: dict[str, str] = Field(
        default_factory=dict, description="Where in the system's own history: `lsn`, `oplog`, `resource_version`."
    )
    counts: dict[str, int] = Field(
        default_factory=dict, description="What must be there again: `databases/shop/public.orders` 1200, `keys` 17."
    )
    details: dict[str, Any] = Field(default_factory=dict, description="What restoring needs besides; never a secret.")
    warnings: tuple[str, ...] = Field((), description="What is not in it and might be missed, for a person.")
    source_bytes: int | None = Field(None, description="Size of the live system as it says itself.")
