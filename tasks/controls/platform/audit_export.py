"""The export of audit logs works."""

from __future__ import annotations

from tasks.controls.platform.cases import package, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.trials import judge as tried


def judge(facts: Facts) -> Judgement:
    """Judge the newest package."""
    if facts.plan.audit_export is None:
        return unasked("how audit logs are exported")
    return tried(facts.trials, "audit-export", ("",), facts.now)


CONTROL = control(
    "audit-export",
    "The export of audit logs works",
    proves="The export was really run, its package opened, held against its own hashes, and as many entries "
    "counted as the source has; its SHA-256 is kept with the result.",
    severity=Severity.HIGH,
    remedy="Run the export by hand, and look at what it hands over.",
    judge=judge,
    bad=lambda: package("audit-export", 9),
    good=lambda: package("audit-export", 10),
    soc2=("CC2.3", "CC7.3"),
    iso=("A.5.28", "A.5.31"),
    gdpr=("Art. 5", "Art. 30"),
    attestable=True,
)
