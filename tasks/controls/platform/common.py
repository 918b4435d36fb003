"""What the controls of a platform share: how findings of the health check become judgements, and small facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.core.compliance import Copy, Facts
from tasks.core.control import Breach, Control, Judgement, Severity
from tasks.core.moments import moment
from tasks.core.report import Report, SystemReport
from tasks.core.results import Finding, Outcome

FRESH = timedelta(days=2)
"""A health check that is older says nothing of today."""

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
"""When the cases happen by which the controls prove themselves."""


def from_health(facts: Facts, chosen: Callable[[Finding], bool]) -> Judgement:
    """Judge the findings of the newest health check that are chosen."""
    judged = Judgement()
    if facts.health is None:
        judged.gaps.append("there is no health check to judge by")
        return judged
    if facts.now - facts.health.finished > FRESH:
        judged.stale = f"the newest health check is of {facts.health.finished:%Y-%m-%d %H:%M} UTC"
    for system in facts.health.systems:
        for finding in filter(chosen, system.findings):
            judged.looked += 1
            if finding.outcome in (Outcome.FAILED, Outcome.WARNED):
                what = f"{finding.label}: {finding.observed}" + (f", limit {finding.limit}" if finding.limit else "")
                judged.breaches.append(Breach(what, {"system": finding.system}))
            elif finding.outcome is not Outcome.PASSED:
                judged.gaps.append(f"{finding.label} is {finding.outcome}")
    return judged


def health(measurement: str, outcome: Outcome, *, subject: str = "", at: datetime = AT) -> Facts:
    """Return facts with one finding of a health check."""
    finding = Finding(system="s", measurement=measurement, subject=subject, outcome=outcome, observed="x", at=at)
    system = SystemReport(name="s", kind="http", title="S", seconds=0, findings=(finding,))
    report = Report.model_construct(
        id="r", platform="p", title="P", timezone="UTC", flow="health-check", started=at, finished=at, systems=(system,)
    )
    return Facts(AT, health=report)


def copies(*, encrypted: bool = True, proven: datetime | None = AT) -> Facts:
    """Return facts with one backup of one system."""
    one = Copy("database", "local", "b", AT - timedelta(hours=3), encrypted, proven)
    return Facts(AT, protected={"database": ("local",)}, copies=(one,))


def unread(facts: Facts, judged: Judgement) -> Judgement:
    """Add what could not be looked at: a vault that gives no answer must not make a control green."""
    judged.gaps += [f"vault {name}: {why}" for name, why in facts.unread.items()]
    return judged


def time_of(row: Mapping[str, Any], name: str) -> datetime | None:
    """Return a time of a row; None where it is left out.

    Raises:
        ValueError: It is none, or has no zone.
    """
    value = row.get(name)
    if value is None or value == "":
        return None
    found = value if isinstance(value, datetime) else moment(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def control(
    name: str,
    title: str,
    *,
    proves: str,
    severity: Severity,
    remedy: str,
    judge: Callable[[Facts], Judgement],
    bad: Callable[[], Facts],
    good: Callable[[], Facts],
    soc2: tuple[str, ...] = (),
    iso: tuple[str, ...] = (),
    gdpr: tuple[str, ...] = (),
    owner: str = "platform",
    attestable: bool = False,
) -> Control[Facts]:
    """Return a control over a platform."""
    return Control(
        id=name,
        about="platform",
        title=title,
        proves=proves,
        severity=severity,
        remedy=remedy,
        requirements={"SOC 2": soc2, "ISO 27001:2022": iso, "GDPR": gdpr},
        judge=judge,
        bad=bad,
        good=good,
        owner=owner,
        attestable=attestable,
    )
