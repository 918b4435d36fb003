"""Trends that a few bad days do not turn: medians of slopes between the medians of blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs, median

_WINDOWS = {"trend of a week": 8, "trend of a month": 29, "whole trend": 120}
_FEWEST = 4


@dataclass(frozen=True)
class Slopes:
    """Per origin: how much the series rises each step, and the height of the line at its last step, by name."""

    by_name: dict[str, Floats]
    level: dict[str, Floats]


def slopes_of(values: Floats, block: int, runs: Runs) -> Slopes:
    """Return the slopes of every origin, over a week of blocks, a month and all; those that differ only.

    Earlier origins all look back as far as the first of them can; the forecast itself looks back as far as there is.
    """
    slopes: dict[str, Floats] = {}
    levels: dict[str, Floats] = {}
    shorter = 0
    whole = medians(values, block)
    for name, window in _WINDOWS.items():
        back = min(window, int(runs.origins[0]) // block)
        if back < _FEWEST or back <= shorter:
            continue
        shorter = window
        slope = np.empty(len(runs.origins))
        level = np.empty(len(runs.origins))
        slope[:-1], level[:-1] = _quick(_blocks_before(values, block, runs, back))
        slope[-1], level[-1] = theil_sen(whole[-window:])
        slopes[name] = slope / block
        levels[name] = level + slopes[name] * (block - 1) / 2
    return Slopes(slopes, levels)


def medians(values: Floats, block: int) -> Floats:
    """Return the median of each block, counted from the end; a rest at the beginning is left out."""
    count = len(values) // block
    if block == 1:
        return values
    return np.asarray(np.median(values[len(values) - count * block :].reshape(count, block), axis=1))


def _blocks_before(values: Floats, block: int, runs: Runs, count: int) -> Floats:
    """Return the medians of so many blocks before each earlier origin; one row each."""
    past = runs.past
    rows = np.empty((len(past), count))
    for phase in np.unique(past % block):
        alike = past % block == phase
        lined = medians(values[: past[alike][-1]], block)
        ends = len(lined) - (past[alike][-1] - past[alike]) // block
        rows[alike] = lined[ends[:, None] + np.arange(-count, 0)[None, :]]
    return rows


def _quick(rows: Floats) -> tuple[Floats, Floats]:
    """Return the median slope of each row between points half its length apart, and the line's height at its end."""
    count = rows.shape[1]
    half = count // 2
    slope = np.median((rows[:, count - half :] - rows[:, :half]) / (count - half), axis=1)
    ago = np.arange(count - 1, -1, -1.0)
    return slope, np.median(rows + slope[:, None] * ago, axis=1)


def theil_sen(points: Floats) -> tuple[float, float]:
    """Return the median slope between all pairs of points one step apart, and the line's height at the last."""
    at = np.arange(len(points), dtype=float)
    first, second = np.triu_indices(len(points), 1)
    slope = median((points[second] - points[first]) / (at[second] - at[first]))
    return slope, median(points + slope * (at[-1] - at))
