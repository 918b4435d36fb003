"""Soft and hard problems, and flapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.results import Finding, Outcome
from tasks.core.steadiness import MEMORY, TRACK, Confirm, Looks, is_flapping

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
PASSED, WARNED, FAILED, ERRORED = Outcome.PASSED, Outcome.WARNED, Outcome.FAILED, Outcome.ERRORED
TWICE = Confirm(looks=2, every=timedelta(seconds=3))


def finding(outcome, seconds=0.0, since=None, **more):
    at = NOW + timedelta(seconds=seconds)
    since = (since or at) if outcome.is_problem else None
    return Finding(system="api", measurement="latency", outcome=outcome, at=at, since=since, **more)


def looked(*outcomes, confirm=TWICE, earlier=None):
    looks = Looks(confirm, {earlier.key: earlier} if earlier else {})
    for number, outcome in enumerate(outcomes):
        looks.add([finding(outcome, 3 * number, observed=f"{number}")])
    return looks


def test_what_passes_needs_no_second_look():
    looks = looked(PASSED)
    assert looks.settled
    assert looks.findings("P2")[0].note == ""


@pytest.mark.parametrize("outcome", [WARNED, FAILED, ERRORED])
def test_a_problem_is_soft_until_it_was_seen_as_often_as_the_spec_wants(outcome):
    assert not looked(outcome).settled
    assert looked(outcome, outcome).settled
    assert not looked(outcome, outcome, confirm=Confirm(looks=3)).settled


def test_a_problem_that_is_gone_at_the_second_look_passes_and_says_so():
    looks = looked(FAILED, PASSED)
    (found,) = looks.findings("P2")
    assert looks.settled
    assert (found.outcome, found.note) == (PASSED, "failed in 1 of 2 looks, with 0")


def test_a_problem_that_comes_and_goes_is_looked_at_a_bounded_number_of_times_and_then_counts_as_it_is():
    confirm = Confirm(looks=3)
    assert confirm.most == 5
    looks = looked(FAILED, PASSED, FAILED, PASSED, confirm=confirm)
    looks.add([finding(FAILED, 20)])
    assert looks.settled
    assert looks.findings("P2")[0].outcome is FAILED
    assert looks.findings("P2")[0].note == "failed in 3 of 5 looks"


def test_a_problem_that_is_known_to_have_lasted_is_hard_at_once():
    yesterday = NOW - timedelta(days=1)
    looks = Looks(TWICE, {})
    looks.add([finding(FAILED, since=yesterday)])
    assert looks.settled


def test_where_the_first_look_counts_there_is_no_second():
    assert looked(FAILED, confirm=Confirm(looks=1)).settled


def test_a_look_is_judged_by_the_look_before_it_and_the_first_by_the_report_before():
    earlier = finding(FAILED, -9)
    assert looked(earlier=earlier).before["api/latency"] is earlier
    assert looked(PASSED, earlier=earlier).before["api/latency"].outcome is PASSED


def test_the_track_goes_on_from_report_to_report_and_is_bounded():
    (found,) = looked(FAILED, PASSED, earlier=finding(PASSED, -9, track="P" * TRACK)).findings("P2")
    assert found.track == "P" * (TRACK - 2) + "FP"


def test_a_track_that_is_too_old_says_nothing():
    old = finding(PASSED, -MEMORY.total_seconds() - 60, track="PFPFPF")
    assert looked(PASSED, earlier=old).findings("P2")[0].track == "P"


@pytest.mark.parametrize(
    ("track", "was", "flaps"),
    [
        ("", False, False),
        ("P", True, False),
        ("F" * TRACK, False, False),
        ("PF" * 10 + "P", False, True),
        ("P" * 10 + "F" * 11, False, False),
        ("WFWFWFWFWFWFWFWFWFWFW", False, False),
        ("PFPFPF", False, False),
        ("PFPFPFP", False, True),
        ("PPPPPPPPPPPPPPPPPFPFP", True, True),
        ("PPPPPPPPPPPPPPPPPFPFP", False, False),
        ("PPPPPPPPPPPPPPPPPPPFP", True, False),
    ],
)
def test_it_flaps_from_thirty_percent_of_changes_on_and_until_there_are_less_than_twenty(track, was, flaps):
    assert is_flapping(track, was=was) is flaps


def test_what_flaps_and_passes_just_now_is_still_told_as_a_warning():
    since = NOW - timedelta(days=3)
    earlier = finding(WARNED, -86_400, since=since, track="PFPFPFPF", flapping=True)
    (found,) = looked(PASSED, earlier=earlier).findings("P2")
    assert (found.outcome, found.severity, found.flapping, found.since) == (WARNED, "P2", True, since)
    assert found.note == "flapping: a problem in 4 of the last 9 looks"


def test_what_flapped_long_ago_is_well_again():
    earlier = finding(WARNED, -86_400, track="FPF" + "P" * 18, flapping=True)
    (found,) = looked(PASSED, earlier=earlier).findings("P2")
    assert (found.outcome, found.flapping) == (PASSED, False)
