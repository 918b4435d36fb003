"""The earlier moments at which a forecaster is graded."""

from __future__ import annotations

import math

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs, Seasons

_MOST = 21


def runs_of(count: int, horizon: int, seasons: Seasons) -> Runs:
    """Choose earlier origins: whole blocks before the end where there is a cycle, so that each has the same phase.

    Args:
        count: Steps of the series.
        horizon: Steps ahead.
        seasons: Its cycles.
    """
    graded = min(horizon, max(1, count // 3))
    longest = max((*seasons.periods, 1))
    first = max(min(2 * longest + seasons.block, count - graded - 1), count // 4, 4)
    last = count - max(1, graded - graded // 4)
    block = seasons.block if seasons.periods else 1
    room = max(0, last - first)
    stride = block * max(1, math.ceil(room / block / _MOST))
    if room // stride < _MOST // 3:
        stride = max(1, min(stride, room // (_MOST // 3)))
    unit = stride if stride % block else block
    begun = math.ceil((count - last) / unit) * unit
    origins = np.arange(count - begun, first - 1, -stride)[:_MOST][::-1]
    if not len(origins):
        origins = np.array([max(first, 1)])
    if (near := min(-(-_MOST // len(origins)), stride // (2 * graded))) > 1:  # few days, and a horizon of hours
        nearby = origins[:, None] - graded * np.arange(near - 1, -1, -1)[None, :]
        origins = nearby[nearby >= first]
    return Runs(np.append(origins, count).astype(np.int64), horizon)


def truth_of(values: Floats, runs: Runs) -> Floats:
    """Return what came at each earlier origin, `origins x horizon`; NaN beyond the end."""
    at = runs.past[:, None] + np.arange(runs.horizon)[None, :]
    known = at < len(values)
    return np.where(known, values[np.minimum(at, len(values) - 1)], np.nan)
