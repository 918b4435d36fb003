"""Certificates do not run out."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.common import control, from_health, health
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity
from tasks.core.results import Finding, Outcome

_LEAST = timedelta(days=30)


def _chosen(finding: Finding) -> bool:
    return finding.measurement in ("expires_in", "certificate_expires_in")


def judge(facts: Facts) -> Judgement:
    """Judge by the newest health check; one that has fewer than 30 days left breaks it, whatever the limit says."""
    judged = from_health(facts, _chosen)
    for system in facts.health.systems if facts.health is not None else ():
        for finding in filter(_chosen, system.findings):
            left = finding.value
            if finding.outcome is Outcome.PASSED and isinstance(left, int | float) and left < _LEAST.total_seconds():
                what = f"{finding.label}: {finding.observed} left, 30 days wanted"
                judged.breaches.append(Breach(what, {"system": finding.system}))
    return judged


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
