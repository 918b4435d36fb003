"""Personal data that was to be erased is gone."""

from __future__ import annotations

from tasks.controls.platform.cases import trial, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.trials import judge as tried
from tasks.core.trials import lingering


def judge(facts: Facts) -> Judgement:
    """Judge the newest synthetic person, and the backups that may still hold an older one."""
    if facts.plan.erasure is None:
        return unasked("how personal data is erased")
    judged = tried(facts.trials, "personal-data-erased", ("",), facts.now)
    mine = [one for one in facts.trials if one.control == "personal-data-erased"]
    judged.breaches += lingering(mine, facts.told.entries, facts.now)
    if any(one.backups_until is not None and one.backups_until <= facts.now for one in mine):
        judged.gaps += [f"vault {name}: {why}" for name, why in facts.unread.items()]
    return judged


CONTROL = control(
    "personal-data-erased",
    "Personal data that was to be erased is gone everywhere",
    proves="A synthetic person was made, seen in each place, erased by the platform's own procedure, and found "
    "in none of them afterwards; and no backup from in between outlived its date.",
    severity=Severity.CRITICAL,
    remedy="Erase it by hand where it was found, and mend the procedure; let the backup go that is named.",
    judge=judge,
    bad=lambda: trial("personal-data-erased", "gone", left=1),
    good=lambda: trial("personal-data-erased", "gone", left=0),
    soc2=("P4.3",),
    iso=("A.5.34", "A.8.10"),
    gdpr=("Art. 17",),
    attestable=True,
)
