"""The forecasters of which an ensemble is made, each for many origins at once.

A member is an array of `origins x horizon`. It reads nothing from its origin on, so that what it said at earlier
origins can be graded.
"""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs, Seasons
from tasks.core.forecasting.autoregression import autoregressions
from tasks.core.forecasting.trends import Slopes, slopes_of

_FAR = 4
"""Autoregression is left out where the horizon is longer than so many weeks: by then it only knows the mean."""


def members(values: Floats, seasons: Seasons, runs: Runs) -> dict[str, Floats]:
    """Return every member that suits the series, by name."""
    slopes = slopes_of(values, seasons.block, runs)
    made = _levels(values, runs, slopes, seasons.block)
    for name, period in (("day", seasons.day), ("week", seasons.week), ("tooth", seasons.tooth)):
        if period and runs.origins[0] > period:
            made |= _cycles(values, runs, slopes, name, period, seasons)
    return made | _regressions(values, seasons, runs)


def _levels(values: Floats, runs: Runs, slopes: Slopes, block: int) -> dict[str, Floats]:
    """Members that know no cycle: the last value, smoothed levels, and straight lines."""
    ahead = np.arange(1, runs.horizon + 1, dtype=float)
    flat = np.zeros((1, runs.horizon))
    last = values[runs.origins - 1][:, None]
    made = {"last value": last + flat}
    for name, count in {"level of six steps": 6, "level of a quarter": block // 4, "level of a block": block}.items():
        if count >= 6 or count == block:  # noqa: PLR2004
            made[name] = _mean_before(values, runs, max(count, 3))[:, None] + flat
    for name, slope in slopes.by_name.items():
        made[f"line, {name}"] = slopes.level[name][:, None] + slope[:, None] * ahead
        made[f"drift, {name}"] = last + slope[:, None] * ahead
    return made


def _mean_before(values: Floats, runs: Runs, count: int) -> Floats:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    starts = np.maximum(runs.origins - count, 0)
    return np.asarray((sums[runs.origins] - sums[starts]) / (runs.origins - starts))


def _cycles(values: Floats, runs: Runs, slopes: Slopes, name: str, period: int, seasons: Seasons) -> dict[str, Floats]:
    """Members that repeat a cycle: as it was last, in the mean of some, and moved to today's level."""
    made = {f"{name} before": _repeated(values, runs, period, 1, 1.0)[0]}
    ahead = np.arange(1, runs.horizon + 1, dtype=float)
    for cycles, decay in ((5, 0.7),) if name == "day" else ((4, 0.7), (8, 0.85)):
        usual, lag = _repeated(values, runs, period, cycles, decay)
        label = f"{name} profile of {cycles}"
        made[label] = usual
        for trend, slope in slopes.by_name.items():
            made[f"{label}, {trend}"] = usual + slope[:, None] * lag
        residual = _residual(values, period, cycles, decay)
        near, kept = residual[runs.origins - 1][:, None], _persistence(residual, runs)[:, None]
        made[f"{label}, near"] = usual + near * kept**ahead
        level = _mean_before(residual, runs, seasons.day or min(period, 24))[:, None]
        made[f"{label}, moved"] = usual + 0.8 * level
        made[f"{label}, moved for a day"] = usual + level * np.exp(-ahead / (1.4 * (seasons.day or 24)))
    return made


def _repeated(values: Floats, runs: Runs, period: int, cycles: int, decay: float) -> tuple[Floats, Floats]:
    """Return the weighted mean of the last cycles for each step ahead, and how many steps old it is in the mean."""
    steps = np.arange(runs.horizon)
    back = (steps // period + 1) * period
    where = runs.origins[:, None] + (steps - back)[None, :]
    total, weight, age = (np.zeros(where.shape) for _ in range(3))
    for cycle in range(cycles):
        at = where - cycle * period
        share = np.where(at >= 0, decay**cycle, 0.0)
        total += share * values[np.maximum(at, 0)]
        weight += share
        age += share * (back + cycle * period)
    weight = np.maximum(weight, 1e-12)
    return total / weight, age / weight


def _residual(values: Floats, period: int, cycles: int, decay: float) -> Floats:
    """Return what each value was over the weighted mean of the cycles before it; 0 in the first cycle."""
    total, weight = np.zeros_like(values), np.zeros_like(values)
    for cycle in range(1, min(cycles, (len(values) - 1) // period) + 1):
        share = decay ** (cycle - 1)
        total[cycle * period :] += share * values[: len(values) - cycle * period]
        weight[cycle * period :] += share
    residual = values - total / np.maximum(weight, 1e-12)
    residual[:period] = 0.0
    return residual


def _persistence(residual: Floats, runs: Runs) -> Floats:
    """Return how much of a residual is left one step later, as far as each origin knows."""
    products = np.concatenate(([0.0, 0.0], np.cumsum(residual[1:] * residual[:-1])))
    squares = np.concatenate(([0.0], np.cumsum(residual * residual)))
    return np.clip(products[runs.origins] / np.maximum(squares[runs.origins], 1e-12), 0.0, 0.999)


def _regressions(values: Floats, seasons: Seasons, runs: Runs) -> dict[str, Floats]:
    """Members that are linear in what was before: alone, and a day and a week before."""
    day, week = seasons.day, seasons.week
    first = int(runs.origins[0])
    if runs.horizon > _FAR * 7 * max(seasons.block, 1) or first < 20:  # noqa: PLR2004
        return {}
    lags: dict[str, tuple[int, ...]] = {}
    if day:
        lags["regression on days"] = (1, 2, day, day + 1)
        days = tuple(count * day for count in range(2, 7) if (count + 1) * day < first)
        if week and first > week + 3 * day:
            lags["regression on a week"] = (1, 2, 3, day, day + 1, week, week + 1)
            lags["regression on all days"] = (1, 2, day, day + 1, *days, week, week + 1)
    elif week and first > 2 * week:
        lags["regression on weeks"] = (1, 2, week, week + 1)
    else:
        lags["regression"] = (1, 2, 3)
    if seasons.tooth and first > 2 * seasons.tooth:
        lags["regression on teeth"] = (1, 2, seasons.tooth, seasons.tooth + 1)
    fit = {name: chosen for name, chosen in lags.items() if first > max(chosen) + 4 * len(chosen)}
    return autoregressions(values, runs, fit)
