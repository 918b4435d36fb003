"""Restoring: what a kind's `restore.py` and `verify.py` are given, and what they bring home. Pure.

A kind reads parts from a *source* and makes a system out of them: in *scratch*, a server of its own that it starts for
the purpose and that is gone afterwards, or in a named place that people gave. What it tells is measured; whether that
is good enough is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from tasks.core.manifest import Manifest
from tasks.core.model import Model
from tasks.core.results import Outcome
from tasks.core.system import Access, SystemSpec


class Phase(StrEnum):
    """The phases of a recovery, each timed for itself."""

    DETECT = "detect"
    PROVISION = "provision"
    FETCH = "fetch"
    RESTORE = "restore"
    RECOVER = "recover"
    VERIFY = "verify"
    SWITCH = "switch"


class Source(Protocol):
    """One complete backup in a vault, and what it is made from."""

    @property
    def manifest(self) -> Manifest:
        """What is known of it."""
        ...

    def read(self, part: str) -> Iterator[bytes]:
        """Yield what a part holds, as the kind wrote it; the last step raises where anything was wrong with it.

        Raises:
            ConfigError: It is encrypted, and there is no identity, or another one.
            Garbled: It is damaged.
        """
        ...

    def parent(self, backup: str) -> Source:
        """Return one of the backups that it is made from.

        Raises:
            Garbled: It is not there any more; the message names it.
        """
        ...

    def later(self, method: str) -> Sequence[Source]:
        """Return the system's backups of another method that show a later moment than this one, oldest first.

        Oplog slices, for one. Whether they join without a gap, the kind sees by their positions.
        """
        ...

    def archived(self) -> Sequence[str]:
        """Name what lies in the system's continuous archive: write-ahead log, sorted."""
        ...

    def read_archived(self, name: str) -> Iterator[bytes]:
        """Yield a file of the continuous archive, as it was written."""
        ...


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        into: The resolved address of a named place; None for scratch. It may hold a password.
        folder: An empty folder for scratch, on a disk with room; whoever asked removes it.
        until: The point in time to restore to: aware, UTC; None for the moment that the backup shows.
        position: The same as the system itself counts: an LSN, a named point, an oplog position.
        latest: Instead of a time: as new as what goes on from the backup reaches, log or slices; where there is
            nothing of the kind, the moment that the backup shows.
        only: What of it: a database, a collection, a prefix, as the kind names it; all where there is nothing.
        jobs: How many streams at once, where the kind can.
        phase: Times what happens within its block.
        progress: Told how many bytes are read, and of how many.
    """

    folder: Path
    into: str | None = field(default=None, repr=False)
    until: datetime | None = None
    position: str | None = None
    latest: bool = False
    only: tuple[str, ...] = ()
    jobs: int = 2
    phase: Callable[[Phase], AbstractContextManager[None]] = field(repr=False, kw_only=True)
    progress: Callable[[int, int | None], None] = field(default=lambda _done, _total: None, repr=False)


@dataclass(frozen=True)
class Restored:
    """A restored system that answers, as long as the block of `restore` lasts.

    Attributes:
        address: What reaches it, as its kind's spec would name it; it may hold a password.
        recovered_to: The moment that it shows, as it says itself: the newest record or transaction that is there.
        server_version: Of the server that it was restored into.
        counts: As the manifest has them.
        details: What else is worth telling; never a secret.
        warnings: For a person.
    """

    address: str = field(repr=False)
    recovered_to: datetime | None = None
    server_version: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Assertion(Model):
    """One thing that was held against a restored copy, or against the backup itself."""

    name: str = Field(description="What must hold, for a person: `rows of public.projects`.")
    level: int = Field(
        ge=0, le=4, description="0 it exists, 1 its hashes, 2 it parses, 3 restored and compared, 4 the application."
    )
    outcome: Outcome = Field(description="Passed or failed; errored where it could not be told.")
    expected: str = ""
    observed: str = ""
    note: str = ""
    at: AwareDatetime | None = None


class Restore(Protocol):
    """Restores one backup: `restore` in a kind's `restore.py`. It blocks, and runs in a thread of a worker."""

    def __call__(
        self, spec: SystemSpec, access: Access, source: Source, order: Order, /
    ) -> AbstractContextManager[Restored]:
        """Restore, and give what was restored to the block; scratch is gone after it, whatever happens.

        A place that is not empty is refused. Nothing is written to any address but `order.into` and scratch's own.

        Raises:
            ConfigError: The order cannot be met: a time that the backups do not reach (the message says which they do),
                a place that is not empty.
            Garbled: The backup, or what it is made from, is damaged or missing.
            WatchkeeperError: As the server or its programs say.
        """
        ...


class Endpoints(Protocol):
    """`endpoints` in a kind's `restore.py`: where an address leads. Pure but for looking names up."""

    def __call__(self, address: str, /) -> frozenset[str]:
        """Return what identifies each server and store behind an address, names resolved: `127.0.0.1:5432/shop`.

        Two addresses that share one of these are the same place, whatever they are called.
        """
        ...


class Parse(Protocol):
    """`parse` in a kind's `verify.py`: level 2. It reads every part, so every hash is held too."""

    def __call__(self, source: Source, /) -> Iterator[Assertion]:
        """Yield what holds and what does not.

        Raises:
            Garbled: A part is damaged or missing.
            ConfigError: It is encrypted for others.
        """
        ...


class Compare(Protocol):
    """`compare` in a kind's `verify.py`: level 3, and the spec's own assertions."""

    def __call__(self, spec: SystemSpec, source: Source, restored: Restored, /) -> Iterator[Assertion]:
        """Yield what holds and what does not; what could not be told is an assertion of outcome `errored`."""
        ...


class Spoil(Protocol):
    """`spoil` in a kind's `verify.py`: the negative control of level 3."""

    def __call__(self, spec: SystemSpec, restored: Restored, /) -> str:
        """Change a scratch copy as an older schema or a half restore would, so that `compare` must see it.

        Returns:
            What was done, for a person: `dropped the table public.projects`. Empty where there is nothing to spoil.
        """
        ...
