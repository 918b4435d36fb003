"""Nobody guesses passwords by the hundred."""

from __future__ import annotations

from tasks.controls.platform.cases import attacks, scanned
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge each hour."""
    most = facts.plan.access_logs.failed_logins
    return scanned(
        facts,
        lambda found: [
            f"{one['count']} failed logins in the hour from {one['hour']}, {most} allowed"
            for one in found["failed_logins"]["hours_over_limit"]
        ],
    )


CONTROL = control(
    "failed-logins",
    "Failed logins stay below the limit of an hour",
    proves="The access logs of the last day hold no hour with more than 100 failed logins, or as many as the "
    "spec allows.",
    severity=Severity.HIGH,
    remedy="Look into the sources with `watchkeeper logs scan`, block them, and see whether one got in.",
    judge=judge,
    bad=lambda: attacks(failed_logins={"hours_over_limit": [{"hour": "h", "count": 101}]}),
    good=attacks,
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.15", "A.8.16"),
    gdpr=("Art. 32",),
)
