"""Known holes of systems are mended."""

from __future__ import annotations

from tasks.controls.platform.cases import planned, unasked
from tasks.controls.platform.common import AT, control
from tasks.core.audit import Rows, Told
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge each machine."""
    plan, rows = facts.plan.updates, facts.told.updates
    if plan is None or rows is None:
        return unasked("what counts the security updates that wait")
    judged = Judgement(gaps=[rows.gap] if rows.gap else [])
    if not rows.rows and not rows.gap:
        judged.gaps.append("no machine tells how many updates wait")
    for row in rows.rows:
        name, value = row.get("name", "?"), row.get("value")
        if not isinstance(value, int | float):
            judged.gaps.append(f"{name}: it does not say how many wait")
            continue
        judged.looked += 1
        if value > plan.fine:
            judged.breaches.append(Breach(f"{name}: {value:g} security updates wait", {"name": str(name)}))
    return judged


def _waiting(count: int) -> Facts:
    plan = planned(updates={"ask": {"system": "metrics", "call": "apt_upgrades_pending"}})
    return Facts(AT, plan=plan, told=Told(updates=Rows(({"name": "machine", "value": count},))))


CONTROL = control(
    "systems-updated",
    "Systems have no security update that waits",
    proves="Every machine that tells of itself has no security update waiting, or as few as the spec allows.",
    severity=Severity.HIGH,
    remedy="Install the updates, in staging first.",
    judge=judge,
    bad=lambda: _waiting(1),
    good=lambda: _waiting(0),
    soc2=("CC7.1",),
    iso=("A.8.8",),
    gdpr=("Art. 32",),
    attestable=True,
)
