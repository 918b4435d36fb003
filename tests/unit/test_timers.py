"""A restore says how far it has come, not too often, and ends at its next step where it was stopped."""

from datetime import UTC, datetime

import pytest

from tasks.core.errors import PermanentError
from tasks.core.restore import Phase
from tasks.timers import Timer

MIB = 1 << 20


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def timed():
    told, clock = [], Clock()
    return Timer(lambda: datetime(2026, 11, 26, tzinfo=UTC), told.append, clock=clock), told, clock


def test_how_much_was_read_is_told_every_ten_seconds_and_not_before():
    timer, told, clock = timed()
    for second in range(26):
        clock.seconds = float(second)
        timer.progress(second * MIB, 40 * MIB)
    assert told == ["10 MiB of 40 MiB, 25 % read", "20 MiB of 40 MiB, 50 % read"]


def test_of_what_nobody_knows_the_size_only_what_was_read_is_told_and_nothing_of_nothing():
    timer, told, clock = timed()
    clock.seconds = 11.0
    timer.progress(0, None)
    timer.progress(3 * MIB, None)
    assert told == ["3 MiB read"]


def fetched(timer, clock):
    with timer.phase(Phase.FETCH):
        clock.seconds = 2.5
        timer.stop()
        timer.progress(1, 2)


def test_what_was_stopped_ends_at_its_next_step_and_the_phase_is_timed_all_the_same():
    timer, _, clock = timed()
    with pytest.raises(PermanentError, match="cancelled"):
        fetched(timer, clock)
    assert [(one.phase, one.seconds) for one in timer.phases] == [(Phase.FETCH, 2.5)]
    with pytest.raises(PermanentError), timer.phase(Phase.RESTORE):
        pass
    assert timer.current is None
