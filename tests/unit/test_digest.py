"""The digest: new, resolved and lasting problems of a local day, by the same rules as a report's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.core.digest import BUDGET_LEFT, Digest, Problems, change, window
from tasks.core.freshness import EXPECTED_WITHIN, is_stale
from tasks.core.history import Day, Seen, answered, fold, strip, uptime
from tasks.core.report import Verdict
from tasks.core.results import Measurement, Outcome
from tasks.core.units import Unit
from tests.golden import digests
from tests.golden.digests import DIGESTS, EVENING, PLATFORM, figures, morning
from tests.golden.reports import NOW, answers, finding, report, silent, system

WELL = finding("database", "longest_query", 3.0, Unit.SECONDS)


def slow(**more):
    return finding("database", "longest_query", 2640.0, Unit.SECONDS, Outcome.FAILED, **more)


def keys(stories):
    return [story.finding.key for story in stories]


def made(reports, before=(), now=()):
    return digests.digest(list(reports), list(now), before=list(before))


def test_a_day_tells_new_persisting_resolved_and_unseen_problems_apart():
    day = digests.troubled()
    assert keys(day.new) == ["api/reachable", "metrics/try_on_success", "backups/newest_object"]
    assert keys(day.persisting) == ["database/disk_used"]
    assert keys(day.resolved) == ["database/longest_query", "cache/reachable"]
    assert keys(day.unseen) == ["api/latency[/ready]"]


@pytest.mark.parametrize("name", DIGESTS)
def test_a_digest_is_read_back_as_it_was_stored(name):
    digest = DIGESTS[name]()
    assert Digest.model_validate_json(digest.model_dump_json()) == digest


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("green", Verdict.PASSED),
        ("troubled", Verdict.FAILED),
        ("nobody-looked", Verdict.UNKNOWN),
        ("bad-evening", Verdict.FAILED),
        ("quiet", Verdict.WARNED),
    ],
)
def test_a_verdict_is_what_stands_in_the_evening(name, verdict):
    assert DIGESTS[name]().verdict is verdict


def test_what_nobody_is_notified_of_is_told_apart_and_keeps_the_day_from_being_green():
    day = digests.quiet()
    assert (keys(day.silenced), day.new, day.standing) == (["cache/reachable"], (), ())


def test_what_was_resolved_by_the_evening_does_not_spoil_the_verdict():
    evening = [figures((331, 0.982, 1.1), EVENING), digests.backups()]
    day = made([morning(slow()), morning(WELL, hour=12)], now=evening)
    assert keys(day.resolved) == ["database/longest_query"]
    assert day.verdict is Verdict.PASSED


def test_a_problem_that_came_and_went_today_has_its_own_hours():
    (story,) = made([morning(hour=7), morning(slow(), hour=9), morning(WELL, hour=12)]).resolved
    assert (story.began.hour, story.ended.hour) == (9, 12)


def test_a_problem_that_was_over_and_is_back_is_new():
    day = made([morning(WELL), morning(slow(), hour=12)], before=[morning(slow(), back=1)])
    assert (keys(day.new), keys(day.persisting), keys(day.resolved)) == (["database/longest_query"], [], [])


def test_a_problem_of_a_system_that_nobody_looked_at_is_unseen_and_the_day_is_never_green():
    part = report(*[one for one in morning().systems if one.name != "database"], finished=NOW)
    day = made([part], before=[morning(slow(), back=1)])
    assert keys(day.unseen) == ["database/longest_query"]
    assert day.missed == ("database",)
    assert made([part]).verdict is Verdict.UNKNOWN


def test_the_evenings_narrow_look_hides_nothing_of_the_mornings():
    full = finding("metrics", "cpu", 0.93, Unit.RATIO, Outcome.WARNED)
    day = made([morning(full)], now=[figures((331, 0.982, 1.1), EVENING)])
    assert keys(day.new) == ["metrics/cpu"]
    assert day.unseen == ()


def test_a_figure_that_could_not_be_told_keeps_the_day_from_being_green():
    assert made([morning()], now=[digests.backups()]).verdict is Verdict.UNKNOWN
    assert made([morning()], now=[figures((331, 0.982, 1.1), EVENING), digests.backups()]).verdict is Verdict.PASSED


def test_what_breaks_in_the_evening_is_new():
    assert keys(digests.bad_evening().new) == ["metrics/reachable"]


@pytest.mark.parametrize(
    ("zone", "began", "days"),
    [
        ("Europe/Prague", datetime(2026, 11, 21, 23, 30, tzinfo=UTC), 0),  # half past midnight there
        ("UTC", datetime(2026, 11, 21, 23, 30, tzinfo=UTC), 1),
        ("Asia/Tashkent", datetime(2026, 11, 19, 20, 0, tzinfo=UTC), 2),
    ],
)
def test_days_are_counted_by_the_midnights_of_the_platform(zone, began, days, monkeypatch):
    platform = PLATFORM.model_copy(update={"timezone": zone})
    monkeypatch.setattr(digests, "PLATFORM", platform)
    day = made([morning(slow(since=began))], before=[morning(slow(since=began), back=1)])
    assert [story.days for story in day.persisting] == [days]


def test_what_could_not_be_measured_is_said_with_its_reason():
    (backup,) = made([morning()]).backups
    assert (backup.outcome, backup.note) == (Outcome.ERRORED, "it was not measured")
    (objective,) = digests.bad_evening().objectives
    assert (objective.outcome, objective.note) == (Outcome.ERRORED, "connection refused")


def test_business_is_set_against_yesterday_and_the_same_day_last_week():
    first, second, third = digests.green().business
    assert (first.now, first.yesterday, first.last_week) == (331, 310, 402)
    assert second.outcome is Outcome.PASSED
    assert (third.now, third.last_week) == (1.1, None)


def test_an_error_budget_is_the_newest_that_was_measured():
    early = Measurement(name=BUDGET_LEFT, subject="error_rate", value=0.9, unit=Unit.RATIO, at=NOW)
    found = system("metrics", "prometheus", answers("metrics"), measurements=(early,))
    day = made([report(found)], now=[figures((331, 0.982, 1.1), EVENING)])
    assert [(budget.subject, budget.left) for budget in day.budgets] == [("error_rate", 0.62)]


def test_a_change_of_nothing_cannot_be_told():
    assert change(5.0, 0.0) is None
    assert change(None, 5.0) is None
    assert change(6.0, 5.0) == pytest.approx(0.2)


def test_today_is_told_since_the_digest_before_or_for_a_day():
    zone, today = ZoneInfo("Europe/Prague"), EVENING.date()
    yesterday = EVENING - timedelta(hours=23)
    assert window(today, zone, EVENING, yesterday) == (yesterday, EVENING)
    assert window(today, zone, EVENING, None)[0] == EVENING - timedelta(days=1)
    assert window(today, zone, EVENING, EVENING - timedelta(days=30))[0] == EVENING - timedelta(days=7)


def test_an_earlier_day_is_told_from_midnight_to_midnight_even_where_clocks_change():
    begin, end = window(date(2026, 10, 25), ZoneInfo("Europe/Prague"), EVENING, None)
    assert (end.astimezone(UTC) - begin.astimezone(UTC)) == timedelta(hours=25)


def test_problems_are_carried_over_a_check_of_another_system():
    problems = Problems()
    problems.add(morning(slow()))
    problems.add(report(system("cache", "redis", answers("cache"))))
    assert problems.open["database/longest_query"].told


def test_a_look_is_stale_after_twenty_six_hours_and_where_there_is_none():
    assert not is_stale(NOW, NOW + EXPECTED_WITHIN)
    assert is_stale(NOW, NOW + EXPECTED_WITHIN + timedelta(seconds=1))
    assert is_stale(None, NOW)


@pytest.mark.parametrize(
    ("findings", "up"),
    [
        ([answers("api")], True),
        ([silent("api")], False),
        ([answers("api", subject="/a"), silent("api", subject="/b")], False),
        ([finding("api", "check", outcome=Outcome.ERRORED)], None),
        ([finding("api", "latency", 0.1, Unit.SECONDS)], True),
        ([], None),
    ],
)
def test_a_system_is_up_where_all_of_it_answers_and_unknown_where_nobody_could_tell(findings, up):
    assert answered(system("api", "http", *findings, measurements=())) is up


def test_a_day_is_the_worst_of_its_reports_and_counts_its_looks():
    day = fold(NOW.date(), 3, [morning(silent("cache")), morning(hour=12)])
    assert (day.verdict, day.looks, day.systems["cache"]) == (Verdict.FAILED, 2, Seen(looks=2, up=1))
    assert uptime([day, day])["cache"] == Seen(looks=4, up=2)


def test_a_strip_has_an_empty_day_where_nobody_looked():
    known = {NOW.date(): fold(NOW.date(), 1, [morning()])}
    shown = strip(known, NOW.date(), 3)
    assert [day.verdict for day in shown] == [None, None, Verdict.PASSED]
    assert shown[0] == Day(on=NOW.date() - timedelta(days=2), kept=0)
