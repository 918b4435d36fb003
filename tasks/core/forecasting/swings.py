"""Whether errors are large where the series was restless just before, as those of prices and of busy days are."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs, Seasons

_FEWEST = 8
_MOST = 3.0
_LEAST = 1e-3
_POWERS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_SURE = 0.5
"""A power is believed where the mean logarithm of the likelihood rises by this share of an origin's."""


def swings(values: Floats, seasons: Seasons, runs: Runs, errors: Floats) -> tuple[Floats, float]:
    """Return what the errors of each origin are shares of, the forecast's own last, and the power that was believed.

    Args:
        values: The series.
        seasons: Its cycles: how far it lies off the cycle before is how restless it is.
        runs: The origins.
        errors: `origins x steps`, of the ensemble; NaN where not known.
    """
    none = np.ones(len(runs.origins)), 0.0
    lag = seasons.shortest
    window = max(seasons.block, min(runs.horizon, 2 * seasons.block), 8)
    if len(errors) < _FEWEST or int(runs.origins[0]) < lag + window:
        return none
    sums = np.concatenate((np.zeros(lag + 1), np.cumsum(np.abs(values[lag:] - values[:-lag]))))
    restless = (sums[runs.origins] - sums[runs.origins - window]) / window
    usual = float(np.median(restless))
    if usual <= 0:
        return none
    restless = np.clip(restless / usual, 1 / _MOST, _MOST)
    seen = np.isfinite(errors)
    known = np.where(seen, np.abs(errors), 0.0)
    each = known.sum(axis=0) / np.maximum(seen.sum(axis=0), 1) + 1e-300
    off = np.maximum((known / each).sum(axis=1) / np.maximum(seen.sum(axis=1), 1), _LEAST)
    logs = np.log(restless)
    costs = np.log((off / restless[:-1] ** _POWERS[:, None]).mean(axis=1)) + _POWERS * float(logs[:-1].mean())
    best = int(costs.argmin())
    if costs[0] - costs[best] <= _SURE / len(errors):
        return none
    return restless ** _POWERS[best], float(_POWERS[best])
