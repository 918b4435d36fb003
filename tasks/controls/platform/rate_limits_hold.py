"""Nobody floods the platform."""

from __future__ import annotations

from tasks.controls.platform.cases import attacks, scanned
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge each hour."""
    most = facts.plan.access_logs.rate_limited
    return scanned(
        facts,
        lambda found: [
            f"{one['count']} rate-limit violations in the hour from {one['hour']}, {most} allowed"
            for one in found["rate_limit_violations"]["hours_over_limit"]
        ],
    )


CONTROL = control(
    "rate-limits-hold",
    "Rate-limit violations stay below the limit of an hour",
    proves="The access logs of the last day hold no hour with more than 1,000 rate-limit violations, or as many "
    "as the spec allows.",
    severity=Severity.MEDIUM,
    remedy="Look into the sources with `watchkeeper logs scan`; block them, or raise the limit of a client that may.",
    judge=judge,
    bad=lambda: attacks(rate_limit_violations={"hours_over_limit": [{"hour": "h", "count": 1001}]}),
    good=attacks,
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.16",),
)
