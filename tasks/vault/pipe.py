"""A pipe of bounded size between two threads, and how fast bytes may go."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from tasks.core.errors import TransientError

_ROOM = 4 << 20


class Pipe:
    """Bytes from one thread to another; whichever side fails, the other is told why.

    Args:
        patience: Seconds that a writer waits for the reader to take anything at all; None where it may take any time.
            A reader waits as long as the writer needs: a source that is stuck is its kind's to notice.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._error: BaseException | None = None
        self._current = memoryview(b"")

    @property
    def error(self) -> BaseException | None:
        """Why it failed, if it did."""
        return self._error

    def write(self, data: bytes, /) -> int:
        """Take bytes; waits while the reader is slower.

        Raises:
            TransientError: The reader has not moved for too long.
        """
        if not data:
            return 0
        with self._changed:
            self._wait(lambda: self._size < _ROOM, self._patience)
            self._waiting.append(bytes(data))
            self._size += len(data)
            self._changed.notify_all()
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return some bytes, at most so many; none at the end."""
        if not self._current:
            self._current = memoryview(self._next())
        if self._error is not None:
            raise self._error
        taken = self._current if size < 0 else self._current[:size]
        self._current = self._current[len(taken) :]
        return bytes(taken)

    def flush(self) -> None:
        """Do nothing: what was written can be read."""

    def close(self) -> None:
        """End it well: the reader finds the end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End it badly: both sides raise the first error that was told."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _next(self) -> bytes:
        with self._changed:
            self._wait(lambda: bool(self._waiting) or self._closed, None)
            if not self._waiting:
                return b""
            data = self._waiting.popleft()
            self._size -= len(data)
            self._changed.notify_all()
            return data

    def _wait(self, ready: Callable[[], bool], patience: float | None) -> None:
        while not ready() and self._error is None:
            if not self._changed.wait(patience):
                self._error = TransientError(f"nothing moved for {patience:g} s", operation="stream")
                self._changed.notify_all()
        if self._error is not None:
            raise self._error


class Pace:
    """Holds all streams together to so many bytes a second.

    Args:
        rate: Bytes a second; None for as fast as it goes.
        clock: Seconds that only ever grow.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._lock = threading.Lock()
        self._due = clock()

    def take(self, size: int) -> None:
        """Wait until so many bytes may go."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now) + size / self._rate
            wait = self._due - now
        self._sleep(wait)
