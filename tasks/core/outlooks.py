"""One measurement looked ahead: its forecast, when its bounds are reached, and how bad that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from tasks.core.capacity import Ahead, History, Outlook, Reached, urgency
from tasks.core.forecast import Forecast, Question, forecast
from tasks.core.forecasting.crossings import Crossing
from tasks.core.forecasting.grid import Unfit
from tasks.core.forecasting.quality import series_of
from tasks.core.forecasting.telling import crossing_words, method
from tasks.core.results import Outcome, Sample
from tasks.core.units import Unit

SOON = timedelta(days=7)
"""What is critical within this time fails."""
_DRAWN = 240
_GRADED = 12
_UNITS = (Unit.RATIO, Unit.BYTES, Unit.SECONDS, Unit.COUNT)


def look_ahead(history: History, horizon: timedelta, *, drawn: bool = True) -> Outlook:
    """Forecast one measurement and say when its bounds are reached.

    Args:
        history: What it was.
        horizon: How far to look.
        drawn: Whether to keep its history for a chart.
    """
    told = Outlook(
        key=history.key,
        name=history.name,
        share=history.share,
        unit=history.unit,
        source=history.source,
        outcome=Outcome.NOT_CHECKED,
        remedy=history.remedy,
    )
    if history.trouble:
        return told.model_copy(update={"unfit": history.trouble})
    lowest = 0.0 if history.unit in _UNITS and (history.values[np.isfinite(history.values)] >= 0).all() else None
    highest = 1.0 if history.unit is Unit.RATIO and np.nanmax(history.values, initial=0.0) <= 1 else None
    rising = tuple(one.value for one in history.thresholds if one.upward)
    falling = tuple(one.value for one in history.thresholds if not one.upward)
    question = Question(horizon.total_seconds(), 0.8, rising, falling, lowest, highest)
    try:
        made = forecast(series_of(history.times, history.values, lowest=lowest, highest=highest), question)
    except Unfit as reason:
        return (
            _steady(told, history)
            if str(reason).startswith("constant")
            else told.model_copy(update={"unfit": str(reason)})
        )
    reached = tuple(sorted(_reached(made, history), key=urgency))
    return told.model_copy(
        update={
            "outcome": _outcome(reached, made),
            "now": float(made.series.values[-1]),
            "reached": reached,
            "method": method(made),
            "mase": made.backtest.mase,
            "coverage": None if np.isnan(made.backtest.coverage) else made.backtest.coverage,
            "yields": made.yields,
            "notes": made.series.notes,
            "ahead": tuple(_ahead(made, _DRAWN // 2 if drawn else _GRADED)),
            "history": tuple(_thinned(made)) if drawn else (),
        }
    )


def _steady(told: Outlook, history: History) -> Outlook:
    value = float(history.values[np.isfinite(history.values)][-1])
    beyond = [one for one in history.thresholds if (value >= one.value if one.upward else value <= one.value)]
    reached = tuple(
        Reached(
            limit=one.text,
            bound=one.value,
            critical=one.critical,
            state="already" if one in beyond else "not within the horizon",
            probability=float(one in beyond),
            text="already crossed" if one in beyond else "it does not change",
        )
        for one in history.thresholds
    )
    outcome = Outcome.WARNED if beyond else Outcome.PASSED
    notes = ("it has not changed all the time",)
    return told.model_copy(
        update={"outcome": outcome, "now": value, "reached": tuple(sorted(reached, key=urgency)), "notes": notes}
    )


def _outcome(reached: Sequence[Reached], made: Forecast) -> Outcome:
    soon = datetime.fromtimestamp(made.time(0), UTC) + SOON
    if any(one.state == "within the horizon" and one.critical and one.median and one.median <= soon for one in reached):
        return Outcome.FAILED
    return Outcome.PASSED if all(one.state == "not within the horizon" for one in reached) else Outcome.WARNED


def _reached(made: Forecast, history: History) -> Iterator[Reached]:
    asked = [one for one in history.thresholds if one.upward] + [one for one in history.thresholds if not one.upward]
    for threshold, found in zip(asked, made.crossings, strict=True):
        late = found.median is None
        yield Reached(
            limit=threshold.text,
            bound=threshold.value,
            critical=threshold.critical,
            state="already" if found.already else "not within the horizon" if late else "within the horizon",
            median=_moment(made, found, "median"),
            early=_moment(made, found, "early"),
            late=_moment(made, found, "late"),
            probability=round(found.probability, 3),
            text=crossing_words(made, found),
        )


def _moment(made: Forecast, found: Crossing, which: str) -> datetime | None:
    steps = getattr(found, which)
    return None if steps is None else datetime.fromtimestamp(round(made.time(steps)), UTC)


def _ahead(made: Forecast, most: int) -> Iterator[Ahead]:
    count = len(made.value)
    for at in np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)):
        yield Ahead(
            at=datetime.fromtimestamp(made.time(int(at) + 1), UTC),
            value=float(made.value[at]),
            low=float(made.low[at]),
            high=float(made.high[at]),
        )


def _thinned(made: Forecast) -> Iterator[Sample]:
    values, series = made.series.values, made.series
    for at in np.unique(np.linspace(0, len(values) - 1, min(_DRAWN, len(values))).astype(int)):
        yield Sample(datetime.fromtimestamp(series.start + float(at) * series.step, UTC), float(values[at]))
