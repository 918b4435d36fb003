"""Strangers read nothing."""

from __future__ import annotations

from tasks.controls.platform.cases import bucket, buckets
from tasks.controls.platform.common import control
from tasks.core.audit import Bucket
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every bucket by its ACL, its policy, and a request without any signature."""

    def wrong(system: str, one: Bucket) -> str | None:
        if system in facts.plan.buckets.public:
            return ""
        return None if one.public is None else "; ".join(one.public)

    return buckets(facts, wrong)


CONTROL = control(
    "buckets-private",
    "No bucket is open to everybody",
    proves="Neither the ACL nor the policy of a bucket lets anybody in, and a listing without a signature was "
    "refused; not that no address was handed out.",
    severity=Severity.CRITICAL,
    remedy="Take the grant away, block public access, and see in the access log who was there.",
    judge=judge,
    bad=lambda: bucket(public=("anybody may list it",)),
    good=lambda: bucket(public=()),
    soc2=("CC6.1", "CC6.6"),
    iso=("A.5.15", "A.8.3"),
    gdpr=("Art. 32",),
)
