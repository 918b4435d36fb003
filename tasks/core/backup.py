"""Backing up: what a kind's `backup.py` is given, and what it brings home. Pure; the vault is elsewhere.

A kind reads its system and writes parts into a *sink*, one after the other or side by side, as plain bytes: to
compress, encrypt, hash and store them is the vault's. What it returns becomes part of the manifest, which is written
last.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.system import Access, SystemSpec


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

    @property
    def encrypts(self) -> bool:
        """Whether parts are encrypted for somebody, those aside that are opened with `encrypt=False`."""
        ...

    def part(self, name: str, *, compress: bool = True, encrypt: bool = True) -> AbstractContextManager[PartWriter]:
        """Open a part; it counts once the block has ended without an exception, and is gone where it has not.

        A part that was given up may be written anew; while it is not, there is no backup.

        Args:
            name: Relative path such as `databases/shop.dump`; lower case and digits are safest. Each name once.
            compress: False for what is compressed already.
            encrypt: False only for what tells nothing of the content and the next backup must read, as whoever takes
                backups has no key: a list of hashes.
        """
        ...

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell how many bytes of the source are read, and of how many, where that is known."""
        ...


@dataclass(frozen=True)
class Parent:
    """An earlier complete backup that a new one may be made from.

    Attributes:
        id: Of the backup.
        taken: What was told of it.
        chain: Ids of those that it cannot be read without, oldest first.
        read: Yields the bytes of one of its parts that are not encrypted; the last step raises where it is damaged.
    """

    id: str
    taken: Taken
    chain: tuple[str, ...]
    read: Callable[[str], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        method: One of those that the system's plan names.
        parent: The newest complete backup of the same method, or None: then, or where it does not fit, all is taken.
        base: The newest complete backup of the method that this one goes on from (`BackupPlan.base`), or None.
    """

    method: str
    parent: Parent | None = None
    base: Parent | None = None


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
    parents: tuple[str, ...] = Field((), description="Ids of the backups that it cannot be read without, oldest first.")
    details: dict[str, Any] = Field(default_factory=dict, description="What restoring needs besides; never a secret.")
    warnings: tuple[str, ...] = Field((), description="What is not in it and might be missed, for a person.")
    source_bytes: int | None = Field(None, description="Size of the live system as it says itself.")


class Backup(Protocol):
    """Takes one backup: `backup` in a kind's `backup.py`. It blocks, and runs in a thread of a worker."""

    def __call__(self, spec: SystemSpec, access: Access, sink: Sink, order: Order, /) -> Taken:
        """Write every part and tell of them.

        Raises:
            WatchkeeperError: There is no backup; whatever was written counts for nothing.
        """
        ...


class Recovery(Protocol):
    """Writes how a backup is restored by hand: `recovery` in a kind's `backup.py`. Pure."""

    def __call__(self, taken: Taken, parts: Sequence[str], /) -> str:
        """Return Markdown for RECOVERY.md: commands with standard tools only, for this very backup.

        `{read:NAME}` stands for the shell command that writes the plain bytes of a part to its standard output; the
        vault puts it there. All other braces are the shell's.

        Args:
            taken: What `backup` told.
            parts: The names of its parts.
        """
        ...


_SAFE = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_LONGEST_NAME = 100


def safe_name(text: str) -> str:
    """Return a name for a part's path that no store and no shell takes for something else; different ones stay so.

    What is no lower-case letter, digit, dot, dash or underscore becomes `~` and its bytes in hexadecimal; a long name
    is cut, and ends in a part of its SHA-256.
    """
    if _SAFE.fullmatch(text) and len(text) <= _LONGEST_NAME:
        return text
    quoted = "".join(
        chr(byte) if chr(byte) in "abcdefghijklmnopqrstuvwxyz0123456789_-" else f"~{byte:02x}" for byte in text.encode()
    )
    if len(quoted) <= _LONGEST_NAME:
        return quoted or "~"
    return f"{quoted[:60]}~~{hashlib.sha256(text.encode()).hexdigest()[:32]}"
