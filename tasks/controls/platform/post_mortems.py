"""What went wrong is written down while it is remembered."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.cases import planned, unasked
from tasks.controls.platform.common import AT, control, time_of
from tasks.core.audit import Rows, Told
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity
from tasks.core.units import format_duration


def judge(facts: Facts) -> Judgement:
    """Judge every incident that has ended: its post-mortem must be there in time."""
    rows, within = facts.told.incidents, facts.plan.incidents.written_within
    if rows is None:
        return unasked("where incidents are listed")
    judged = Judgement(gaps=[rows.gap] if rows.gap else [])
    for row in rows.rows:
        try:
            ended, written = time_of(row, "ended"), time_of(row, "written")
        except ValueError as error:
            judged.gaps.append(f"incident {row.get('id', '?')}: {error}")
            continue
        if ended is None:
            continue
        judged.looked += 1
        late = (written or facts.now) - ended
        if late > within:
            said = "was written" if written else "is missing"
            after = format_duration(late.total_seconds())
            what = f"incident {row.get('id', '?')}: its post-mortem {said} after {after}"
            judged.breaches.append(Breach(what, {"name": str(row.get("id", "?"))}))
    return judged


def _incident(hours: int) -> Facts:
    row = {"id": "one", "ended": (AT - timedelta(days=9)).isoformat()}
    written = {"written": (AT - timedelta(days=9) + timedelta(hours=hours)).isoformat()}
    plan = planned(incidents={"log": {"command": ["true"]}})
    return Facts(AT, plan=plan, told=Told(incidents=Rows((row | written,))))


CONTROL = control(
    "post-mortems",
    "Post-mortems are written within 48 hours",
    proves="Every incident of the list that has ended has a post-mortem, written within the hours of the spec; "
    "not that every incident is in the list.",
    severity=Severity.MEDIUM,
    remedy="Write what is missing.",
    judge=judge,
    bad=lambda: _incident(49),
    good=lambda: _incident(47),
    soc2=("CC7.5",),
    iso=("A.5.27",),
    attestable=True,
)
