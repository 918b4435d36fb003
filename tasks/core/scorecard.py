"""How good the forecasts of an earlier report were: error, coverage, alarms that were false or missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np

from tasks.core.capacity import CapacityReport, Grade, History, Outlook
from tasks.core.forecasting.arrays import Floats

_DAY = 86_400.0


def grade(earlier: CapacityReport, histories: Sequence[History], now: datetime) -> tuple[Grade, ...]:
    """Hold what a report expected against what came."""
    came = {history.key: history for history in histories if len(history.times)}
    graded = (
        _graded(one, came[one.key], earlier.started, now) for one in earlier.outlooks if one.key in came and one.ahead
    )
    return tuple(one for one in graded if one is not None)


def _graded(said: Outlook, came: History, begun: datetime, now: datetime) -> Grade | None:
    order = np.argsort(came.times, kind="stable")
    times, values = came.times[order], came.values[order]
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    off, naive, covered = [], [], 0
    for expected in said.ahead:
        at = expected.at.timestamp()
        nearest = int(np.argmin(np.abs(times - at)))
        if expected.at <= now and abs(times[nearest] - at) <= usual and np.isfinite(values[nearest]):
            off.append(abs(float(values[nearest]) - expected.value))
            naive.append(abs(_a_day_before(times, values, at, begun.timestamp()) - float(values[nearest])))
            covered += expected.low <= values[nearest] <= expected.high
    if not off:
        return None
    known = [one for one in naive if np.isfinite(one)]
    return Grade(
        key=said.key,
        name=came.name,
        moments=len(off),
        covered=covered,
        error=float(np.mean(off)),
        naive=float(np.mean(known)) if len(known) == len(off) else None,
        alarm=_alarm(said, came, now),
    )


def _a_day_before(times: Floats, values: Floats, at: float, begun: float) -> float:
    """Return what was measured at the same time of the last day that the report knew of; NaN where nothing was."""
    days = max(1, math.ceil((at - begun) / _DAY))
    known = np.flatnonzero((times <= begun) & np.isfinite(values))
    if not len(known):
        return math.nan
    nearest = known[int(np.argmin(np.abs(times[known] - (at - days * _DAY))))]
    return float(values[nearest]) if abs(times[nearest] - (at - days * _DAY)) <= _DAY / 2 else math.nan


def _alarm(said: Outlook, came: History, now: datetime) -> Literal["", "false", "missed"]:
    since = min(point.at for point in said.ahead).timestamp()
    newer = came.values[(came.times >= since) & np.isfinite(came.values)]
    for reached in said.reached:
        threshold = next((one for one in came.thresholds if one.value == reached.bound), None)
        if threshold is None or not len(newer) or reached.state == "already":
            continue
        beyond = bool((newer >= reached.bound).any() if threshold.upward else (newer <= reached.bound).any())
        if beyond and reached.state == "not within the horizon":
            return "missed"
        if not beyond and reached.late is not None and reached.late < now:
            return "false"
    return ""
