"""What is overwritten by mistake comes back."""

from __future__ import annotations

from tasks.controls.platform.cases import bucket, buckets, planned
from tasks.controls.platform.common import control
from tasks.core.audit import Bucket
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity

_PLAN = planned(buckets={"versioned": ["storage"]})


def judge(facts: Facts) -> Judgement:
    """Judge the buckets that the spec names."""

    def wrong(system: str, one: Bucket) -> str | None:
        if system not in facts.plan.buckets.versioned:
            return ""
        return None if one.versioned is None else "" if one.versioned else "it keeps no versions"

    return buckets(facts, wrong) if facts.plan.buckets.versioned else Judgement()


CONTROL = control(
    "buckets-versioned",
    "The buckets that must keep versions do",
    proves="Versioning is enabled on every bucket of which the spec says so.",
    severity=Severity.MEDIUM,
    remedy="Enable versioning, with a rule that lets old versions expire.",
    judge=judge,
    bad=lambda: bucket(_PLAN, versioned=False),
    good=lambda: bucket(_PLAN, versioned=True),
    soc2=("A1.2",),
    iso=("A.8.13",),
)
