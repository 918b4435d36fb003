"""What was to run is held against what ran: late runs count, a part does not, and a gap is explained or open."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.errors import ConfigError
from tasks.core.operating import Ran, operating
from tasks.core.platform import PlatformSpec
from tasks.core.statements import Downtime
from tasks.core.windows import Window
from tasks.platforms import platform_names
from tasks.schedules import slots

NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAILY = [NINE + number * DAY for number in range(5)]


def platform(**windows):
    return PlatformSpec.model_construct(timezone="UTC", maintenance=windows)


def ran(number, late=timedelta(), **more):
    return Ran("check", DAILY[number] + late, DAILY[number], **more)


def gaps(runs, *downtimes, **windows):
    (found,) = operating({"check": DAILY}, runs, platform(**windows), downtimes)
    assert found.ran + len(found.gaps) == found.expected == 5
    return {DAILY.index(gap.at): gap.why for gap in found.gaps}


ALL = [ran(number) for number in range(5)]


def test_a_month_without_gaps_has_none_and_one_without_runs_has_all():
    assert gaps(ALL) == {}
    assert list(gaps([])) == [0, 1, 2, 3, 4]
    assert list(gaps([Ran("backup", one.began, one.slot) for one in ALL])) == [0, 1, 2, 3, 4]


def test_a_run_of_a_slot_keeps_it_however_late_and_another_one_until_the_next():
    assert gaps([*ALL[:2], ran(2, late=3 * DAY), *ALL[3:]]) == {}
    by_form = Ran("check", DAILY[2] + 5 * HOUR)
    assert gaps([*ALL[:2], by_form, *ALL[3:]]) == {}
    assert list(gaps([*ALL[:1], by_form, *ALL[3:]])) == [1]


def test_what_a_person_ran_on_the_command_line_keeps_no_slot():
    assert list(gaps([*ALL[:2], ran(2, by_hand=True), *ALL[3:]])) == [2]


def test_a_gap_is_explained_by_a_downtime_or_by_a_window_of_the_whole_platform_and_stays_a_gap():
    down = Downtime(id="d", platform="p", by="ada", text="moved", at=NINE + DAY, begin=NINE - HOUR, until=NINE + HOUR)
    assert gaps(ALL[1:], down) == {0: "downtime: moved (ada, noted on 2026-11-03)"}
    assert gaps(ALL[:4], down) == {4: ""}
    window = Window(title="upgrade", starts=DAILY[4] - HOUR, ends=DAILY[4] + HOUR)
    assert gaps(ALL[:4], upgrade=window) == {4: "maintenance: upgrade"}
    partial = Window(starts=DAILY[4] - HOUR, ends=DAILY[4] + HOUR, systems=("cache",))
    assert gaps(ALL[:4], upgrade=partial) == {4: ""}
    just_over = Window(starts=DAILY[4] - HOUR, ends=DAILY[4])
    assert gaps(ALL[:4], upgrade=just_over) == {4: ""}


@pytest.mark.parametrize("name", platform_names())
def test_the_schedules_of_a_platform_are_those_of_its_deployments(name):
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    found = slots(name, since, until)
    assert len(found["health-check"]) == 30
    assert len(found["compliance-checklist"]) == 1
    assert all(since <= at < until for times in found.values() for at in times)


def test_a_rule_and_a_cron_line_are_read_in_their_own_time_zone():
    found = slots("stario", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert found["health-check"][0] == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert found["dr-drill"] == [datetime(2026, 11, 11, 7, tzinfo=UTC)]
    assert slots("nobody", NINE, NINE + DAY) == {}


@pytest.mark.parametrize("text", ["", "deployments: 7", "a: [", "{}"])
def test_a_plan_that_cannot_be_read_is_told_with_the_cure(tmp_path, text):
    (tmp_path / "prefect.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        slots("apex", NINE, NINE + DAY, tmp_path / "prefect.yaml")


@pytest.mark.parametrize("schedule", ["cron: 61 * * * *", "rrule: soon", "every: day"])
def test_a_schedule_that_cannot_be_read_is_told(tmp_path, schedule):
    plan = "deployments: [{entrypoint: 'flows/a.py:a', parameters: {platform: apex}, schedules: [{%s}]}]"
    (tmp_path / "prefect.yaml").write_text(plan % schedule, encoding="utf-8")
    with pytest.raises(ConfigError, match="schedule"):
        slots("apex", NINE, NINE + DAY, tmp_path / "prefect.yaml")
