"""How good the forecasts of an earlier report were: error, coverage, alarms that were false or missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np

from tasks.core.capacity import CapacityReport, Grade, History, Outlook


def grade(earlier: CapacityReport, histories: Sequence[History], now: datetime) -> tuple[Grade, ...]:
    """Hold what a report expected against what came."""
    came = {history.key: history for history in histories if len(history.times)}
    graded = (_graded(one, came[one.key], now) for one in earlier.outlooks if one.key in came and one.ahead)
    return tuple(one for one in graded if one is not None)


def _graded(said: Outlook, came: History, now: datetime) -> Grade | None:
    order = np.argsort(came.times, kind="stable")
    times, values = came.times[order], came.values[order]
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    off, covered = [], 0
    for expected in said.ahead:
        at = expected.at.timestamp()
        nearest = int(np.argmin(np.abs(times - at)))
        if expected.at <= now and abs(times[nearest] - at) <= usual and np.isfinite(values[nearest]):
            off.append(abs(float(values[nearest]) - expected.value))
            covered += expected.low <= values[nearest] <= expected.high
    if not off:
        return None
    return Grade(
        key=said.key, moments=len(off), covered=covered, error=float(np.mean(off)), alarm=_alarm(said, came, now)
    )


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
