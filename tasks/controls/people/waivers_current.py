"""No exception is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.core.compliance import Exceptions
from tasks.core.control import Breach, Control, Judgement, Result, Severity
from tasks.core.statements import Statement, exceptions

_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def judge(facts: Exceptions) -> Judgement:
    """Judge every waiver: one that ended, that matches nothing, or that nothing needs is a finding of its own."""
    waivers = [one for one in facts.statements if one.kind == "waiver"]
    told = exceptions(facts.statements, facts.results, facts.now)
    return Judgement(looked=len(waivers), breaches=[Breach(said, {"waiver": one.id}) for one, said in told])


def _case(until: datetime) -> Exceptions:
    one = Statement(
        id="a", kind="waiver", platform="p", control="c", by="x", approver="y", text="t",
        at=_AT - timedelta(days=9), until=until,
    )  # fmt: skip
    return Exceptions(_AT, (one,), {"c": Result.FAIL})


CONTROL = Control(
    id="waivers-current",
    about="waivers",
    title="Every exception is needed, and has not ended",
    proves="Each waiver holds now, and what it waives is not kept; not that it was right to give it.",
    severity=Severity.MEDIUM,
    remedy="Mend what was waived, have the waiver renewed by its approver, or take it back.",
    requirements={"SOC 2": ("CC3.4", "CC5.3"), "ISO 27001:2022": ("A.5.36",), "GDPR": ()},
    judge=judge,
    bad=lambda: _case(_AT),
    good=lambda: _case(_AT + timedelta(days=1)),
)
