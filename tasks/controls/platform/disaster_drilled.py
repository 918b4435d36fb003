"""A disaster was rehearsed."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.common import AT, control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity

_QUARTER = timedelta(days=92)


def judge(facts: Facts) -> Judgement:
    """Judge the drills of the quarter: one that passed is enough."""
    if not facts.protected:
        return Judgement()
    within = [passed for at, passed in facts.drilled if facts.now - at <= _QUARTER]
    judged = Judgement(looked=len(within))
    if not within:
        judged.breaches.append(Breach("no disaster was rehearsed within 92 days"))
    elif not any(within):
        judged.breaches.append(Breach(f"{len(within)} drills within 92 days, and none passed"))
    return judged


def _drilled(days: int) -> Facts:
    return Facts(AT, protected={"database": ("local",)}, drilled=((AT - timedelta(days=days), True),))


CONTROL = control(
    "disaster-drilled",
    "A disaster was rehearsed within the quarter",
    proves="A drill of the platform passed within 92 days.",
    severity=Severity.HIGH,
    remedy="Run `watchkeeper drill PLATFORM`, and see to the schedule of `dr-drill`.",
    judge=judge,
    bad=lambda: _drilled(93),
    good=lambda: _drilled(1),
    soc2=("A1.3", "CC7.5"),
    iso=("A.5.29", "A.5.30"),
    gdpr=("Art. 32",),
)
