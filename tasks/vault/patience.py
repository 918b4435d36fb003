"""A vault that is away for a while is waited for: tried again, less and less often, within a bound, and said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from tasks.clients.blobs import BlobStore, BlobWriter, Scale, Unfinished
from tasks.core.errors import PermanentError, TransientError
from tasks.core.units import format_duration

T = TypeVar("T")
BOUND = 150.0
"""Seconds that one absence may last: a store that is started anew, or a network that is away for a minute or two."""
_FIRST, _LONGEST, _GROWTH = 0.5, 15.0, 2.0


class Patience:
    """Waits for what is away, for all that read at the same time; none of them waits longer than the bound.

    Args:
        bound: Seconds that one absence may last.
        tell: Told when something is away, and when it is back.
        clock: Seconds that never go back.
        pause: Waits for so many seconds, or less where `stop` was called.
    """

    def __init__(
        self,
        bound: float = BOUND,
        *,
        tell: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.bound, self.tell = bound, tell
        self.notes: list[str] = []
        self._clock = clock
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._lock = threading.Lock()
        self._away: dict[str, float] = {}

    def stop(self) -> None:
        """Wait for nothing any more, and read nothing more: whoever reads ends at the next piece."""
        self._stopped.set()

    def check(self) -> None:
        """Raise where it was stopped."""
        if self._stopped.is_set():
            raise PermanentError("it was cancelled", operation="read")

    def call(self, what: str, ask: Callable[[], T]) -> T:
        """Return what a call answers; where trying again may help, it is tried again.

        Args:
            what: What is asked, for a person: `vault offsite`.
            ask: The call; it changes nothing, or the same however often it is made.

        Raises:
            TransientError: It was away for longer than the bound.
            PermanentError: It was stopped.
        """
        began, pause = None, _FIRST
        while True:
            self.check()
            try:
                found = ask()
            except TransientError as error:
                now = self._clock()
                began = self._gone(what, error, now) if began is None else began
                if (left := began + self.bound - now) <= 0:
                    self._given_up(what)
                    raise
                self._pause(min(pause, left))
                pause = min(pause * _GROWTH, _LONGEST)
            else:
                if began is not None:
                    self._back(what)
                return found

    def _gone(self, what: str, error: TransientError, now: float) -> float:
        """Note that something is away, and return since when this caller knows."""
        with self._lock:
            known = what in self._away
            self._away.setdefault(what, now)
        if not known and self.bound > 0:
            self.tell(f"{what} is away ({error.message}); it is tried again for {format_duration(self.bound)}")
        return now

    def _given_up(self, what: str) -> None:
        with self._lock:
            known = self._away.pop(what, None)
        if known is not None and self.bound > 0:
            self.notes.append(f"{what} was away for longer than {format_duration(self.bound)}")

    def _back(self, what: str) -> None:
        with self._lock:
            since = self._away.pop(what, None)
        if since is not None:
            text = f"{what} was away for {format_duration(round(self._clock() - since, 1))}, and was waited for"
            self.notes.append(text)
            self.tell(text)


class Waited:
    """A store that is waited for; what is read of a blob is not read again, it goes on where it broke off.

    Args:
        inner: The store.
        what: What it is, for a person: `vault offsite`.
        patience: How long it is waited for.
    """

    def __init__(self, inner: BlobStore, what: str, patience: Patience) -> None:
        self._inner, self._what, self._patience = inner, what, patience

    def _call(self, ask: Callable[[], T]) -> T:
        return self._patience.call(self._what, ask)

    def get(self, key: str) -> bytes | None:
        """Return a blob, or None where there is none."""
        return self._call(lambda: self._inner.get(key))

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a text, sorted."""
        return self._call(lambda: self._inner.list(prefix))

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Return the first pieces of the keys below a prefix."""
        return self._call(lambda: self._inner.folders(prefix))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the size of each blob whose key begins with a text, sorted by key."""
        return self._call(lambda: self._inner.sizes(prefix))

    def sizes_along(self, prefixes: Sequence[str], scale: Scale) -> dict[str, int]:
        """Return the size of each blob in a folder that is named on a scale, sorted by key."""
        return self._call(lambda: self._inner.sizes_along(prefixes, scale))

    def sums(self, prefix: str = "") -> dict[str, str] | None:
        """Return the MD5 of each blob where the store tells it."""
        return self._call(lambda: self._inner.sums(prefix))

    def locked_until(self, key: str) -> datetime | None:
        """Return until when the store lets nobody remove a blob."""
        return self._call(lambda: self._inner.locked_until(key))

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes; where the store goes away in the middle, they go on from there once it is back."""
        at, source = start, self._inner.reading(key, start)

        def following() -> bytes | None:
            nonlocal source
            try:
                return next(source, None)
            except TransientError:
                source = self._inner.reading(key, at)
                raise

        while (data := self._call(following)) is not None:
            at += len(data)
            yield data

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, over an older one if there is one."""
        self._call(lambda: self._inner.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a blob unless there is one; True where it was written."""
        return self._inner.put_if_absent(key, data)

    def where(self, key: str) -> str:
        """Return where a person finds the blob."""
        return self._inner.where(key)

    def delete(self, key: str) -> None:
        """Remove a blob; it is not waited for, as what is left behind runs out by itself."""
        self._inner.delete(key)

    def writing(self, key: str) -> AbstractContextManager[BlobWriter]:
        """Write a blob of any size; it is not waited for, as what was written cannot be told again."""
        return self._inner.writing(key)

    def unfinished(self, prefix: str = "") -> Sequence[Unfinished]:
        """Return what was begun and not ended."""
        return self._inner.unfinished(prefix)

    def abort(self, unfinished: Unfinished) -> None:
        """Remove what is left of a blob that was not ended."""
        self._inner.abort(unfinished)

    def require_lock(self, key: str = "") -> None:
        """See that the store locks."""
        self._inner.require_lock(key)
