"""When a CronJob should have started: schedules, time zones, and hours that a change of the clocks adds or takes."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.clients.clocks import ahead
from tasks.core.errors import NotOffered, PermanentError
from tasks.systems.kubernetes.schedules import MOST, due


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "since", "until", "times"),
    [
        ("0 2 * * *", None, "2026-11-20 02:00", "2026-11-22 01:59", ["2026-11-21 02:00"]),
        ("0 2 * * *", "Asia/Tashkent", "2026-11-20 00:00", "2026-11-21 00:00", ["2026-11-20 21:00"]),
        ("@daily", None, "2026-11-20 12:00", "2026-11-21 12:00", ["2026-11-21 00:00"]),
        ("30 6 ? * 1", None, "2026-11-20 00:00", "2026-11-27 00:00", ["2026-11-23 06:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 12:00", []),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 12:00", ["2026-10-25 00:30"]),
    ],
)
def test_the_times_between_two_are_those_of_the_zone(schedule, zone, since, until, times):
    assert due(schedule, zone, at(since), at(until)) == [at(time) for time in times]


def test_of_a_schedule_that_was_missed_for_years_only_so_many_times_are_counted():
    assert len(due("* * * * *", None, at("2020-01-01 00:00"), at("2026-01-01 00:00"))) == MOST


@pytest.mark.parametrize(("schedule", "zone"), [("every day", None), ("61 * * * *", None), ("0 2 * * *", "Mars/Base")])
def test_what_is_no_schedule_or_no_zone_is_refused_in_words(schedule, zone):
    with pytest.raises(PermanentError, match="cannot be read"):
        due(schedule, zone, at("2026-01-01 00:00"), at("2026-01-02 00:00"))


def test_a_schedule_that_counts_from_its_controllers_beginning_is_not_guessed():
    with pytest.raises(NotOffered):
        due("@every 1h30m", None, at("2026-01-01 00:00"), at("2026-01-02 00:00"))


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0),
        ("Sun, 22 Nov 2026 09:00:30 GMT", 28),
        ("Sun, 22 Nov 2026 08:59:30 GMT", -29),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_clock_is_off_by_no_less_than_its_date_proves(date, seconds):
    found = ahead(date, at("2026-11-22 09:00:00"), at("2026-11-22 09:00:02"))
    assert found == (None if seconds is None else timedelta(seconds=seconds))
