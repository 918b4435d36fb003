"""A disk that is stolen says nothing."""

from __future__ import annotations

from tasks.controls.platform.cases import bucket, buckets
from tasks.controls.platform.common import control
from tasks.core.audit import Bucket
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every bucket by its default encryption."""

    def wrong(system: str, one: Bucket) -> str | None:
        if system in facts.plan.buckets.unencrypted:
            return ""
        return None if one.encryption is None else "" if one.encryption else "the store does not encrypt by itself"

    return buckets(facts, wrong)


CONTROL = control(
    "buckets-encrypted",
    "Every bucket is encrypted by its store",
    proves="Every bucket has a default encryption; not that what came before it is encrypted.",
    severity=Severity.MEDIUM,
    remedy="Set the default encryption (PutBucketEncryption), and copy the old objects over themselves.",
    judge=judge,
    bad=lambda: bucket(encryption=""),
    good=lambda: bucket(encryption="AES256"),
    soc2=("CC6.1", "CC6.7"),
    iso=("A.8.24",),
    gdpr=("Art. 32",),
)
