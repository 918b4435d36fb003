"""Whoever is called answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from tasks.controls.platform.cases import planned, unasked
from tasks.controls.platform.common import AT, control, time_of
from tasks.core.audit import Rows, Told
from tasks.core.compliance import Facts
from tasks.core.compliance_plan import Incidents
from tasks.core.control import Breach, Judgement, Severity
from tasks.core.units import format_duration


def judge(facts: Facts) -> Judgement:
    """Judge the newest test call of each contact of the spec."""
    rows, plan = facts.told.calls, facts.plan.incidents
    if rows is None:
        return unasked("where test calls are listed")
    judged = Judgement(gaps=[rows.gap] if rows.gap else [])
    newest: dict[str, tuple[datetime, datetime | None]] = {}
    for row in rows.rows:
        try:
            asked, answered = time_of(row, "asked"), time_of(row, "answered")
        except ValueError as error:
            judged.gaps.append(f"{row.get('role', '?')}: {error}")
            continue
        role = str(row.get("role", ""))
        if asked is not None and (role not in newest or asked > newest[role][0]):
            newest[role] = asked, answered
    for role in () if rows.gap else facts.roles:
        judged.looked += 1
        if what := _wrong(newest.get(role), facts.now, plan):
            judged.breaches.append(Breach(f"{role} {what}", {"name": role}))
    return judged


def _wrong(call: tuple[datetime, datetime | None] | None, now: datetime, plan: Incidents) -> str:
    if call is None:
        return "was never called"
    asked, answered = call
    if now - asked > plan.called_within:
        return f"was last called on {asked:%Y-%m-%d}"
    took = (answered or now) - asked
    if took <= plan.answer_within:
        return ""
    return (
        f"answered after {format_duration(took.total_seconds())}"
        if answered
        else f"has not answered since {asked:%Y-%m-%d}"
    )


def _call(minutes: int) -> Facts:
    asked = AT - timedelta(days=9)
    row = {"role": "On-call", "asked": asked.isoformat(), "answered": (asked + timedelta(minutes=minutes)).isoformat()}
    plan = planned(incidents={"contacts": {"command": ["true"]}})
    return Facts(AT, plan=plan, told=Told(calls=Rows((row,))), roles=("On-call",))


CONTROL = control(
    "incident-contacts",
    "Incident contacts answer",
    proves="Each contact of the spec answered a test call of the last quarter in time, as the list of calls says.",
    severity=Severity.MEDIUM,
    remedy="Call each contact, and put the numbers right.",
    judge=judge,
    bad=lambda: _call(16),
    good=lambda: _call(14),
    soc2=("CC7.4",),
    iso=("A.5.24", "A.5.26"),
    gdpr=("Art. 33",),
    attestable=True,
)
