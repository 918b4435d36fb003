"""A vault that is away for a while is waited for within a bound, and said; nobody really waits here."""

import pytest

from tasks.clients.blobs import MemoryStore
from tasks.core.errors import Garbled, PermanentError, Unreachable
from tasks.vault.patience import Patience, Waited


class Away:
    """A store that refuses so many calls, then answers; what is read may break off as well."""

    def __init__(self, refusals=0, breaks=(), **blobs):
        self.inner, self.refusals, self.breaks, self.calls = MemoryStore(), refusals, list(breaks), []
        for key, data in blobs.items():
            self.inner.put(key, data)

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append((name, *arguments))
            if self.refusals:
                self.refusals -= 1
                raise Unreachable("no connection: Connection refused")
            return self._breaking(*arguments) if name == "reading" else getattr(self.inner, name)(*arguments)

        return call

    def _breaking(self, key, start):
        data = self.inner.get(key)[start:]
        if self.breaks:
            yield data[: self.breaks.pop(0)]
            raise Unreachable("the connection broke")
        yield from (data[at : at + 2] for at in range(0, len(data), 2))


class Clock:
    """Time that passes only by waiting."""

    def __init__(self):
        self.now, self.pauses, self.told = 0.0, [], []

    def patience(self, bound=120.0):
        return Patience(bound, tell=self.told.append, clock=lambda: self.now, pause=self._wait)

    def _wait(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


def test_what_is_away_for_a_minute_is_tried_again_less_and_less_often_and_both_is_said(clock):
    patience = clock.patience()
    store = Waited(Away(refusals=8, a=b"1"), "vault offsite", patience)
    assert store.get("a") == b"1"
    assert clock.pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert clock.told == [
        "vault offsite is away (no connection: Connection refused); it is tried again for 2 min",
        "vault offsite was away for 1 min, and was waited for",
    ]
    assert patience.notes == clock.told[1:]


def test_after_the_bound_it_is_given_up_and_the_stores_own_reason_is_told(clock):
    patience = clock.patience(60)
    with pytest.raises(Unreachable, match="Connection refused"):
        Waited(Away(refusals=99), "vault offsite", patience).list("")
    assert sum(clock.pauses) == 60
    assert patience.notes == ["vault offsite was away for longer than 1 min"]


def test_what_was_read_is_not_read_again_it_goes_on_where_it_broke_off(clock):
    away = Away(breaks=(3, 2), blob=b"0123456789")
    assert b"".join(Waited(away, "vault offsite", clock.patience()).reading("blob")) == b"0123456789"
    assert [call[2] for call in away.calls] == [0, 3, 5]
    assert len(clock.told) == 4


def test_a_store_that_never_breaks_is_read_as_it_is_and_nothing_is_said(clock):
    assert b"".join(Waited(Away(blob=b"01234"), "vault", clock.patience()).reading("blob", 1)) == b"1234"
    assert clock.told == clock.pauses == []


def test_what_trying_again_does_not_help_is_raised_at_once(clock):
    def refuse():
        raise Garbled("it is damaged")

    with pytest.raises(Garbled):
        clock.patience().call("vault", refuse)
    assert clock.pauses == []


def test_whoever_is_stopped_neither_waits_nor_reads_on():
    patience = Patience()
    reading = Waited(Away(blob=b"01234"), "vault", patience).reading("blob")
    assert next(reading) == b"01"
    patience.stop()
    with pytest.raises(PermanentError, match="cancelled"):
        next(reading)
    with pytest.raises(PermanentError, match="cancelled"):
        Waited(Away(refusals=99), "vault", patience).get("a")
