"""Data is kept no longer than stated."""

from __future__ import annotations

from datetime import timedelta

from tasks.controls.platform.cases import oldest, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity

_SLACK = timedelta(days=1)
"""Whatever clears up does so once a day."""


def judge(facts: Facts) -> Judgement:
    """Judge the oldest row, object, file or backup of everything of which the spec says how long it is kept."""
    if not facts.plan.retention:
        return unasked("how long data is kept")
    told, judged = {one.name: one for one in facts.told.oldest}, Judgement()
    for name, kept in facts.plan.retention.items():
        one = told.get(name)
        if one is None or one.gap or (one.at is None and not one.empty_is_fine):
            judged.gaps.append(f"{name}: {one.gap or 'there is nothing, which proves nothing' if one else 'not asked'}")
            continue
        judged.looked += 1
        if one.at is not None and facts.now - one.at > kept.keep + _SLACK:
            what = f"{name}: {one.what} is {(facts.now - one.at).days} days old, {kept.keep.days} allowed"
            judged.breaches.append(Breach(what, {"name": name}))
    return judged


CONTROL = control(
    "retention-enforced",
    "Data is kept no longer than stated",
    proves="The oldest row, object, file or backup of each sort of data is no older than the spec states, and a day.",
    severity=Severity.MEDIUM,
    remedy="Remove what is too old, and see why what clears up did not.",
    judge=judge,
    bad=lambda: oldest(timedelta(days=92)),
    good=lambda: oldest(timedelta(days=89)),
    soc2=("C1.2",),
    iso=("A.8.10",),
    gdpr=("Art. 5",),
    attestable=True,
)
