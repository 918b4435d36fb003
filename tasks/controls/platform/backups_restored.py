"""A backup is one only if it comes back."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.common import AT, control, copies, unread
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity

_QUARTER = timedelta(days=92)


def judge(facts: Facts) -> Judgement:
    """Judge every protected system: was any backup of it restored and found good within the quarter?"""
    judged = Judgement(looked=len(facts.protected))
    for system in facts.protected:
        proven = [one.proven for one in facts.copies if one.system == system and one.proven is not None]
        if not proven:
            judged.breaches.append(Breach(f"no backup of {system} was ever restored", {"system": system}))
        elif facts.now - max(proven) > _QUARTER:
            what = f"a backup of {system} was last restored on {max(proven):%Y-%m-%d}"
            judged.breaches.append(Breach(what, {"system": system}))
    if facts.unread:
        judged.breaches.clear()  # the proof may lie where nobody could look
    return unread(facts, judged)


CONTROL = control(
    "backups-restored",
    "Every system was restored from a backup within the quarter",
    proves="A backup of each protected system was restored into scratch and compared within 92 days.",
    severity=Severity.CRITICAL,
    remedy="Run `watchkeeper verify PLATFORM`, and see to the schedule of `verify-backups`.",
    judge=judge,
    bad=lambda: copies(proven=AT - timedelta(days=93)),
    good=copies,
    soc2=("A1.2", "A1.3"),
    iso=("A.5.30", "A.8.13"),
    gdpr=("Art. 32",),
)
