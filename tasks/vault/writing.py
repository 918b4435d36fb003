"""One backup on its way into a vault: the sink that a kind writes to, and the commit."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from tasks.clients.blobs import BlobStore
from tasks.core.backup import Recovery, Taken
from tasks.core.errors import ConfigError, PermanentError
from tasks.core.manifest import Manifest, Part, new_id, stored_path
from tasks.core.units import format_bytes, format_duration
from tasks.vault.layout import MANIFEST, RECOVERY, patiently, put_first
from tasks.vault.recovery import recovery_page
from tasks.vault.streams import Incoming, Recipe

_OFTEN = 1.0


class Progress(NamedTuple):
    """How a backup goes.

    Attributes:
        done: Bytes of the source that are read.
        total: Of how many, where that is known.
        rate: Bytes of the source a second, since the beginning.
        remaining: Seconds that are left at this rate, where the total is known.
    """

    done: int
    total: int | None
    rate: float
    remaining: float | None

    @property
    def text(self) -> str:
        """How far, how quick, and how long yet: `1.2 GiB of 5 GiB, 120 MiB a second, 32 s left`."""
        of = f" of {format_bytes(self.total)}" if self.total is not None else ""
        left = f", {format_duration(round(self.remaining))} left" if self.remaining is not None else ""
        return f"{format_bytes(self.done)}{of}, {format_bytes(self.rate)} a second{left}"


class Backup:
    """The sink of one backup. Parts may be written side by side; `commit` is called once, when all have ended."""

    def __init__(
        self,
        store: BlobStore,
        recipe: Recipe,
        *,
        platform: str,
        system: str,
        kind: str,
        restore_point: str,
        tags: tuple[str, ...],
        random: str,
        version: str,
        now: Callable[[], datetime],
        tell: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._recipe, self._now = store, recipe, now
        self.started = now()
        self.id = new_id(self.started, random)
        self.restore_point = restore_point or self.id
        self._platform, self._system, self._kind = platform, system, kind
        self._tags, self._version = tags, version
        self._lock = threading.Lock()
        self._open: dict[str, Incoming] = {}
        self._given_up: set[str] = set()
        self._parts: dict[str, Part] = {}
        self._paths: dict[str, str] = {}
        self._meter = Meter(tell, clock)
        self.manifest: Manifest | None = None

    @property
    def folder(self) -> str:
        """Where it lies in its vault."""
        return f"{self._platform}/{self._system}/{self.id}"

    @property
    def encrypts(self) -> bool:
        """Whether there is somebody to encrypt for."""
        return bool(self._recipe.recipients)

    @contextmanager
    def part(self, name: str, *, compress: bool = True, encrypt: bool = True) -> Iterator[Incoming]:
        """Open a part; it counts once the block has ended without an exception, and is gone where it has not.

        A part that was given up may be written anew; until it is, nothing can be committed.

        Raises:
            ConfigError: The name is none, or was there before.
        """
        path = stored_path(name, compressed=compress, encrypted=encrypt and self.encrypts)
        with self._lock:
            if self._paths.setdefault(path.lower(), name) != name or name in self._open or name in self._parts:
                raise ConfigError(f"there are two parts {name[:80]!r}", system=self._system, operation="back up")
            opened = self._open[name] = Incoming(
                self._store, f"{self.folder}/{path}", self._recipe, compress=compress, encrypt=encrypt
            )
        try:
            yield opened
            part = opened.finish(name, path)
        except BaseException as error:
            opened.abandon(error)
            with self._lock:
                del self._open[name]
                self._given_up.add(name)
            raise
        with self._lock:
            del self._open[name]
            self._given_up.discard(name)
            self._parts[name] = part
            done = sum(part.plain_bytes for part in self._parts.values())
        self._meter.tell(done, None)

    def progress(self, done: int, total: int | None = None) -> None:
        """Tell how many bytes of the source are read, and of how many, where that is known."""
        self._meter.tell(done, total)

    def commit(self, taken: Taken, recovery: Recovery | None = None) -> Manifest:
        """Make it exist: see that every part is there in its size, then write RECOVERY.md, and the manifest last.

        Args:
            taken: What the kind tells.
            recovery: The kind's own text for RECOVERY.md.

        Raises:
            PermanentError: A part was not ended well, or the store does not have what it took.
        """
        if self._open or self._given_up or self.manifest is not None:
            raise PermanentError("it has parts that were not ended well", system=self._system, operation="commit")
        self._see_all_parts()
        parts = tuple(self._parts[name] for name in sorted(self._parts))
        draft = Manifest(
            **{name: getattr(taken, name) for name in Taken.model_fields},
            id=self.id,
            restore_point=self.restore_point,
            platform=self._platform,
            system=self._system,
            kind=self._kind,
            started=self.started,
            ended=self._now(),
            parts=parts,
            recipients=tuple(map(str, self._recipe.recipients)),
            recovery_sha256="",
            tags=self._tags,
            watchkeeper=self._version,
        )
        names = tuple(part.name for part in parts)
        page = recovery_page(draft, recovery(taken, names) if recovery is not None else "").encode()
        manifest = draft.model_copy(update={"recovery_sha256": hashlib.sha256(page).hexdigest()}).sealed()
        write_commit(self._store, manifest, page)
        self.manifest = manifest
        return manifest

    def must_be_committed(self) -> None:
        """Raise where there is no manifest."""
        if self.manifest is None:
            raise PermanentError("it was not committed", system=self._system, operation="back up")

    def discard(self) -> None:
        """Remove all that was written, the manifest first."""
        discard(self._store, self.folder)

    def _see_all_parts(self) -> None:
        there = patiently(lambda: self._store.sizes(f"{self.folder}/"))
        for part in self._parts.values():
            size = there.get(f"{self.folder}/{part.path}")
            if size != part.stored_bytes:
                raise PermanentError(
                    f"the store has {size if size is not None else 'nothing'} of the {part.stored_bytes} bytes"
                    f" of {part.name}",
                    system=self._system,
                    operation="commit",
                )


def write_commit(store: BlobStore, manifest: Manifest, page: bytes) -> None:
    """Write RECOVERY.md, then the manifest, and see that both are there as they were written.

    Raises:
        PermanentError: The store has something else.
        ConfigError: It was told to lock, and does not.
    """
    key = f"{manifest.folder}/{MANIFEST}"
    recovery = f"{manifest.folder}/{RECOVERY}"
    patiently(lambda: store.put(recovery, page))
    if patiently(lambda: store.get(recovery)) != page:
        raise PermanentError("the store does not have RECOVERY.md as it was written", operation="commit")
    patiently(lambda: store.require_lock(recovery))
    data = manifest.to_bytes()
    if not put_first(store, key, data) and patiently(lambda: store.get(key)) != data:
        raise PermanentError(f"there is a backup {manifest.folder} already", operation="commit")
    if patiently(lambda: store.get(key)) != data:
        raise PermanentError("the store does not have the manifest as it was written", operation="commit")


def discard(store: BlobStore, folder: str) -> None:
    """Remove all of a backup, the manifest first: where that fails, its data stay too."""
    patiently(lambda: store.delete(f"{folder}/{MANIFEST}"))
    for key in patiently(lambda: store.sizes(f"{folder}/")):
        patiently(lambda key=key: store.delete(key))  # type: ignore[misc]


class Meter:
    """Tells progress, at most once a second."""

    def __init__(self, tell: Callable[[Progress], None], clock: Callable[[], float]) -> None:
        self._tell, self._clock = tell, clock
        self._began = self._told = clock()
        self._lock = threading.Lock()
        self._done = 0
        self._total: int | None = None

    def tell(self, done: int, total: int | None) -> None:
        """Say how far it is; what was further before stays."""
        with self._lock:
            now = self._clock()
            self._done, self._total = max(self._done, done), total if total is not None else self._total
            if now - self._told < _OFTEN:
                return
            self._told = now
            rate = self._done / (now - self._began)
            left = (self._total - self._done) / rate if self._total is not None and rate else None
        self._tell(Progress(self._done, self._total, rate, None if left is None else max(left, 0.0)))
