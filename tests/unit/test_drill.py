"""What a drill says: how long, how much is lost, and never fine where anything was not proven."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.drill import (
    Drill,
    NegativeControl,
    Past,
    PhaseTime,
    SystemRecovery,
    as_answer,
    next_quarter,
    outcome_of,
    project,
)
from tasks.core.drill_plan import Scenario
from tasks.core.report import Verdict
from tasks.core.restore import Assertion, Phase
from tasks.core.results import Outcome

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
GIB = 1 << 30


def recovery(name="database", *, after=0.0, lost=180.0, outcome=Outcome.PASSED, **more):
    times = {Phase.PROVISION: 2.0, Phase.RESTORE: 60.0, Phase.VERIFY: 8.0}
    phases, at = [], NOW + timedelta(seconds=after)
    for phase, seconds in times.items():
        phases.append(PhaseTime(phase=phase, began=at, seconds=seconds))
        at += timedelta(seconds=seconds)
    values = {"recovered_to": NOW - timedelta(seconds=lost), "plain_bytes": GIB}
    return SystemRecovery(system=name, kind="postgres", outcome=outcome, phases=tuple(phases), **(values | more))


def drill(*systems, **more):
    values = {
        "id": "apex-dr-drill-20261126T090000Z-1",
        "platform": "apex",
        "title": "APEX",
        "scenario": Scenario.COMPLETE,
        "started": NOW,
        "finished": NOW + timedelta(minutes=2),
        "disaster": NOW,
        "rto_target": 14_400.0,
        "rpo_target": 900.0,
    }
    return Drill(systems=systems, **(values | more))


def held(outcome):
    return Assertion(name="rows", level=3, outcome=outcome)


def test_systems_side_by_side_take_as_long_as_from_the_first_beginning_to_the_last_end():
    rto = drill(recovery(), recovery("cache", after=5)).rto
    assert rto.seconds == 75
    assert rto.phases == {"provision": 2, "restore": 60, "verify": 8}
    assert rto.outcome is Outcome.PASSED


def test_what_is_lost_is_that_of_the_system_that_lost_most():
    rpo = drill(recovery(lost=10), recovery("cache", lost=300)).rpo
    assert (rpo.seconds, rpo.worst) == (300, "cache")
    assert rpo.newest_record == NOW - timedelta(minutes=5)


def test_a_record_newer_than_the_disaster_loses_nothing():
    assert drill(recovery(lost=-3)).rpo.seconds == 0


def test_a_drill_in_which_everything_held_passes():
    assert drill(recovery(assertions=(held(Outcome.PASSED),))).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"rto_target": 60.0}, Verdict.FAILED),
        ({"rpo_target": 60.0}, Verdict.FAILED),
        ({"assertions": (held(Outcome.FAILED),)}, Verdict.FAILED),
        ({"assertions": (held(Outcome.ERRORED),)}, Verdict.UNKNOWN),
        ({"assertions": (held(Outcome.NOT_CHECKED),)}, Verdict.WARNED),
        ({"negative_controls": (NegativeControl(name="truncated", system="database", red=False),)}, Verdict.FAILED),
        ({"negative_controls": (NegativeControl(name="truncated", system="database", red=True),)}, Verdict.PASSED),
        ({"interrupted": "cancelled in restore"}, Verdict.UNKNOWN),
        ({"left_running": ("postgres 4242",)}, Verdict.FAILED),
        ({"systems": ()}, Verdict.UNKNOWN),
        ({"systems": (recovery(outcome=Outcome.ERRORED),)}, Verdict.UNKNOWN),
        ({"systems": (recovery(recovered_to=None),)}, Verdict.WARNED),
    ],
)
def test_whatever_is_not_proven_is_never_fine(change, verdict):
    assert drill(recovery()).model_copy(update=change).verdict is verdict


def test_without_objectives_times_are_told_and_not_judged():
    made = drill(recovery(), rto_target=None, rpo_target=None)
    assert made.rto.outcome is Outcome.SKIPPED
    assert made.verdict is Verdict.PASSED


def test_a_drill_is_read_back_as_it_was_stored():
    made = drill(recovery(), trend=(drill(recovery()).as_past(),))
    assert Drill.model_validate_json(made.model_dump_json()) == made


def test_the_answer_holds_what_the_command_promises():
    answer = as_answer(drill(recovery(assertions=(held(Outcome.PASSED),))))
    assert answer["rto"]["seconds"] == 70
    assert answer["rpo"]["newest_record"] == "2026-11-26T08:57:00+00:00"
    assert [one["name"] for one in answer["assertions"]] == ["rows"]
    assert {"verdict", "restore_point", "negative_controls", "not_covered"} <= set(answer)


def past(days, seconds, size, verdict=Verdict.PASSED):
    return Past(NOW - timedelta(days=days), seconds, 60.0, size, verdict)


def test_a_size_between_two_drills_takes_a_time_between_theirs():
    fitted = project([past(91, 100, GIB), past(0, 190, 10 * GIB)], 5 * GIB)
    assert fitted is not None
    assert fitted.seconds == pytest.approx(140)


def test_from_one_size_the_time_grows_with_the_bytes():
    fitted = project([past(0, 100, GIB)], 3 * GIB)
    assert fitted is not None
    assert fitted.seconds == pytest.approx(300)


def test_smaller_and_slower_before_does_not_promise_less_than_the_drills_took():
    fitted = project([past(91, 300, GIB), past(0, 100, 2 * GIB)], 4 * GIB)
    assert fitted is not None
    assert fitted.seconds == pytest.approx(200)


@pytest.mark.parametrize("drills", [[], [past(0, 100, GIB, Verdict.UNKNOWN)], [past(0, 100, 0)]])
def test_nothing_is_projected_from_nothing(drills):
    assert project(drills, GIB) is None


def test_next_quarters_size_grows_on_as_it_has_grown():
    found = next_quarter([past(91, 100, GIB), past(0, 200, 2 * GIB)])
    assert found is not None
    assert found.plain_bytes == pytest.approx(3 * GIB, rel=0.01)
    assert found.seconds == pytest.approx(300, rel=0.01)
    assert found.basis == "2 drills"


@pytest.mark.parametrize(
    "drills",
    [
        [],
        [past(0, 100, GIB)],
        [past(0.01, 100, GIB), past(0, 100, 2 * GIB)],
        [past(91, 100, GIB, Verdict.UNKNOWN), past(0, 100, 2 * GIB)],
        [past(91, 0, 0), past(0, 100, 2 * GIB)],
    ],
)
def test_without_two_drills_that_ended_and_lie_apart_no_growth_is_made_up(drills):
    assert next_quarter(drills) is None


def test_data_that_shrank_are_not_taken_to_shrink_on():
    found = next_quarter([past(91, 300, 3 * GIB), past(0, 100, GIB)])
    assert found is not None
    assert (found.plain_bytes, found.seconds) == (GIB, 100)


def test_a_system_is_as_good_as_the_worst_of_what_was_held_against_it():
    assert outcome_of([held(Outcome.PASSED), held(Outcome.FAILED)]) is Outcome.FAILED
    assert outcome_of([held(Outcome.SKIPPED)]) is Outcome.NOT_CHECKED
    assert outcome_of([]) is Outcome.NOT_CHECKED
