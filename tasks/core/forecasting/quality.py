"""The quality gate: a series as a forecast needs it, or why it is unfit for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tasks.core.forecasting.arrays import Floats
from tasks.core.forecasting.grid import Unfit, coarser, filled, gridded, step_of
from tasks.core.units import format_duration

_FEWEST = 24
_GAPS = 0.35
_STALE = 0.2
_HUGE = 1e90
_EARLIEST, _LATEST = -2_208_988_800.0, 7_258_118_400.0


@dataclass(frozen=True)
class Series:
    """A series on a grid, without gaps.

    Attributes:
        start: The moment of the first value, in seconds since 1970.
        step: Seconds from one value to the next.
        values: The values.
        notes: What was done to the data, one sentence each.
        fine: How many measured steps one step stands for; more than 1 where there were too many values.
        grain: How far the measured values lie off the mean of such a step.
    """

    start: float
    step: float
    values: Floats
    notes: tuple[str, ...] = ()
    fine: int = 1
    grain: float = 0.0

    @property
    def measured_step(self) -> float:
        """Seconds from one measured value to the next."""
        return self.step / self.fine

    @property
    def end(self) -> float:
        """The moment of the last measured value."""
        return self.start + len(self.values) * self.step - self.measured_step


def series_of(times: Floats, values: Floats, *, lowest: float | None = None, highest: float | None = None) -> Series:
    """Put measurements on a grid and fill small gaps.

    Args:
        times: Seconds since 1970, in any order.
        values: As many numbers; NaN is missing.
        lowest: What the quantity cannot fall below.
        highest: What the quantity cannot exceed.

    Raises:
        Unfit: No honest forecast can be made of them.
    """
    notes: list[str] = []
    times, values = _finite(times, values, notes)
    times, values = _ordered(times, values, notes)
    times, values = _possible(times, values, lowest, highest, notes)
    _enough(values)
    times, values = _after_the_last_hole(times, values, notes)
    step = step_of(times)
    start, grid = gridded(times, values, step, notes)
    start, fine, grain, grid = coarser(start, step, grid, notes)
    step *= fine
    _enough(grid[np.isfinite(grid)])
    if grid[np.isfinite(grid)].min() == grid[np.isfinite(grid)].max():
        raise Unfit(f"constant: it was {_number(float(grid[np.isfinite(grid)][0]))} all the time")
    _refuse_counter(grid)
    grid = _without_zero_spells(grid, start, step, notes)
    begun = int(np.flatnonzero(np.isfinite(grid))[0])
    return Series(start + begun * step, step, filled(grid[begun:], step, notes), tuple(notes), fine, grain)


def moment(seconds: float) -> str:
    """Write a moment as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    return f"{value:g}"


def _enough(values: Floats) -> None:
    if len(values) < _FEWEST:
        raise Unfit(f"too short: {len(values)} values, and {_FEWEST} are the fewest: let it be measured for longer")
    largest = float(np.abs(values).max())
    if largest > _HUGE or 0 < largest < 1 / _HUGE:
        raise Unfit(f"values up to {_number(largest)} are no measurements: is the unit right?")


def _finite(times: Floats, values: Floats, notes: list[str]) -> tuple[Floats, Floats]:
    infinite, missing = int(np.isinf(values).sum()), int(np.isnan(values).sum())
    if len(values) and infinite + missing == len(values):
        raise Unfit("no value is a finite number")
    if infinite > 0.05 * len(values):
        raise Unfit(f"{infinite} of {len(values)} values are infinite")
    if infinite:
        notes.append(f"{infinite} infinite values were taken as missing")
    kept = np.isfinite(values)
    times, values = times[kept], values[kept]
    if len(times) and not _EARLIEST <= times.min() <= times.max() < _LATEST:
        raise Unfit("a time lies before 1900 or after 2200: are the times right?")
    return times, values


