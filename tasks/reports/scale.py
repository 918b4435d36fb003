"""How much of its limit a value uses: one number for every unit, so that bars can be compared."""

from __future__ import annotations

import math

from tasks.core.results import Finding, Outcome
from tasks.core.units import Unit

_FAR = 10


def share(finding: Finding) -> float | None:
    """Return the part of its limit that a finding's value uses: 0.5 is half way, 1 is at the bound.

    Where less is worse it is bound / value; for a ratio, what is missing of 100% against what may be missing (an error
    budget). A value that no scale reaches (anything above a bound of 0) is infinite. Without numbers, or with a bound
    below 0, it is None.
    """
    value, bound = finding.value, finding.bound
    if (
        value is None
        or bound is None
        or finding.unit in (Unit.YES_NO, Unit.TEXT, None)
        or not math.isfinite(value)
        or bound < 0
    ):
        return None
    if finding.worse == "above":
        return _part(value, bound)
    if finding.unit is Unit.RATIO and bound <= 1:
        return _part(1 - value, 1 - bound)
    return _part(bound, value) if bound > 0 else (0.0 if value >= bound else math.inf)


def pressing(finding: Finding) -> float:
    """Return what sorts findings on a chart: the share, and above all shares a problem that has none."""
    known = share(finding)
    if known is not None:
        return known
    return math.inf if finding.outcome in (Outcome.FAILED, Outcome.ERRORED) else -1.0


def _part(value: float, bound: float) -> float:
    if value <= 0:
        return 0.0 if bound > 0 or value >= bound else math.inf
    return value / bound if bound > 0 else math.inf


def said(share: float) -> str:
    """Say a share for a person: `83% of its limit`."""
    return f"{share:.0%} of its limit" if share < _FAR else "far beyond its limit"
