"""Backups survive who steals the keys."""

from __future__ import annotations

from tasks.controls.platform.common import AT, control
from tasks.core.audit import Audited, Bucket, Part, Told
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge the buckets of the vaults that are to be locked."""
    judged = Judgement()
    for name in facts.locked:
        told = facts.told.vaults.get(f"vault {name}")
        bucket = told.buckets[0] if told is not None and told.buckets else None
        if bucket is None or bucket.locked is None:
            why = told.gaps.get(Part.BUCKETS) if told is not None else None
            judged.gaps.append(f"vault {name}: {why or 'it was not looked at'}")
            continue
        judged.looked += 1
        if not bucket.locked:
            judged.breaches.append(Breach(f"vault {name}: {bucket.name} cannot lock objects", {"vault": name}))
    return judged


def _vault(*, locked: bool) -> Facts:
    told = Audited("vault offsite", kind="s3", buckets=[Bucket("vault", locked=locked)])
    return Facts(AT, told=Told(vaults={"vault offsite": told}), locked=("offsite",))


CONTROL = control(
    "vaults-locked",
    "Vaults that are to be locked are",
    proves="The bucket of every vault with `lock` has object lock enabled, so that a backup cannot be removed "
    "before its time.",
    severity=Severity.HIGH,
    remedy="Object lock is set when a bucket is made: make a new one, and copy the backups over.",
    judge=judge,
    bad=lambda: _vault(locked=False),
    good=lambda: _vault(locked=True),
    soc2=("A1.2", "CC6.1"),
    iso=("A.8.13",),
    gdpr=("Art. 32",),
)
