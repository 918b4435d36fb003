"""Somebody looked, every day."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.common import AT, control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity

_DAYS = 30


def judge(facts: Facts) -> Judgement:
    """Judge each of the last 30 days since the first check: operating effectiveness, not design."""
    today = facts.now.date()
    seen = {at.date() for at in facts.checked}
    if not seen:
        return Judgement(gaps=["no health check is kept"])
    first = max(min(seen), today - timedelta(days=_DAYS))
    days = [first + timedelta(days=number) for number in range((today - first).days)]
    missed = [day for day in days if day not in seen]
    breaches = [Breach(f"no health check ran on {day}") for day in missed]
    return Judgement(looked=len(days) + 1, breaches=breaches)


CONTROL = control(
    "checks-ran",
    "The health check ran on every day of the month",
    proves="A report is kept of every one of the last 30 days (UTC) since the first one; not what it said.",
    severity=Severity.MEDIUM,
    remedy="See why the schedule did not run: `watchkeeper status`.",
    judge=judge,
    bad=lambda: Facts(AT, checked=(AT - timedelta(days=3), AT)),
    good=lambda: Facts(AT, checked=(AT - timedelta(days=1), AT)),
    soc2=("CC4.1", "CC7.1"),
    iso=("A.8.16",),
)
