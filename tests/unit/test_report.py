"""The report: its verdict, and what changed since the one before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.core.report import Report, SystemReport, Verdict, compare, report_id
from tasks.core.results import Finding, Measurement, Outcome
from tasks.core.units import Unit

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def finding(outcome: Outcome, measurement: str = "used", **more: Any) -> Finding:
    return Finding(system="disk", measurement=measurement, outcome=outcome, at=NOW, **more)


def system(*findings: Finding, measured: tuple[str, ...] = ()) -> SystemReport:
    taken = tuple(Measurement(name=name, value=1.0, unit=Unit.COUNT, at=NOW) for name in measured)
    return SystemReport(name="disk", kind="store", title="Disk", seconds=0.1, findings=findings, measurements=taken)


def report(*systems: SystemReport) -> Report:
    return Report(
        id="shop-health-check-1",
        platform="shop",
        title="Shop",
        timezone="UTC",
        flow="health-check",
        started=NOW,
        finished=NOW + timedelta(seconds=1),
        systems=systems,
    )


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([Outcome.PASSED], Verdict.PASSED),
        ([Outcome.PASSED, Outcome.NOT_CHECKED, Outcome.SKIPPED], Verdict.PASSED),
        ([Outcome.PASSED, Outcome.WARNED], Verdict.WARNED),
        ([Outcome.WARNED], Verdict.WARNED),
        ([Outcome.PASSED, Outcome.ERRORED], Verdict.UNKNOWN),
        ([Outcome.WARNED, Outcome.ERRORED], Verdict.UNKNOWN),
        ([Outcome.ERRORED, Outcome.FAILED, Outcome.PASSED], Verdict.FAILED),
        ([Outcome.NOT_CHECKED], Verdict.UNKNOWN),
        ([Outcome.SKIPPED], Verdict.UNKNOWN),
        ([], Verdict.UNKNOWN),
    ],
)
def test_the_verdict_is_the_worst_finding_and_never_green_by_silence(outcomes, verdict):
    findings = [finding(outcome, f"m{number}") for number, outcome in enumerate(outcomes)]
    assert report(system(*findings)).verdict is verdict


def test_a_report_without_systems_is_unknown():
    assert report().verdict is Verdict.UNKNOWN


def test_a_system_without_findings_was_not_checked():
    assert system().outcome is Outcome.NOT_CHECKED


def test_findings_come_worst_first():
    found = report(system(finding(Outcome.PASSED, "a"), finding(Outcome.FAILED, "b"), finding(Outcome.WARNED, "c")))
    assert [each.measurement for each in found.findings] == ["b", "c", "a"]
    assert [each.measurement for each in found.problems] == ["b", "c"]


def test_a_report_is_read_back_as_it_was_stored():
    stored = report(system(finding(Outcome.FAILED, value=0.9, unit=Unit.RATIO, since=NOW), measured=("used",)))
    assert Report.model_validate_json(stored.model_dump_json()) == stored


def test_without_a_report_before_there_is_nothing_to_compare_and_it_is_said():
    assert compare([system(finding(Outcome.FAILED))], None).note == "no earlier report to compare with"
    assert compare([system(finding(Outcome.FAILED))], None, note="it is unreadable").note == "it is unreadable"


def changes_of(before: list[SystemReport], now: list[SystemReport]) -> dict[str, list[str]]:
    changes = compare(now, report(*before))
    names = ("new", "persisting", "resolved", "unseen")
    return {name: [each.key for each in getattr(changes, name)] for name in names if getattr(changes, name)}


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [
        (Outcome.PASSED, Outcome.FAILED, {"new": ["disk/used"]}),
        (Outcome.NOT_CHECKED, Outcome.WARNED, {"new": ["disk/used"]}),
        (Outcome.FAILED, Outcome.FAILED, {"persisting": ["disk/used"]}),
        (Outcome.WARNED, Outcome.FAILED, {"persisting": ["disk/used"]}),
        (Outcome.FAILED, Outcome.ERRORED, {"persisting": ["disk/used"]}),
        (Outcome.FAILED, Outcome.PASSED, {"resolved": ["disk/used"]}),
        (Outcome.FAILED, Outcome.NOT_CHECKED, {"unseen": ["disk/used"]}),
        (Outcome.FAILED, Outcome.SKIPPED, {"unseen": ["disk/used"]}),
        (Outcome.PASSED, Outcome.PASSED, {}),
        (Outcome.PASSED, Outcome.NOT_CHECKED, {}),
    ],
)
def test_what_changed_is_told_by_what_is_seen_now(before, now, changes):
    assert changes_of([system(finding(before))], [system(finding(now))]) == changes


def test_a_problem_of_a_system_that_is_not_in_this_report_is_unseen():
    assert changes_of([system(finding(Outcome.FAILED))], []) == {"unseen": ["disk/used"]}


def test_a_problem_that_a_dead_system_hides_is_unseen():
    down = system(finding(Outcome.FAILED, "reachable"))
    expected = {"new": ["disk/reachable"], "unseen": ["disk/used"]}
    assert changes_of([system(finding(Outcome.FAILED))], [down]) == expected


def test_a_check_that_errored_is_resolved_once_the_system_is_checked_again():
    now = system(finding(Outcome.PASSED, "reachable"), measured=("reachable",))
    assert changes_of([system(finding(Outcome.ERRORED, "check"))], [now]) == {"resolved": ["disk/check"]}


def test_a_measurement_that_errored_is_resolved_once_it_is_taken_again():
    now = system(finding(Outcome.PASSED, "reachable"), measured=("reachable", "used"))
    assert changes_of([system(finding(Outcome.ERRORED))], [now]) == {"resolved": ["disk/used"]}


def test_a_measurement_that_errored_and_is_still_not_taken_is_unseen():
    now = system(finding(Outcome.PASSED, "reachable"), measured=("reachable",))
    assert changes_of([system(finding(Outcome.ERRORED))], [now]) == {"unseen": ["disk/used"]}


def test_the_same_measurement_of_another_part_is_another_finding():
    before = system(finding(Outcome.FAILED, subject="/a"))
    now = system(finding(Outcome.FAILED, subject="/b"))
    assert changes_of([before], [now]) == {"new": ["disk/used[/b]"], "unseen": ["disk/used[/a]"]}


def test_ids_sort_by_time():
    ids = [report_id("shop", "health-check", NOW + timedelta(seconds=second), "x") for second in range(0, 90, 30)]
    assert ids == sorted(ids)
    assert ids[0] == "shop-health-check-20261122T090000Z-x"
