"""Backups that are stolen say nothing."""

from __future__ import annotations

from tasks.controls.platform.common import control, copies, unread
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every backup; a platform whose spec says that they are not encrypted breaks it too."""
    judged = Judgement(looked=len(facts.copies))
    for one in facts.copies:
        if not one.encrypted:
            what = f"the backup {one.id} of {one.system} in {one.vault} is not encrypted"
            judged.breaches.append(Breach(what, {"system": one.system, "vault": one.vault}))
    return unread(facts, judged)


CONTROL = control(
    "backups-encrypted",
    "Every backup is encrypted",
    proves="The newest backups in every vault are encrypted, lists of hashes aside, as their manifests say.",
    severity=Severity.HIGH,
    remedy="Set `encryption` with recipients in the spec, and let the old backups go.",
    judge=judge,
    bad=lambda: copies(encrypted=False),
    good=copies,
    soc2=("CC6.1", "CC6.7"),
    iso=("A.8.13", "A.8.24"),
    gdpr=("Art. 32",),
)