def _ordered(times: Floats, values: Floats, notes: list[str]) -> tuple[Floats, Floats]:
    backwards = int((np.diff(times) < 0).sum())
    if backwards:
        notes.append(f"out of order {backwards} times (or the clock was put back); sorted")
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    first = np.concatenate(([True], np.diff(times) > 0)) if len(times) else np.ones(0, dtype=bool)
    doubles = len(times) - int(first.sum())
    if not doubles:
        return times, values
    groups = np.cumsum(first) - 1
    mean = np.bincount(groups, values) / np.bincount(groups)
    if len(mean) == 1:
        raise Unfit(f"all {len(times)} values have the same time: {moment(float(times[0]))}")
    different = int((~np.isclose(values, mean[groups]) & ~first).sum())
    if different > max(0.05 * len(times), 2):
        raise Unfit(
            f"{different} moments have several different values: more than one series is in it; give one of them"
        )
    notes.append(f"{doubles} moments came twice; their mean was taken")
    return times[first], mean


def _possible(
    times: Floats, values: Floats, lowest: float | None, highest: float | None, notes: list[str]
) -> tuple[Floats, Floats]:
    if len(values) and lowest is None and values.max() > 0 and (values < 0).mean() <= 0.02:  # noqa: PLR2004
        lowest = 0.0 if np.median(values) > 0 and -values.min() > np.quantile(values, 0.05) else None
    wrong = np.zeros(len(values), dtype=bool)
    if lowest is not None:
        wrong |= values < lowest
    if highest is not None:
        wrong |= values > highest * (1 + 1e-9)
    count = int(wrong.sum())
    if not count:
        return times, values
    bounds = f"below {_number(lowest)}" if lowest is not None and (values < lowest).any() else ""
    bounds = bounds or f"above {_number(highest or 0.0)}"
    if count > 0.02 * len(values):
        raise Unfit(f"{count} of {len(values)} values are {bounds}, which the quantity cannot be: is the unit right?")
    notes.append(f"{count} values {bounds} were taken as missing")
    return times[~wrong], values[~wrong]


def _after_the_last_hole(times: Floats, values: Floats, notes: list[str]) -> tuple[Floats, Floats]:
    """Leave out what lies before a hole that is longer than a fifth of the time that is measured."""
    waits = np.diff(times)
    span = float(times[-1] - times[0])
    usual = float(np.median(waits))
    holes = np.flatnonzero((waits > _STALE * span) & (waits > 10 * usual))
    if not len(holes):
        return times, values
    at = int(holes[-1]) + 1
    if len(times) - at < _FEWEST:
        length = format_duration(float(waits[holes[-1]]))
        raise Unfit(f"a gap of {length} before {moment(float(times[at]))}, and only {len(times) - at} values after it")
    notes.append(f"only what came after the gap of {format_duration(float(waits[at - 1]))} was used")
    return times[at:], values[at:]


def _refuse_counter(grid: Floats) -> None:
    known = grid[np.isfinite(grid)]
    change = np.diff(known)
    resets = np.flatnonzero(change < 0)
    rising = change[change > 0]
    if not len(resets) or len(resets) > 0.05 * len(change) or len(rising) < 0.5 * len(change):
        return
    small = known[resets + 1] <= 3 * float(np.median(rising)) + 0.002 * known.max()
    if bool(small.all()) and known.min() >= 0:
        raise Unfit(f"a counter that was reset {len(resets)} times: forecast its rate instead")


def _without_zero_spells(grid: Floats, start: float, step: float, notes: list[str]) -> Floats:
    """Take long spells of nothing as missing, and refuse a series that ends in one."""
    nothing = grid == 0
    if not nothing.any():
        return grid
    edges = np.flatnonzero(np.diff(np.concatenate(([False], nothing, [False])).astype(int)))
    spells = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    long = max(24, round(86400 / step) if step < 86400 else 5)  # noqa: PLR2004
    usual = float(np.quantile([b - a for a, b in spells], 0.75))
    odd = [(a, b) for a, b in spells if b - a >= long and b - a > 3 * usual] or [
        (a, b)
        for a, b in spells
        if b - a >= long and len(spells) <= 2 and nothing.mean() < 0.6  # noqa: PLR2004
    ]
    for a, b in odd:
        if b == len(grid):
            raise Unfit(f"nothing but zeros since {moment(start + a * step)}: switched off, or not measured any more")
    if odd:
        grid = grid.copy()
        for a, b in odd:
            grid[a:b] = np.nan
            notes.append(f"zeros from {moment(start + a * step)} on, {b - a} of them, were taken as missing")
        if np.isnan(grid).mean() > _GAPS:
            raise Unfit("most of it is long spells of zeros")
    return grid
