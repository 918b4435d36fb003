"""A time that a person asks for is one moment of the past, or it is refused with what may have been meant."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tasks.core.errors import ConfigError
from tasks.core.moments import must_be_a_moment

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-26T08:30:00", "in Europe/Berlin it is 2026-11-26T08:30:00+01:00; in UTC write 2026-11-26T08:30:00Z"),
        ("2026-10-25T02:30:00", "comes twice on that day: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        ("2026-03-29T02:30:00", "clocks leave it out on that day"),
    ],
)
def test_a_time_without_an_offset_is_refused_with_each_moment_that_may_have_been_meant(written, meant):
    with pytest.raises(ConfigError, match="is ambiguous") as caught:
        must_be_a_moment(datetime.fromisoformat(written), BERLIN, NOW)
    assert meant in caught.value.hint


def test_the_hour_that_comes_twice_is_two_moments_where_the_offset_is_written():
    first, second = (datetime.fromisoformat(f"2026-10-25T02:30:00+0{offset}:00") for offset in (2, 1))
    must_be_a_moment(first, BERLIN, NOW)
    must_be_a_moment(second, BERLIN, NOW)
    assert (second - first).total_seconds() == 3600


def test_a_time_that_is_still_to_come_is_refused_with_what_time_it_is():
    with pytest.raises(ConfigError, match=r"is still to come: it is 2026-11-26 09:30:00\+01:00") as caught:
        must_be_a_moment(datetime.fromisoformat("2026-11-26T10:00:00+01:00"), BERLIN, NOW)
    assert "latest" in caught.value.hint
