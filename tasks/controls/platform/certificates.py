"""Certificates do not run out."""

from __future__ import annotations

from tasks.controls.platform.common import control, from_health, health
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.results import Finding, Outcome


def _chosen(finding: Finding) -> bool:
    return finding.measurement == "expires_in"


def judge(facts: Facts) -> Judgement:
    """Judge by the newest health check."""
    return from_health(facts, _chosen)


CONTROL = control(
    "certificates",
    "Every certificate is good for more than 30 days",
    proves="The newest health check saw every certificate that the spec names, within its limits.",
    severity=Severity.HIGH,
    remedy="Renew the certificate, and see why it was not renewed by itself.",
    judge=judge,
    bad=lambda: health("expires_in", Outcome.FAILED),
    good=lambda: health("expires_in", Outcome.PASSED),
    soc2=("CC6.7",),
    iso=("A.8.24",),
    gdpr=("Art. 32",),
)
