"""Timing the phases of a restore, telling how far it has come, and ending it where nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter

from tasks.core.drill import PhaseTime
from tasks.core.errors import PermanentError
from tasks.core.restore import Phase
from tasks.core.units import format_bytes

_TOLD_EACH = 10.0


class Timer:
    """Times phases; several threads may use it. After `stop` the next step of whoever works raises.

    Args:
        now: The clock; aware.
        tell: Told every ten seconds how much was read; called from threads.
        clock: Seconds, for how long something takes.

    Attributes:
        phases: Those that have ended.
        current: The one that is under way.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        tell: Callable[[str], None] = lambda _text: None,
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._now, self._tell, self._clock = now, tell, clock
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._due = clock() + _TOLD_EACH
        self.phases: list[PhaseTime] = []
        self.current: Phase | None = None

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Time what happens within the block; what fails is timed as well."""
        self.check()
        at, began = self._now(), self._clock()
        outer, self.current = self.current, phase
        try:
            yield
        finally:
            self.current = outer
            seconds = round(self._clock() - began, 3)
            self.phases.append(PhaseTime(phase=phase, began=at, seconds=seconds))

    def stop(self) -> None:
        """Have whoever works end at the next step."""
        self._stopped.set()

    def check(self) -> None:
        """Raise where it was stopped."""
        if self._stopped.is_set():
            raise PermanentError("it was cancelled", operation="restore")

    def progress(self, done: int, total: int | None) -> None:
        """Take a step, and tell of it once in a while.

        Args:
            done: So many bytes were read.
            total: Of so many; None where nobody knows.
        """
        self.check()
        with self._lock:
            if not done or self._clock() < self._due:
                return
            self._due = self._clock() + _TOLD_EACH
        of = f" of {format_bytes(total)}, {min(100 * done // total, 100)} %" if total else ""
        self._tell(f"{format_bytes(done)}{of} read")
