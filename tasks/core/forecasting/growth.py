"""Whether a series swings the more the higher it is: then it is looked at in logarithms, and errors as shares."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, quantiles

_DOUBLED = 1.5
_ALIKE = 0.6
_SURE = 4.0
_LOWEST = 0.05


def multiplicative(values: Floats, block: int) -> bool:
    """Return whether the swings within blocks rise with their levels, and the levels differ enough to tell.

    Args:
        values: The series, without gaps.
        block: Steps of a block: a day, or what takes its place.
    """
    size = max(block, 8)
    count = len(values) // size
    if count < 8 or values.min() <= 0:  # noqa: PLR2004
        return False
    rows = values[len(values) - count * size :].reshape(count, size)
    levels = rows.mean(axis=1)
    low, high = quantiles(levels, 0.05, 0.95)
    if high < _DOUBLED * low:
        return False
    return any(_follow(levels, swings) for swings in (rows.std(axis=1), np.abs(np.diff(rows, axis=1)).mean(axis=1)))


def _follow(levels: Floats, swings: Floats) -> bool:
    """Whether swings rise about as levels do, and clearly."""
    if swings.min() <= 0:
        return False
    height, width = np.log(levels), np.log(swings)
    height, width = height - height.mean(), width - width.mean()
    slope = float(height @ width / (height @ height))
    error = float(np.sqrt(((width - slope * height) ** 2).mean() / (height @ height)))
    return slope > max(_ALIKE, _SURE * error)


def grown(logs: Floats, horizon: int) -> tuple[float, float]:
    """Return between which logarithms a forecast lies: as far beyond what was seen as it may grow, and half as much."""
    low, high = float(logs.min()), float(logs.max())
    room = (high - low) * (0.5 + 1.5 * horizon / len(logs))
    return low - room, high + room


def heights(paths: Floats, block: int) -> Floats:
    """Return how high each path is around each of its steps: the mean over a block, never near nothing.

    Args:
        paths: One a row.
        block: Steps of a block; of shorter paths the whole is one.
    """
    count = paths.shape[1]
    size = min(max(block, 8), count)
    sums = np.concatenate((np.zeros((len(paths), 1)), np.cumsum(paths, axis=1)), axis=1)
    means = (sums[:, size:] - sums[:, :-size]) / size
    around = means[:, np.clip(np.arange(count) - size // 2, 0, count - size)]
    return np.asarray(np.maximum(around, _LOWEST * np.abs(paths).mean() + 1e-300))
