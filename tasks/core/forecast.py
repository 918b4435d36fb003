"""Forecast a series from itself alone: what comes, how sure that is, and when a limit is crossed.

A small ensemble is weighed by its error at earlier origins of that very series; its intervals are what it was off
there. Seasons, steps and saw-teeth are found, never assumed. Pure: no clock, no file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs, Seasons
from tasks.core.forecasting.bands import Spread, coverage, spread_of, tails
from tasks.core.forecasting.crossings import Crossing, crossing
from tasks.core.forecasting.grid import Unfit
from tasks.core.forecasting.growth import grown, heights
from tasks.core.forecasting.luck import luck
from tasks.core.forecasting.members import members
from tasks.core.forecasting.origins import runs_of, truth_of
from tasks.core.forecasting.quality import Series
from tasks.core.forecasting.shape import Shape, shape_of
from tasks.core.forecasting.steps import Step, tamed
from tasks.core.forecasting.swings import swings
from tasks.core.forecasting.teeth import Teeth
from tasks.core.forecasting.trends import theil_sen
from tasks.core.forecasting.weights import combine, parts

_DAY = 86400.0
_FARTHEST = 4.0
"""No further ahead than so many times the history; beyond it a forecast is made up."""
_FAR_OFF = 4.0
"""So many usual errors off, the newest values are told to be something new."""
_SHOWN = 0.05
"""Members that count for less are not named."""
_WORSE = 1.05
"""An ensemble that was worse than a naive member by so much yields to the best of them."""
_NAIVE = ("last value", "day before", "week before", "tooth before")


@dataclass(frozen=True)
class Question:
    """What is to be known of a series.

    Attributes:
        horizon: Seconds ahead.
        interval: Share of the cases that lie inside the interval: 0.8.
        limits: Limits that are crossed from below: a disk's size.
        floors: Limits that are crossed from above: free space.
        lowest: What the quantity cannot fall below; found to be 0 where the history never does.
        highest: What the quantity cannot exceed; 1 for a ratio.
    """

    horizon: float
    interval: float = 0.8
    limits: tuple[float, ...] = ()
    floors: tuple[float, ...] = ()
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class Backtest:
    """How the forecaster did at earlier origins; errors in units of seasonal naive's error within the history."""

    mase: float
    coverage: float
    naive: float
    origins: int


@dataclass(frozen=True)
class Forecast:
    """What comes, for each step after the last."""

    series: Series
    value: Floats
    low: Floats
    high: Floats
    seasons: Seasons
    steps: list[Step]
    teeth: Teeth | None
    weights: dict[str, float]
    backtest: Backtest
    crossings: list[Crossing] = field(default_factory=list)
    yields: bool = False

    def time(self, steps: float) -> float:
        """Return the moment so many measured steps after the last value, in seconds since 1970."""
        return self.series.end + steps * self.series.measured_step


def forecast(series: Series, question: Question) -> Forecast:
    """Forecast a series.

    Raises:
        Unfit: The horizon is no time, or farther than the history carries.
    """
    series = replace(series, notes=(*series.notes, *_short(series)))
    values, count = series.values, len(series.values)
    if (held := tamed(values)) is not None:
        values, note = held, "the newest value jumped as none before it: a new level or a fault, too early to tell"
        series = replace(series, notes=(*series.notes, note))
    horizon = max(1, math.ceil(question.horizon / series.step - 1e-9))
    if horizon > _FARTHEST * count:
        raise Unfit(f"the horizon is more than four times as long as the history of {count} steps")
    shape = shape_of(values, series.step)
    seasons = shape.seasons
    runs = runs_of(count, horizon, seasons)
    truth = truth_of(shape.level, runs)
    made = _ensemble(shape, runs, truth)
    errors = ((truth - made.path[:-1]) / made.sizes[:-1])[:, np.isfinite(truth).any(axis=0)]
    looks = min(float(np.ptp(runs.past)) / errors.shape[1] + 1, len(errors))
    moved = np.log(shape.level) if shape.grows else shape.level
    restless, power = swings(moved, seasons, runs, errors)
    errors = errors / restless[:-1, None]
    lucky = luck(moved, seasons, runs, errors) ** (1 - power)
    spread = spread_of(errors, horizon, looks, lucky * restless[-1])
    if _broke(errors, spread.scale / restless[-1], seasons):
        note = "the newest values lie far from what was forecast of them: a new level or a burst, too early to tell"
        series = replace(series, notes=(*series.notes, note))
    value, spread = made.path[-1], replace(spread, scale=spread.scale * made.sizes[-1])
    if series.fine > 1:
        asked = max(1, math.ceil(question.horizon / series.measured_step - 1e-9))
        value, spread = _finer(series, value, spread, asked)
    lowest = 0.0 if question.lowest is None and values.min() >= 0 else question.lowest
    value, low, high = (np.clip(path, lowest, question.highest) for path in _paths(value, spread, question.interval))
    usual = float(np.abs(values[seasons.shortest :] - values[: -seasons.shortest]).mean()) or 1.0
    mase, naive = (_off(truth, path, np.ones(path.shape)) / usual for path in (made.path, made.rival))
    backtest = Backtest(mase, coverage(errors, question.interval, looks), naive, len(runs.past))
    said = Forecast(
        series, value, low, high, seasons, shape.steps, shape.teeth, made.weights, backtest, yields=made.yields
    )
    for limits, upward in ((question.limits, True), (question.floors, False)):
        said.crossings.extend(_crossing(limit, said, spread, question.interval, upward=upward) for limit in limits)
    return said


