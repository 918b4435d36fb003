"""The export for a court works."""

from __future__ import annotations

from tasks.controls.platform.cases import package, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.trials import judge as tried


def judge(facts: Facts) -> Judgement:
    """Judge the newest package."""
    if facts.plan.legal_export is None:
        return unasked("how what a court asks for is exported")
    return tried(facts.trials, "legal-export", ("",), facts.now)


CONTROL = control(
    "legal-export",
    "The export for a court works",
    proves="The export was really run, its package opened, held against its own hashes, and as many entries "
    "counted as the source has; its SHA-256 is kept with the result.",
    severity=Severity.HIGH,
    remedy="Run the export by hand, and look at what it hands over.",
    judge=judge,
    bad=lambda: package("legal-export", 9),
    good=lambda: package("legal-export", 10),
    soc2=("CC2.3", "CC7.3"),
    iso=("A.5.28", "A.5.31"),
    gdpr=("Art. 6", "Art. 15"),
    attestable=True,
)
