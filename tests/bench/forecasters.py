"""`python -m tests.bench.forecasters FILE NAME...`, or as a script where only the rivals are: other forecasters.

FILE is a NumPy archive with `known` and `truth`, a row for each series. Prints the seconds and the mean scaled error of
each forecaster as JSON. It imports nothing of ours, so that it runs in the rivals' own environment.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import Any

import numpy as np

_DAY, _WEEK = 24, 168


def run(file: str, names: list[str]) -> dict[str, dict[str, float]]:
    """Forecast every series with each, after one to warm up."""
    with np.load(file) as data:
        known, truth = data["known"], data["truth"]
    told = {}
    for name in names:
        one = {"AutoETS": _ets, "MSTL": _mstl, "Prophet": _prophet}[name]
        one(known[0], truth.shape[1])
        began = _spent()
        errors = [scaled(one(past, len(next_)), past, next_) for past, next_ in zip(known, truth, strict=True)]
        told[name] = {"seconds": (_spent() - began) / len(known), "mase": float(np.mean(errors))}
    return told


def _spent() -> float:
    """Return the processor's seconds, those of finished children too, so that a busy machine tells the same."""
    return sum(os.times()[:4])


def scaled(said: Any, past: Any, truth: Any) -> float:
    """Return the mean error in units of seasonal naive's error within the history."""
    return float(np.abs(said - truth).mean() / np.abs(past[_DAY:] - past[:-_DAY]).mean())


def _ets(past: Any, horizon: int) -> Any:
    from statsforecast.models import AutoETS  # noqa: PLC0415 - only there

    return AutoETS(season_length=_DAY).forecast(y=past, h=horizon)["mean"]


def _mstl(past: Any, horizon: int) -> Any:
    from statsforecast.models import MSTL, AutoETS  # noqa: PLC0415 - only there

    model = MSTL(season_length=[_DAY, _WEEK], trend_forecaster=AutoETS(model="ZZN"))
    return model.forecast(y=past, h=horizon)["mean"]


def _prophet(past: Any, horizon: int) -> Any:
    import pandas as pd  # noqa: PLC0415 - only there
    from prophet import Prophet  # noqa: PLC0415 - only there

    moments = pd.date_range("2026-01-01", periods=len(past) + horizon, freq="h")
    model = Prophet()
    model.fit(pd.DataFrame({"ds": moments[: len(past)], "y": past}))
    return model.predict(pd.DataFrame({"ds": moments[len(past) :]}))["yhat"].to_numpy()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(json.dumps(run(sys.argv[1], sys.argv[2:])))