def _short(series: Series) -> list[str]:
    """Return what so short a history cannot tell."""
    days = len(series.values) * series.step / _DAY
    if days < 3 and series.step < _DAY / 4:  # noqa: PLR2004
        return ["less than three days of history: whether its days are alike cannot be told"]
    if days < 21 and series.step < 3.5 * _DAY:  # noqa: PLR2004
        return ["less than three weeks of history: whether its weeks are alike cannot be told"]
    return []


class _Ensemble(NamedTuple):
    """What the members say together at each origin, and what seasonal naive does; errors are shares of the sizes."""

    path: Floats
    rival: Floats
    sizes: Floats
    weights: dict[str, float]
    yields: bool


def _ensemble(shape: Shape, runs: Runs, truth: Floats) -> _Ensemble:
    seasons = shape.seasons
    made = members(shape.level, seasons, runs)
    if shape.grows:
        logs = np.log(shape.level)
        least, most = grown(logs, runs.horizon)
        said = members(logs, seasons, runs)
        made |= {f"{name}, in logarithms": np.exp(np.clip(one, least, most)) for name, one in said.items()}
    names, all_said = list(made), np.array(list(made.values()))
    cycle = "day before" if seasons.day else "week before" if seasons.week else "tooth before"
    rival = made.get(cycle, made["last value"])
    sizes = heights(rival, seasons.block) if shape.grows else np.ones(rival.shape)
    cuts = parts(runs.horizon, seasons.day or seasons.week or seasons.block)
    path, shares = combine(all_said, truth, cuts, sizes, runs.apart)
    best = min((names.index(name) for name in _NAIVE if name in made), key=lambda at: _off(truth, all_said[at], sizes))
    yields = _off(truth, path, sizes) > _WORSE * _off(truth, all_said[best], sizes)
    if yields:
        path, shares = all_said[best], np.eye(len(names))[best]
    if shape.grows:
        sizes = heights(path, seasons.block)
    weights = {name: float(share) for name, share in zip(names, shares, strict=True) if share >= _SHOWN}
    return _Ensemble(path, rival, sizes, weights, yields)


def _off(truth: Floats, path: Floats, sizes: Floats) -> float:
    return float(np.nanmean(np.abs(truth - path[:-1]) / sizes[:-1]))


def _broke(errors: Floats, scale: Floats, seasons: Seasons) -> bool:
    """Whether the newest quarter of a block is far off what the newest origin said of it."""
    newest = errors[-1] / scale[: errors.shape[1]]
    newest = newest[np.isfinite(newest)][-max(3, seasons.block // 4) :]
    return bool(len(newest) >= 3 and np.abs(np.median(newest)) > _FAR_OFF)  # noqa: PLR2004


def _paths(value: Floats, spread: Spread, interval: float) -> tuple[Floats, Floats, Floats]:
    below, above = (spread.at(share) for share in tails(interval))
    return value, value + min(below, 0.0) * spread.scale, value + max(above, 0.0) * spread.scale


def _finer(series: Series, value: Floats, spread: Spread, count: int) -> tuple[Floats, Spread]:
    """Forecast measured steps from those that stand for several, which lie in their middles."""
    places = (np.arange(1, count + 1) - (series.fine + 1) / 2) / series.fine + 1
    known = np.arange(len(value) + 1)
    finer = np.interp(places, known, np.concatenate((series.values[-1:], value)))
    scale = np.interp(places, known, np.concatenate((spread.scale[:1], spread.scale)))
    return finer, replace(spread, scale=np.hypot(scale, series.grain))


def _crossing(limit: float, made: Forecast, spread: Spread, interval: float, *, upward: bool) -> Crossing:
    values, sign = made.series.values, 1.0 if upward else -1.0
    now = float(np.median(values[-3:]))
    paths = {"low": made.low, "value": made.value, "high": made.high}
    if made.teeth is not None and upward:
        paths, now = _peaks(made, made.teeth, interval), float(values[-1])
    needed = float((sign * (limit - paths["value"]) / spread.scale).min())
    likely = float(np.mean(sign * spread.scores >= needed)) if len(spread.scores) else 0.0
    return crossing(limit, now, paths, likely, upward=upward)


def _peaks(made: Forecast, teeth: Teeth, interval: float) -> dict[str, Floats]:
    """Return the line through the peaks of saw-teeth, and how far peaks lie off it."""
    count, horizon = len(made.series.values), len(made.value)
    slope, _ = theil_sen(teeth.heights)
    between = max(1.0, float(np.median(np.diff(teeth.peaks))))
    slope /= between
    height = float(np.median(teeth.heights + slope * (count - 1 - teeth.peaks)))
    off = teeth.heights - (height - slope * (count - 1 - teeth.peaks))
    below, above = (float(np.quantile(off, share)) for share in tails(interval))
    ahead = np.arange(1, horizon + 1) / made.series.fine
    line = np.asarray(height + slope * ahead, dtype=np.float64)
    if teeth.length:
        grown = (count - 1 + ahead - teeth.peaks[-1]) % teeth.length / teeth.length
        line -= teeth.depth * np.where(grown > 0, 1 - grown, 0.0)
    drift = float(np.std(off)) * math.sqrt(12) / len(off) ** 1.5 * ahead / between * 1.3
    return {"low": line + below - drift, "value": line, "high": line + above + drift}
