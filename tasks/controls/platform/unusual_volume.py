"""Nobody takes everything away."""

from __future__ import annotations

from tasks.controls.platform.cases import attacks, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge each address against its own other hours."""
    if not facts.plan.access_logs.systems:
        return unasked("in which logs traffic is to be counted")
    told = facts.told.attacks
    judged = Judgement(looked=told.addresses, gaps=[f"{system}: {why}" for system, why in told.gaps.items()])
    if not told.addresses:
        judged.gaps.append("no address came in so many hours that one of them could be unusual")
    for one in told.unusual:
        usual = (
            f"{one['requests']} requests from {one['source']} in the hour from {one['hour']}, {one['usual']:g} usual"
        )
        judged.breaches.append(Breach(usual, {"name": one["source"]}))
    return judged


CONTROL = control(
    "unusual-volume",
    "No address asks for unusually much",
    proves="In the access logs of the last day no address had an hour with ten times, or as many times as the "
    "spec says, the requests of its own usual hour; of addresses that came in few hours it says nothing.",
    severity=Severity.MEDIUM,
    remedy="Look at what the address asked for, and ask its owner; block it.",
    judge=judge,
    bad=lambda: attacks(unusual=({"source": "203.0.113.9", "hour": "h", "requests": 2000, "usual": 10},)),
    good=attacks,
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.16",),
)
