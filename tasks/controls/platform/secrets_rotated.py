"""Secrets do not grow old."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.cases import secret, unseen
from tasks.controls.platform.common import control
from tasks.core.audit import Part, each
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge when each secret was changed; its value is never read."""
    judged = unseen(facts, Part.SECRETS, Judgement())
    judged.gaps += [why for part, why in facts.told.files.gaps.items() if part == Part.SECRETS]
    within = facts.plan.rotation.within
    known = [*each(facts.told.audits, Part.SECRETS), *(("files", one) for one in facts.told.files.secrets)]
    for system, one in known:
        judged.looked += 1
        age = facts.now - one.changed
        if age > within:
            by = f", as {one.by} tells" if one.by else ""
            what = f"{one.name} was changed {age.days} days ago{by}; {within.days} allowed"
            judged.breaches.append(Breach(what, {"system": system, "name": one.name}))
    return judged if known or judged.gaps else Judgement(gaps=["no secret is known of which a machine could tell"])


CONTROL = control(
    "secrets-rotated",
    "Secrets and API keys were rotated within 90 days",
    proves="Every Secret of a cluster, every file with a secret and each access key that the spec asks for was written "
    "within its days, as annotation, managers of fields, IAM or the file's time tell; no machine reads a value.",
    severity=Severity.HIGH,
    remedy="Rotate it, and let what uses it start anew.",
    judge=judge,
    bad=lambda: secret(timedelta(days=91)),
    good=lambda: secret(timedelta(days=89)),
    soc2=("CC6.1",),
    iso=("A.5.17", "A.8.24"),
    attestable=True,
)
