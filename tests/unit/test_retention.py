"""Retention: what is kept, what goes, and why."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tasks.core.errors import ConfigError
from tasks.core.retention import Copy, Policy, Span, plan

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def copy(text, **more):
    return Copy(id=text, time=datetime.fromisoformat(text).replace(tzinfo=UTC), **more)


def hourly(number):
    return [Copy(id=f"{n:05}", time=NOW - timedelta(hours=n)) for n in range(number)]


def kept(copies, now=NOW, zone=None, **rules):
    return {one.id: one.reasons for one in plan(copies, Policy(**rules), now=now, zone=zone).keep}


def test_the_last_so_many_are_kept():
    assert list(kept(hourly(5), last=2)) == ["00000", "00001"]


def test_of_each_day_that_has_one_the_newest_is_kept_and_empty_days_do_not_count():
    copies = [copy("2026-11-25 02:00"), copy("2026-11-25 01:00"), copy("2026-11-20 02:00"), copy("2026-11-01 02:00")]
    assert list(kept(copies, daily=2)) == ["2026-11-25 02:00", "2026-11-20 02:00"]


def test_while_a_count_is_not_used_up_the_oldest_is_kept_as_well_and_is_called_so():
    copies = [copy("2026-11-25 02:00"), copy("2026-11-24 02:00"), copy("2026-11-24 01:00")]
    assert kept(copies, daily=3) == {
        "2026-11-25 02:00": ("daily backup", "newest complete backup"),
        "2026-11-24 02:00": ("daily backup",),
        "2026-11-24 01:00": ("oldest daily backup",),
    }
    assert "2026-11-24 01:00" not in kept(copies, daily=2)


def test_one_backup_serves_several_rules_and_each_is_named():
    reasons = kept([copy("2026-11-25 02:00")], last=1, hourly=1, daily=1, weekly=1, monthly=1, yearly=1)
    assert reasons["2026-11-25 02:00"] == (
        "last backup",
        "hourly backup",
        "daily backup",
        "weekly backup",
        "monthly backup",
        "yearly backup",
        "newest complete backup",
    )


def test_weeks_are_iso_weeks_even_over_the_turn_of_a_year():
    copies = [copy("2027-01-03 02:00"), copy("2026-12-28 02:00"), copy("2026-12-27 02:00")]
    now = datetime(2027, 1, 4, tzinfo=UTC)
    assert list(kept(copies, now=now, weekly=2)) == ["2027-01-03 02:00", "2026-12-27 02:00"]


def test_unlimited_keeps_one_of_each_period_for_ever():
    assert len(kept(hourly(24 * 60), daily="unlimited")) == 62


def test_periods_are_in_the_zone_that_is_given():
    copies = [copy("2026-11-24 22:00"), copy("2026-11-24 18:00"), copy("2026-11-24 12:00")]
    assert len(kept(copies, daily=9)) == 2
    assert list(kept(copies, daily=2, zone=ZoneInfo("Asia/Tashkent"))) == ["2026-11-24 22:00", "2026-11-24 18:00"]


def test_within_counts_back_from_the_newest_and_not_from_now():
    copies = [copy("2026-06-10 00:00"), copy("2026-06-05 00:00"), copy("2026-06-02 12:00"), copy("2026-06-02 00:00")]
    assert list(kept(copies, within="7d12h")) == ["2026-06-10 00:00", "2026-06-05 00:00"]
    assert list(kept(copies, within="7d13h"))[-1] == "2026-06-02 12:00"


def test_what_is_dated_in_the_future_is_no_measure_of_age():
    copies = [copy("2099-01-01 00:00"), copy("2026-11-25 00:00"), copy("2026-11-20 00:00")]
    assert "2026-11-25 00:00" in kept(copies, within="1d")
    assert "2026-11-20 00:00" not in kept(copies, within="1d")


def test_the_newest_real_backup_stays_though_a_clock_was_ahead():
    copies = [copy("2099-01-01 00:00"), copy("2098-01-01 00:00"), copy("2026-11-25 00:00"), copy("2026-11-20 00:00")]
    reasons = kept(copies, last=1)
    assert list(reasons) == ["2099-01-01 00:00", "2026-11-25 00:00"]
    assert reasons["2026-11-25 00:00"] == ("newest complete backup before now",)


def test_within_a_span_the_newest_of_each_period_is_kept_and_the_oldest_has_no_right_of_its_own():
    copies = [copy("2026-11-25 02:00"), copy("2026-11-25 01:00"), copy("2026-11-24 02:00"), copy("2026-11-24 01:00")]
    assert list(kept(copies, within_daily="30d")) == ["2026-11-25 02:00", "2026-11-24 02:00"]


def test_all_tags_of_one_set_are_needed():
    tagged = [
        copy("2026-11-25 02:00"),
        copy("2026-11-24 02:00", tags=frozenset({"a"})),
        copy("2026-11-23 02:00", tags=frozenset({"a", "b", "c"})),
        copy("2026-11-22 02:00", tags=frozenset({"d"})),
    ]
    reasons = kept(tagged, tags=({"a", "b"}, {"d"}))
    assert list(reasons) == ["2026-11-25 02:00", "2026-11-23 02:00", "2026-11-22 02:00"]
    assert reasons["2026-11-23 02:00"] == ("has the tags a, b",)


def test_groups_are_looked_at_each_for_itself():
    copies = [copy("2026-11-25 02:00", group="a"), copy("2026-11-24 02:00", group="b")]
    assert len(kept(copies, last=1)) == 2


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"pinned": True}, "pinned"),
        ({"held": "restore 7"}, "in use by restore 7"),
        ({"locked_until": NOW + timedelta(days=1)}, "locked until 2026-11-26 12:00:00+00:00"),
        ({"verified": True}, "newest verified backup"),
    ],
)
def test_what_must_stay_stays_whatever_the_rules_say(more, reason):
    copies = [copy("2026-11-25 02:00"), copy("2026-11-01 02:00", **more)]
    assert kept(copies, last=1)["2026-11-01 02:00"] == (reason,)


def test_a_lock_that_has_ended_holds_nothing():
    assert len(kept([*hourly(1), copy("2026-11-01 02:00", locked_until=NOW)], last=1)) == 1


def test_what_a_kept_one_is_made_from_is_kept_through_others_too():
    chain = [
        copy("2026-11-25 02:00", parents=("2026-11-24 02:00",)),
        copy("2026-11-24 02:00", parents=("2026-11-23 02:00",)),
        copy("2026-11-23 02:00"),
        copy("2026-11-22 02:00"),
    ]
    assert list(kept(chain, last=1)) == ["2026-11-25 02:00", "2026-11-24 02:00", "2026-11-23 02:00"]


def test_an_incomplete_backup_neither_counts_nor_is_it_removed():
    copies = [copy("2026-11-25 02:00", complete=False), copy("2026-11-24 02:00")]
    decided = plan(copies, Policy(last=1), now=NOW)
    assert [one.id for one in decided.keep] == ["2026-11-24 02:00"]
    assert decided.remove == ()


def test_after_a_failed_backup_nothing_of_its_group_goes():
    copies = [copy("2026-11-25 02:00", group="a"), copy("2026-11-24 02:00", group="a")]
    decided = plan(copies, Policy(last=1), now=NOW, failed=["a"])
    assert decided.remove == ()


def test_a_plan_that_removes_too_much_of_a_group_says_so():
    assert plan(hourly(10), Policy(last=7), now=NOW).beyond == {}
    assert plan(hourly(10), Policy(last=6), now=NOW).beyond == {"": 0.4}


def test_an_empty_policy_is_refused():
    with pytest.raises(ConfigError, match="would remove every backup"):
        plan(hourly(3), Policy(), now=NOW)


def test_two_backups_of_one_id_are_refused():
    with pytest.raises(ConfigError, match="two backups are called 'x'"):
        plan([Copy("x", NOW, "a"), Copy("x", NOW, "b")], Policy(last=1), now=NOW)


@pytest.mark.parametrize(
    "given", [{"last": -2}, {"daily": "many"}, {"within": "7"}, {"within": ""}, {"within": "1h2d"}]
)
def test_a_rule_that_is_none_is_refused(given):
    with pytest.raises(ValidationError, match="is no"):
        Policy(**given)


@pytest.mark.parametrize(
    ("span", "moment", "then"),
    [
        ("1m", "2026-03-31", "2026-02-28"),
        ("1y", "2024-02-29", "2023-02-28"),
        ("1y5m7d2h", "2026-11-25", "2025-06-17T22:00:00"),
        ("9999y", "2026-11-25", "0001-01-02"),
    ],
)
def test_a_span_is_counted_by_the_calendar(span, moment, then):
    assert Span.parse(span).before(datetime.fromisoformat(moment)) == datetime.fromisoformat(then)


def test_a_span_is_written_as_it_is_read():
    assert str(Span.parse("1y5m7d2h")) == "1y5m7d2h"


RULES = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]


def histories(number):
    """Yield random histories with parents, pins and policies; the same ones each time."""
    chance = random.Random(20261125)  # noqa: S311 - no secret
    for _ in range(number):
        copies = []
        for place in range(chance.randint(1, 60)):
            parents = (copies[-1].id,) if copies and chance.random() < 0.4 else ()
            at = NOW - timedelta(minutes=chance.randint(0, 900_000))
            copies.append(
                Copy(
                    f"{place}",
                    at,
                    group=copies[-1].group if parents else chance.choice("ab"),
                    complete=chance.random() < 0.9,
                    verified=chance.random() < 0.1,
                    pinned=chance.random() < 0.05,
                    parents=parents,
                )
            )
        rules = {rule: chance.randint(0, 5) for rule in chance.sample(RULES, 3)} | {"last": chance.randint(1, 3)}
        yield chance, copies, rules


def test_whatever_the_history_no_group_is_emptied_and_nothing_kept_loses_what_it_is_made_from():
    for _, copies, rules in histories(300):
        decided = plan(copies, Policy(**rules), now=NOW)
        keep, remove = {one.id for one in decided.keep}, {one.id for one in decided.remove}
        complete = {one.id: one for one in copies if one.complete}
        assert keep | remove == set(complete)
        assert not keep & remove
        assert {complete[name].group for name in keep} == {one.group for one in complete.values()}
        assert all(parent in keep for name in keep for parent in complete[name].parents if parent in complete)
        assert all(one.reasons for one in (*decided.keep, *decided.remove))


def test_whatever_the_history_the_plan_is_the_same_in_any_order_and_after_it_was_carried_out():
    for chance, copies, rules in histories(200):
        decided = plan(copies, Policy(**rules), now=NOW)
        keep = {one.id for one in decided.keep}
        mixed = chance.sample(copies, len(copies))
        assert {one.id for one in plan(mixed, Policy(**rules), now=NOW).keep} == keep
        left = [one for one in copies if one.id in keep or not one.complete]
        assert plan(left, Policy(**rules), now=NOW).remove == ()


def test_whatever_the_history_a_greater_number_keeps_no_less():
    for chance, copies, rules in histories(200):
        more = rules | {rule: count + chance.randint(0, 3) for rule, count in rules.items()}
        fewer = {one.id for one in plan(copies, Policy(**rules), now=NOW).keep}
        assert fewer <= {one.id for one in plan(copies, Policy(**more), now=NOW).keep}
