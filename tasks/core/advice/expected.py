"""The most that a series is expected to be, for advice that must hold for some time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from tasks.core.advice.needs import clean, seconds_of
from tasks.core.forecast import Question, forecast
from tasks.core.forecasting.grid import Unfit
from tasks.core.forecasting.quality import series_of

_LEAST = timedelta(hours=6)


@dataclass(frozen=True)
class Expected:
    """What is expected within a time.

    Attributes:
        days: How far ahead; less than was asked for where the history is short.
        middle: The most of what is as likely to be exceeded as not.
        high: The most of the late end of the 80 % interval.
    """

    days: float
    middle: float
    high: float


def expected(series: pd.Series[float], ahead: timedelta, *, every: str = "1h") -> Expected | str:
    """Forecast the peaks of a series: never farther ahead than its history is long.

    Args:
        series: Over time, UTC.
        ahead: How far.
        every: The peaks of such steps are forecast.

    Returns:
        What is expected, or why there is no forecast.
    """
    known = clean(series)
    if not len(known):
        return "nothing was measured"
    span = known.index[-1] - known.index[0]
    far = max(min(ahead, pd.Timedelta(span).to_pytimedelta()), _LEAST)
    peaks = known.resample(every).max().dropna()
    try:
        made = forecast(
            series_of(seconds_of(peaks), np.asarray(peaks, dtype=np.float64), lowest=0.0),
            Question(far.total_seconds(), lowest=0.0),
        )
    except Unfit as reason:
        if str(reason).startswith("constant"):
            return Expected(far / timedelta(days=1), float(peaks.iloc[-1]), float(peaks.iloc[-1]))
        return str(reason)
    return Expected(far / timedelta(days=1), float(made.value.max()), float(made.high.max()))
