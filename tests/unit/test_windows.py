"""Maintenance windows: when they hold, in their own time zone, and what is no window."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tasks.core.windows import Window


def window(**given):
    return Window.model_validate(given)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SUNDAY = {"day": "sunday", "from": "02:00", "to": "04:00"}
FIRST = {"day": "first sunday", "from": "01:00", "to": "03:00"}
LAST = {"day": "last friday", "from": "22:00", "to": "02:00"}


@pytest.mark.parametrize(
    ("given", "now", "until"),
    [
        (SUNDAY, "2026-11-22T01:59:59", None),
        (SUNDAY, "2026-11-22T02:00:00", "2026-11-22T04:00:00"),
        (SUNDAY, "2026-11-22T03:59:59", "2026-11-22T04:00:00"),
        (SUNDAY, "2026-11-22T04:00:00", None),
        (SUNDAY, "2026-11-23T03:00:00", None),
        (FIRST, "2026-11-01T02:00:00", "2026-11-01T03:00:00"),
        (FIRST, "2026-11-08T02:00:00", None),
        (LAST, "2026-11-27T23:00:00", "2026-11-28T02:00:00"),
        (LAST, "2026-11-28T01:00:00", "2026-11-28T02:00:00"),
        (LAST, "2026-11-20T23:00:00", None),
        ({"day": "daily", "from": "23:30", "to": "00:30"}, "2026-11-24T00:15:00", "2026-11-24T00:30:00"),
        (SUNDAY | {"timezone": "Asia/Tashkent"}, "2026-11-21T21:30:00", "2026-11-21T23:00:00"),
        (
            {"starts": "2026-12-01T02:00:00+01:00", "ends": "2026-12-01T05:00:00+01:00"},
            "2026-12-01T01:30:00",
            "2026-12-01T04:00:00",
        ),
        (
            {"starts": "2026-12-01T02:00:00+01:00", "ends": "2026-12-01T05:00:00+01:00"},
            "2026-12-01T04:30:00",
            None,
        ),
    ],
)
def test_a_window_holds_from_its_beginning_until_its_end(given, now, until):
    assert window(**given).until(utc(now), "UTC") == (utc(until) if until else None)


def test_without_a_zone_of_its_own_it_is_in_the_platforms():
    assert window(**SUNDAY).until(utc("2026-11-21T21:30:00"), "Asia/Tashkent") == utc("2026-11-21T23:00:00")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 2), ("2026-10-25", 4), ("2026-11-22", 3)], ids=["spring", "autumn", "plain"]
)
def test_where_clocks_are_changed_it_is_an_hour_shorter_or_longer(day, hours):
    nightly = window(**{"day": "daily", "from": "01:00", "to": "04:00", "timezone": "Europe/Prague"})
    minutes = [utc(f"{day}T00:00:00").timestamp() - 3 * 3600 + 60 * minute for minute in range(9 * 60)]
    held = [at for at in minutes if nightly.until(datetime.fromtimestamp(at, UTC), "UTC")]
    assert len(held) == 60 * hours


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "`day`, `from` and `to`"),
        ({"day": "sunday", "from": "02:00"}, "`day`, `from` and `to`"),
        ({"day": "someday", "from": "02:00", "to": "03:00"}, "'someday' is no day"),
        ({"day": "fifth sunday", "from": "02:00", "to": "03:00"}, "'fifth sunday' is no day"),
        ({"day": "sunday", "from": "25:00", "to": "03:00"}, "'25:00' is no time of day"),
        ({"day": "sunday", "from": 120, "to": "03:00"}, "write it with quotes"),
        ({"day": "sunday", "from": "02:00", "to": "02:00"}, "never holds"),
        ({"day": "sunday", "from": "02:00", "to": "04:00", "timezone": "Mars/Base"}, "is no time zone"),
        ({"starts": "2026-12-01T02:00:00", "ends": "2026-12-01T05:00:00"}, "timezone"),
        ({"starts": "2026-12-01T02:00:00Z", "ends": "2026-12-01T01:00:00Z"}, "`ends` is not after `starts`"),
    ],
)
def test_what_is_no_window_is_refused_with_the_cure(given, says):
    with pytest.raises(ValidationError, match=says):
        window(**given)
