"""A forecast as a JSON document, and in one line."""

from __future__ import annotations

import math
from typing import Any

from tasks.core.forecast import Forecast
from tasks.core.forecasting.crossings import Crossing
from tasks.core.forecasting.quality import moment
from tasks.core.units import format_duration

_DIGITS = 6


def document(made: Forecast, interval: float) -> dict[str, Any]:
    """Return the document that `watchkeeper forecast --json` prints.

    Args:
        made: The forecast.
        interval: Share of the cases that its interval holds.
    """
    crossings = [_crossing(made, one) for one in made.crossings]
    return {
        "method": method(made),
        "weights": {name: round(share, 3) for name, share in made.weights.items()},
        "backtest": {
            "mase": round(made.backtest.mase, 4),
            "coverage": None if math.isnan(made.backtest.coverage) else round(made.backtest.coverage, 4),
            "seasonal_naive_mase": round(made.backtest.naive, 4),
            "origins": made.backtest.origins,
        },
        "interval": interval,
        "history": {
            "from": moment(made.series.start),
            "to": moment(made.time(0)),
            "step_seconds": made.series.measured_step,
            "values": len(made.series.values) * made.series.fine,
            "seasons": [name for name in ("day", "week", "tooth") if getattr(made.seasons, name)],
            "steps": [
                {"time": moment(made.series.start + step.at * made.series.step), "height": _round(step.height)}
                for step in made.steps
            ],
            "saw_teeth": 0 if made.teeth is None else len(made.teeth.peaks),
            "notes": list(made.series.notes),
        },
        "points": [
            {"time": moment(made.time(at)), "value": _round(value), "low": _round(low), "high": _round(high)}
            for at, (value, low, high) in enumerate(zip(made.value, made.low, made.high, strict=True), start=1)
        ],
        "crossing": min(crossings, key=_urgency, default=None),
        "crossings": crossings,
    }


def method(made: Forecast) -> str:
    """Say how the forecast was made, in a line."""
    if made.yields:
        return f"{next(iter(made.weights))} (the ensemble lost to it on this series)"
    shares = sorted(made.weights.items(), key=lambda item: -item[1])
    named = ", ".join(f"{name} {share:.0%}" for name, share in shares[:3])
    return f"ensemble weighed by its error on this series: {named}" if named else "ensemble of many alike"


def crossing_words(made: Forecast, one: Crossing) -> str:
    """Say when a limit is crossed: `in 23 days (17 days - 34 days)`, or `not within the horizon`."""
    if one.already:
        return "already crossed"
    if one.median is None:
        if one.early is None:
            return "not within the horizon"
        return f"not within the horizon as things go, but it may be from {_ahead(made, one.early)} on"
    late = "beyond the horizon" if one.late is None else _ahead(made, one.late)
    return f"in {_ahead(made, one.median)} ({_ahead(made, one.early or 0.0)} to {late})"


def _ahead(made: Forecast, steps: float) -> str:
    return format_duration(steps * made.series.measured_step)


def _crossing(made: Forecast, one: Crossing) -> dict[str, Any]:
    state = "already" if one.already else "not within the horizon" if one.median is None else "within the horizon"
    return {
        "limit": one.limit,
        "direction": "up" if one.upward else "down",
        "state": state,
        "median": _moment(made, one.median),
        "low": _moment(made, one.early),
        "high": _moment(made, one.late),
        "probability": round(one.probability, 3),
        "text": crossing_words(made, one),
    }


def _moment(made: Forecast, steps: float | None) -> str | None:
    return None if steps is None else moment(round(made.time(steps)))


def _urgency(told: dict[str, Any]) -> tuple[bool, str, str]:
    return (told["state"] != "already", told["median"] or "9999", told["low"] or "9999")


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS + 2}g}")
