"""What must be gone after seconds is gone."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.cases import trial, unasked
from tasks.controls.platform.common import control
from tasks.core.audit import Part
from tasks.core.compliance import Facts
from tasks.core.compliance_plan import Ephemeral
from tasks.core.control import Breach, Judgement, Severity
from tasks.core.trials import judge as tried
from tasks.core.units import format_duration

_IN_USE = timedelta(minutes=1)
"""Beyond the deadline: clocks differ, and an upload may be in use."""


def judge(facts: Facts) -> Judgement:
    """Judge what was planted, and the bucket: nothing in it is older, and a rule of the store clears up behind."""
    if not facts.plan.ephemeral:
        return unasked("what data is to be gone by itself")
    judged = tried(facts.trials, "ephemeral-deleted", facts.plan.ephemeral, facts.now)
    for name, one in facts.plan.ephemeral.items():
        if one.bucket is not None:
            _bucket(facts, name, one, judged)
    return judged


def _bucket(facts: Facts, name: str, one: Ephemeral, judged: Judgement) -> None:
    told = facts.told.audits.get(one.bucket or "")
    if told is None or not told.buckets or told.buckets[0].expires is None:
        why = told.gaps.get(Part.BUCKETS) if told is not None else None
        judged.gaps.append(f"{one.bucket}: {why or 'it tells nothing of its objects'}")
        return
    bucket, of = told.buckets[0], {"system": one.bucket or "", "name": name}
    judged.looked += 2
    if not bucket.expires:
        judged.breaches.append(Breach(f"{bucket.name}: no lifecycle rule lets everything expire", of))
    if bucket.cut:
        judged.gaps.append(f"{bucket.name}: not all of its objects could be listed")
    if bucket.oldest is not None and facts.now - bucket.oldest[0] > one.within + _IN_USE:
        age = format_duration((facts.now - bucket.oldest[0]).total_seconds())
        judged.breaches.append(Breach(f"{bucket.name}: {bucket.oldest[1]} is {age} old", of))


CONTROL = control(
    "ephemeral-deleted",
    "Ephemeral uploads are gone in time",
    proves="A synthetic upload was planted and, after its deadline, was in no bucket, version or queue; no "
    "object is older, and a lifecycle rule of the store is in force.",
    severity=Severity.CRITICAL,
    remedy="COMPLIANCE: tell the compliance officer at once, run the clean-up, and see why the cleaner stands still.",
    judge=judge,
    bad=lambda: trial("ephemeral-deleted", "gone", left=1, subject="uploads"),
    good=lambda: trial("ephemeral-deleted", "gone", left=0, subject="uploads"),
    soc2=("C1.2", "P4.3"),
    iso=("A.5.34", "A.8.10"),
    gdpr=("Art. 5", "Art. 17"),
    attestable=True,
)
