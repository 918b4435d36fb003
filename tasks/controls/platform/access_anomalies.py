"""Failed logins, rate-limit violations and injections stay within bounds."""

from __future__ import annotations

from tasks.controls.platform.common import control, from_health, health
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.results import Finding, Outcome

_WORDS = ("failed_login", "failed_authentication", "rate_limit_violation", "sql_injection", "one_address")


def _chosen(finding: Finding) -> bool:
    return any(word in f"{finding.measurement} {finding.subject}" for word in _WORDS)


def judge(facts: Facts) -> Judgement:
    """Judge by the newest health check."""
    return from_health(facts, _chosen)


CONTROL = control(
    "access-anomalies",
    "Nobody tries to break in unseen",
    proves="Failed logins, rate-limit violations and injections that the health check counts are within the limits.",
    severity=Severity.HIGH,
    remedy="Look into the sources with `watchkeeper logs scan`, and block them.",
    judge=judge,
    bad=lambda: health("failed_logins", Outcome.FAILED),
    good=lambda: health("failed_logins", Outcome.PASSED),
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.15", "A.8.16"),
    gdpr=("Art. 32",),
)
