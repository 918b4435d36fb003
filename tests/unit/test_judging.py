"""Judging: every outcome, with the platform's own severities."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from tasks.core.judging import judge
from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.platform import DefaultSeverity, PlatformSpec, Severity, Slack
from tasks.core.results import Finding, Gap, Measurement, Outcome, Sample
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)

CATALOG = Catalog(
    Measure(name="used", unit=Unit.RATIO, help="How full.", remedy="make room"),
    Measure(
        name="ok", unit=Unit.YES_NO, help="Whether.", worse=Worse.BELOW, limit=Limit(critical=Bound(0, Unit.YES_NO))
    ),
    Measure(name="expires_in", unit=Unit.SECONDS, worse=Worse.BELOW, help="How long it lasts."),
    Measure(name="state", unit=Unit.TEXT, help="What it says."),
    Measure(name="plain", unit=Unit.COUNT, help="Only informs."),
)


class Store(SystemSpec):
    CATALOG: ClassVar[Catalog] = CATALOG
    kind: Literal["store"] = "store"
    limits: limits_field(CATALOG) = Field(default_factory=dict)  # type: ignore[valid-type]


def platform(limits: dict[str, Any], **system: Any) -> PlatformSpec:
    return PlatformSpec(
        platform="shop",
        title="Shop",
        slack=Slack(channel="#shop"),
        severities={
            "P0": Severity(means="down", respond=timedelta(minutes=5)),
            "P1": Severity(means="bad", respond=timedelta(minutes=15)),
            "P2": Severity(means="worse than usual", respond=timedelta(hours=1), outcome=Outcome.WARNED),
        },
        default_severity=DefaultSeverity(warn="P2", critical="P1"),
        systems={"disk": Store.model_validate({"kind": "store", "limits": limits, **system})},
    )


def reading(value: Any, name: str = "used", **more: Any) -> Measurement:
    return Measurement(name=name, value=value, unit=CATALOG[name].unit, at=NOW, **more)


def judged(value: Any, limit: dict[str, Any], *, previous: Finding | None = None, **more: Any) -> Finding:
    finding = judge(
        reading(value, **more), platform=platform({"used": limit}), system="disk", previous=previous, now=NOW
    )
    assert finding is not None
    return finding


def earlier(outcome: Outcome, value: float | None, since: datetime | None) -> Finding:
    return Finding(system="disk", measurement="used", outcome=outcome, value=value, at=YESTERDAY, since=since)


def history(*values: float, every: timedelta = timedelta(minutes=1)) -> tuple[Sample, ...]:
    return tuple(Sample(NOW - every * age, value) for age, value in enumerate(reversed(values)))


@pytest.mark.parametrize(
    ("value", "outcome", "severity"),
    [
        (0.5, Outcome.PASSED, None),
        (0.8, Outcome.PASSED, None),
        (0.81, Outcome.WARNED, "P2"),
        (0.96, Outcome.FAILED, "P1"),
    ],
)
def test_warn_and_critical_have_the_platforms_default_severities(value, outcome, severity):
    finding = judged(value, {"warn": "80%", "critical": "95%"})
    assert (finding.outcome, finding.severity) == (outcome, severity)


def test_a_breach_tells_the_bound_the_remedy_and_since_when():
    finding = judged(0.96, {"warn": "80%", "critical": "95%"})
    assert (finding.limit, finding.observed, finding.remedy, finding.since) == ("above 95%", "96%", "make room", NOW)
    assert finding.bound == pytest.approx(0.95)


def test_what_passes_tells_all_bounds_and_no_severity():
    finding = judged(0.5, {"warn": "80%", "critical": "95%"})
    assert (finding.limit, finding.severity, finding.since, finding.remedy) == (
        "warn above 80%, critical above 95%",
        None,
        None,
        "",
    )


def test_a_limits_own_remedy_comes_before_the_measurements():
    assert judged(0.96, {"critical": "95%", "remedy": "call Ann"}).remedy == "call Ann"


@pytest.mark.parametrize(
    ("limit", "system", "severity"),
    [
        ({"critical": "95%"}, {}, "P1"),
        ({"critical": "95%"}, {"severity": "P0"}, "P0"),
        ({"critical": "95%", "severity": "P2"}, {"severity": "P0"}, "P2"),
        ({"warn": "95%"}, {"severity": "P0"}, "P2"),
        ({"warn": "95%", "severity": "P0"}, {}, "P0"),
        ({"warn": "90%", "critical": "99%", "severity": "P0"}, {}, "P2"),
    ],
)
def test_the_nearest_word_on_severity_wins(limit, system, severity):
    finding = judge(reading(0.96), platform=platform({"used": limit}, **system), system="disk", previous=None, now=NOW)
    assert finding is not None
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("value", "outcome", "severity"),
    [
        (0.04, Outcome.PASSED, None),
        (0.06, Outcome.WARNED, "P2"),
        (0.2, Outcome.FAILED, "P1"),
        (0.6, Outcome.FAILED, "P0"),
    ],
)
def test_the_worst_of_the_platforms_own_tiers_counts(value, outcome, severity):
    finding = judged(value, {"by_severity": {"P2": "5%", "P0": "50%", "P1": "10%"}})
    assert (finding.outcome, finding.severity) == (outcome, severity)


def test_a_breach_that_lasts_long_enough_in_the_systems_own_history_counts():
    finding = judged(0.2, {"critical": "10%", "for": "5m"}, series=history(*[0.2] * 7))
    assert (finding.outcome, finding.since) == (Outcome.FAILED, NOW - timedelta(minutes=6))
    assert finding.limit == "above 10% for 5 min"


def test_a_breach_that_is_too_short_passes_and_says_so():
    finding = judged(0.2, {"critical": "10%", "for": "5m"}, series=history(0.2, 0.2, 0.01, 0.2, 0.2))
    assert finding.outcome is Outcome.PASSED
    assert finding.note == "above 10% for 5 min would be P1; so for 1 min"


def test_a_milder_tier_counts_while_a_worse_one_has_not_lasted():
    limit = {"by_severity": {"P0": {"bound": "50%", "for": "2m"}, "P2": "5%"}}
    finding = judged(0.6, limit, series=history(0.01, 0.6, 0.6))
    assert (finding.outcome, finding.severity) == (Outcome.WARNED, "P2")


def test_a_gap_of_nan_in_the_history_ends_what_has_lasted():
    finding = judged(0.2, {"critical": "10%", "for": "5m"}, series=history(0.2, 0.2, 0.2, 0.2, 0.2, math.nan, 0.2, 0.2))
    assert finding.outcome is Outcome.PASSED


def test_without_a_history_a_first_breach_warns_with_its_severity():
    finding = judged(0.2, {"critical": "10%", "for": "5m"})
    assert (finding.outcome, finding.severity) == (Outcome.WARNED, "P1")
    assert "how long is not known yet" in finding.note


def test_without_a_history_the_report_before_tells_how_long():
    before = earlier(Outcome.WARNED, 0.2, YESTERDAY)
    finding = judged(0.2, {"critical": "10%", "for": "5m"}, previous=before)
    assert (finding.outcome, finding.since) == (Outcome.FAILED, YESTERDAY)


def test_a_milder_problem_of_yesterday_does_not_make_todays_worse_one_last():
    before = earlier(Outcome.WARNED, 0.2, YESTERDAY)
    finding = judged(0.6, {"by_severity": {"P0": {"bound": "50%", "for": "2m"}, "P2": "5%"}}, previous=before)
    assert (finding.outcome, finding.severity, finding.since) == (Outcome.WARNED, "P2", YESTERDAY)


@pytest.mark.parametrize("before", [None, earlier(Outcome.PASSED, 0.1, None), earlier(Outcome.NOT_CHECKED, None, None)])
def test_a_new_problem_is_one_since_now(before):
    assert judged(0.96, {"critical": "95%"}, previous=before).since == NOW


def test_an_old_problem_keeps_its_beginning_even_when_the_history_is_short():
    before = earlier(Outcome.FAILED, 0.97, YESTERDAY)
    finding = judged(0.96, {"critical": "95%", "for": "2m"}, previous=before, series=history(*[0.96] * 4))
    assert finding.since == YESTERDAY


def test_a_problem_that_had_gone_begins_anew():
    before = earlier(Outcome.FAILED, 0.97, YESTERDAY)
    finding = judged(0.96, {"critical": "95%", "for": "2m"}, previous=before, series=history(0.1, 0.96, 0.96, 0.96))
    assert finding.since == NOW - timedelta(minutes=2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "lots"])
def test_what_is_no_number_is_errored_and_never_passed(value):
    finding = judged(value, {"critical": "95%"})
    assert (finding.outcome, finding.severity, finding.value) == (Outcome.ERRORED, "P2", None)
    assert "cannot be held against a limit" in finding.note


def test_a_no_fails_by_the_catalogs_own_limit():
    finding = judge(reading(value=False, name="ok"), platform=platform({}), system="disk", previous=None, now=NOW)
    assert finding is not None
    assert (finding.outcome, finding.observed, finding.limit) == (Outcome.FAILED, "no", "when no")


@pytest.mark.parametrize(("days", "outcome"), [(40, Outcome.PASSED), (20, Outcome.WARNED), (-1, Outcome.FAILED)])
def test_what_should_last_is_bad_below_its_bound(days, outcome):
    spec = platform({"expires_in": {"warn": "30d", "critical": "7d"}})
    finding = judge(reading(days * 86400.0, name="expires_in"), platform=spec, system="disk", previous=None, now=NOW)
    assert finding is not None
    assert finding.outcome is outcome


@pytest.mark.parametrize(("name", "value"), [("plain", 5.0), ("state", "green")])
def test_a_measurement_without_a_limit_only_informs(name, value):
    assert judge(reading(value, name=name), platform=platform({}), system="disk", previous=None, now=NOW) is None


def test_a_limit_with_a_severity_and_no_bound_only_informs():
    spec = platform({"plain": {"severity": "P0"}})
    assert judge(reading(5.0, name="plain"), platform=spec, system="disk", previous=None, now=NOW) is None


@pytest.mark.parametrize(
    ("gap", "severity", "measurement"),
    [
        (Gap(outcome=Outcome.ERRORED, reason="who knows"), "P0", "check"),
        (Gap(outcome=Outcome.ERRORED, reason="forbidden", name="used"), "P2", "used"),
        (Gap(outcome=Outcome.NOT_CHECKED, reason="not installed", name="used"), None, "used"),
        (Gap(outcome=Outcome.SKIPPED, reason="in maintenance"), None, "check"),
    ],
)
def test_a_gap_says_what_was_not_measured_and_only_errors_have_a_severity(gap, severity, measurement):
    finding = judge(gap, platform=platform({}, severity="P0"), system="disk", previous=None, now=NOW)
    assert finding is not None
    assert (finding.outcome, finding.severity, finding.measurement) == (gap.outcome, severity, measurement)
    assert (finding.note, finding.since) == (gap.reason, NOW if severity else None)


def test_a_system_that_errored_yesterday_too_has_errored_since_then():
    before = earlier(Outcome.ERRORED, None, YESTERDAY)
    gap = Gap(outcome=Outcome.ERRORED, reason="who knows")
    finding = judge(gap, platform=platform({}), system="disk", previous=before, now=NOW)
    assert finding is not None
    assert finding.since == YESTERDAY
