"""Whether a series has a day and a week: found in its autocorrelation, never assumed."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Seasons, quantiles

_DAY = 86400.0
_CLEAR = 0.1
"""A cycle counts from this autocorrelation on, once trend and shorter cycles are taken away."""

_STEADY = 2.0
"""A cycle is like the one before it by so many standard errors."""


def find_seasons(values: Floats, step: float) -> Seasons:
    """Return the cycles of a series.

    Args:
        values: The series, without gaps.
        step: Seconds from one value to the next.
    """
    per_day = _DAY / step
    day = round(per_day) if per_day >= 4 and abs(per_day - round(per_day)) < 1e-6 else 0  # noqa: PLR2004
    week = day * 7 if day else (round(7 * per_day) if 7 * per_day >= 4 else 0)  # noqa: PLR2004
    block = day if day and len(values) >= 5 * day else max(1, len(values) // 30) if per_day > 1 else 1
    has_day = bool(day) and len(values) >= 3 * day and _repeats(_without_level(values, day), day)
    block = day if has_day else block
    has_week = bool(week) and len(values) >= 3 * week and _has_week(values, day if has_day else 0, week)
    return Seasons(block, day if has_day else 0, week if has_week else 0)


def _has_week(values: Floats, day: int, week: int) -> bool:
    level_free = _without_level(values, week)
    if day:
        level_free = level_free - _profile(level_free, day)
    return _repeats(level_free, week)


def _repeats(values: Floats, period: int) -> bool:
    """Whether values are like those one period before, more than they are like those in between."""
    low, high = quantiles(values, 0.01, 0.99)
    drawn = np.clip(values, low, high)
    drawn -= drawn.mean()
    at_period = autocorrelation(drawn, period)
    noise = 1.2 / np.sqrt(max(1, len(values) / max(1, min(period, 7))))
    clear = at_period > max(_CLEAR, float(noise)) and at_period > _between(drawn, period) + _CLEAR / 2
    return clear and _steadily(drawn, period)


def _steadily(values: Floats, period: int) -> bool:
    """Whether cycles are like those before them time and again, and not once by chance as those of a random walk."""
    count = len(values) // period
    if count < 4:  # noqa: PLR2004
        return True
    rows = values[len(values) - count * period :].reshape(count, period)
    alike = (rows[1:] * rows[:-1]).mean(axis=1)
    return bool(alike.mean() > _STEADY * alike.std(ddof=1) / np.sqrt(count - 1))


def _between(values: Floats, period: int) -> float:
    """Return how alike values are at lags that are no cycle: the middle of three, as one may be an hour's multiple."""
    return sorted(autocorrelation(values, max(1, round(period * part))) for part in (0.27, 0.44, 0.5))[1]


def autocorrelation(values: Floats, lag: int) -> float:
    """Return the correlation of values around zero with those so many steps before."""
    total = float(values @ values)
    if total <= 0 or lag <= 0 or lag >= len(values):
        return 0.0
    return float(values[lag:] @ values[:-lag]) / total * len(values) / (len(values) - lag)


def _without_level(values: Floats, period: int) -> Floats:
    """Take the mean of one period around each value away, and of the edges what a straight line leaves."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    means = (sums[period:] - sums[:-period]) / period
    half = period // 2
    level = np.empty_like(values)
    level[half : half + len(means)] = means
    level[:half], level[half + len(means) :] = means[0], means[-1]
    return values - level


def _profile(values: Floats, period: int) -> Floats:
    """Return the mean value of each phase, for each step of the series."""
    phases = np.arange(len(values)) % period
    return (np.bincount(phases, values, period) / np.maximum(np.bincount(phases, minlength=period), 1))[phases]
