"""When a forecast crosses a limit: as a distribution, or not within the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.core.forecasting.arrays import Floats


@dataclass(frozen=True)
class Crossing:
    """When one limit is crossed, in steps after the last value; None is: not within the horizon.

    Attributes:
        limit: The limit.
        upward: Whether the series comes from below.
        already: Whether its newest values are beyond it.
        median: As likely before as after.
        early: The early end of the interval.
        late: The late end of the interval.
        probability: How likely the limit is crossed within the horizon, by the end of it.
    """

    limit: float
    upward: bool
    already: bool
    median: float | None
    early: float | None
    late: float | None
    probability: float


def crossing(limit: float, now: float, paths: dict[str, Floats], probability: float, *, upward: bool) -> Crossing:
    """Find where three paths cross a limit.

    Args:
        limit: The limit.
        now: Where the series is.
        paths: `low`, `value` and `high`, one number for each step ahead.
        probability: How likely it is at the horizon's end.
        upward: Whether too much is bad; else too little is.
    """
    sign = 1.0 if upward else -1.0
    if sign * (now - limit) >= 0:
        return Crossing(limit, upward, already=True, median=0.0, early=0.0, late=0.0, probability=1.0)
    first, last = ("high", "low") if upward else ("low", "high")
    when = {name: _first_beyond(sign * path, sign * limit, sign * now) for name, path in paths.items()}
    return Crossing(limit, upward, False, when["value"], when[first], when[last], probability)  # noqa: FBT003


def _first_beyond(path: Floats, limit: float, now: float) -> float | None:
    beyond = np.flatnonzero(path >= limit)
    if not len(beyond):
        return None
    at = int(beyond[0])
    before = now if at == 0 else float(path[at - 1])
    rise = float(path[at]) - before
    part = 1.0 if rise <= 0 else min(1.0, max(0.0, (limit - before) / rise))
    return at + part
