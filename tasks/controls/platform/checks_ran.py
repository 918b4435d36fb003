"""Everything ran when it was to run."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.common import AT, control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity
from tasks.core.operating import Gap, Operated

_MOST = 3


def judge(facts: Facts) -> Judgement:
    """Judge each slot of the last month: operating effectiveness, not design. What is explained is no breach."""
    if facts.operated is None:
        return Judgement(gaps=["there is no evidence of what ran, or no schedule to hold it against"])
    if not any(one.expected for one in facts.operated):
        return Judgement(gaps=["nothing was to run since there is evidence"])
    breaches = []
    for one in facts.operated:
        missed = one.unexplained
        if missed:
            when = ", ".join(f"{gap.at:%Y-%m-%d %H:%M}" for gap in missed[:_MOST])
            more = f" and {len(missed) - _MOST} times more" if len(missed) > _MOST else ""
            breaches.append(Breach(f"{one.flow} did not run on {when}{more} UTC", {"flow": one.flow}))
    return Judgement(looked=sum(one.expected for one in facts.operated), breaches=breaches)


def _case(why: str) -> Facts:
    gap = Gap(at=AT - timedelta(days=3), why=why)
    return Facts(AT, operated=(Operated(flow="health-check", expected=30, ran=29, gaps=(gap,)),))


CONTROL = control(
    "checks-ran",
    "Everything ran when it was to run",
    proves="For each time at which a check, a backup or a drill was to run in the last 31 days there is a record of it "
    "in the ledger, or the gap is explained; not what the runs said.",
    severity=Severity.MEDIUM,
    remedy="See why the schedule did not run: `watchkeeper status`; explain it with `watchkeeper controls downtime`.",
    judge=judge,
    bad=lambda: _case(""),
    good=lambda: _case("maintenance"),
    soc2=("CC4.1", "CC7.1"),
    iso=("A.8.16",),
)
