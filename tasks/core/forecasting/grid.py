"""Measurements on an even grid: its step, its gaps, and fewer steps where there are too many."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Bools, Floats
from tasks.core.units import format_duration

_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
_GAPS = 0.35
_MOST = 30_000


class Unfit(ValueError):
    """A series of which no honest forecast can be made; its text is the reason."""


def step_of(times: Floats) -> float:
    """Return the seconds from one value to the next, as a person would say them; rising times."""
    waits = np.diff(times)
    usual = float(np.median(waits))
    nice = min(_NICE, key=lambda size: abs(size - usual))
    step = float(nice) if abs(nice - usual) <= 0.05 * nice else usual
    uneven = np.abs(waits / step - np.maximum(np.round(waits / step), 1)) > 0.3  # noqa: PLR2004
    if uneven.mean() > 0.1:  # noqa: PLR2004
        wide = float(np.quantile(waits, 0.9))
        step = float(next((size for size in _NICE if size >= wide), wide))
    return step


def gridded(times: Floats, values: Floats, step: float, notes: list[str]) -> tuple[float, Floats]:
    """Return where the grid begins, and its values with NaN where none was measured.

    Raises:
        Unfit: Too much is missing.
    """
    start = float(times[0])
    places = np.round((times - start) / step).astype(np.int64)
    size = int(places[-1]) + 1
    if size > 40 * len(times):
        raise Unfit("the times are too uneven to be put on a grid")
    count = np.bincount(places, minlength=size)
    total = np.bincount(places, values, size)
    grid = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if (missing := float((count == 0).mean())) > _GAPS:
        raise Unfit(f"gaps: {missing:.0%} of the values are missing at a step of {format_duration(step)}")
    if (count > 1).mean() > 0.02:  # noqa: PLR2004
        notes.append(f"uneven times were put on a grid of {format_duration(step)}")
    return start, grid


def coarser(start: float, step: float, grid: Floats, notes: list[str]) -> tuple[float, int, float, Floats]:
    """Take means of several steps where there are more values than a forecast can use."""
    if len(grid) <= _MOST:
        return start, 1, 0.0, grid
    whole = [round(size / step) for size in _NICE if size > step and (size / step).is_integer()]
    factor = next((one for one in whole if len(grid) / one <= _MOST), -(-len(grid) // _MOST))
    rest = len(grid) % factor
    rows = grid[rest:].reshape(-1, factor)
    known = np.isfinite(rows)
    counts = known.sum(axis=1)
    means = np.where(counts > 0, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
    grain = float(np.abs(rows - means[:, None])[known].mean())
    notes.append(f"so many values: means of {format_duration(step * factor)} were forecast")
    return start + rest * step, factor, grain, means


def filled(grid: Floats, step: float, notes: list[str]) -> Floats:
    """Fill gaps: short ones straight, long ones between the same times of the days around."""
    missing = np.isnan(grid)
    if not missing.any():
        return grid
    at = np.arange(len(grid))
    straight = np.interp(at, at[~missing], grid[~missing])
    day = round(86400 / step)
    filled = straight
    if day >= 4 and len(grid) > 2 * day:  # noqa: PLR2004
        before, after = np.maximum.accumulate(np.where(missing, 0, at)), np.where(missing, len(grid), at)
        lengthy = np.minimum.accumulate(after[::-1])[::-1] - before > 4  # noqa: PLR2004
        around = _days_around(grid, missing, lengthy, day)
        filled = np.where(np.isfinite(around), around, straight)
    notes.append(f"{int(missing.sum())} missing values were filled in")
    return np.where(missing, filled, grid)


def _days_around(grid: Floats, missing: Bools, wanted: Bools, day: int) -> Floats:
    """Return, where it is wanted, what lies between the same times of the nearest days that were measured; else NaN."""
    around = np.full(len(grid), np.nan)
    for phase in np.unique(np.flatnonzero(missing & wanted) % day):
        at = np.arange(phase, len(grid), day)
        lacks = missing[at]
        if not lacks.all():
            around[at[lacks]] = np.interp(at[lacks], at[~lacks], grid[at[~lacks]])
    return around
