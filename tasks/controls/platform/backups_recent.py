"""Backups are taken."""

from __future__ import annotations

from tasks.controls.platform.common import control, from_health, health
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.results import Finding, Outcome


def _chosen(finding: Finding) -> bool:
    return finding.measurement == "backup_age"


def judge(facts: Facts) -> Judgement:
    """Judge by the newest health check."""
    return from_health(facts, _chosen)


CONTROL = control(
    "backups-recent",
    "Every system has a backup that is new enough",
    proves="The newest health check saw a backup of every protected system, younger than the spec allows.",
    severity=Severity.CRITICAL,
    remedy="Run `watchkeeper backup`, and see why the schedule did not.",
    judge=judge,
    bad=lambda: health("backup_age", Outcome.FAILED),
    good=lambda: health("backup_age", Outcome.PASSED),
    soc2=("A1.2",),
    iso=("A.8.13",),
    gdpr=("Art. 32",),
)
