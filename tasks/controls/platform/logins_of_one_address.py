"""Nobody guesses passwords from one address."""

from __future__ import annotations

from tasks.controls.platform.cases import attacks, scanned
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge each address."""
    most = facts.plan.access_logs.failed_logins_of_one
    return scanned(
        facts,
        lambda found: [
            f"{one['count']} failed logins from {one['source']}, {most} allowed"
            for one in found["failed_logins"]["sources_over_limit"]
        ],
    )


CONTROL = control(
    "logins-of-one-address",
    "No address fails to log in again and again",
    proves="The access logs of the last day hold no address with more than 50 failed logins, or as many as the "
    "spec allows.",
    severity=Severity.HIGH,
    remedy="Block the address, and see whether it got in.",
    judge=judge,
    bad=lambda: attacks(failed_logins={"sources_over_limit": [{"source": "203.0.113.9", "count": 51}]}),
    good=attacks,
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.15", "A.8.16"),
    gdpr=("Art. 32",),
)
