"""How quick forecasts are and how good, beside statsforecast's AutoETS and MSTL and Prophet on the same series."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import numpy as np

from deployments.lab.servers import made_once
from tasks.core.forecast import Forecast, Question, forecast
from tasks.core.forecasting.quality import series_of
from tests.bench.demand import Floats, demand
from tests.bench.figures import Figure
from tests.bench.forecasters import scaled
from tests.bench.rivals import wheels
from tests.simulations import KINDS, cleaned, filling

_QUARTER, _AHEAD = 2160, 48
_START = 1_790_035_200.0
_COMPARED = 12
_HELD = 800
"""So many series tell a coverage to within a point."""
_RIVALS = ("AutoETS", "MSTL", "Prophet")
_PACKAGES = ("statsforecast==2.1.1", "prophet==1.5.0")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def run() -> dict[str, Figure]:
    """Time one series, ten thousand, and the rivals; hold intervals against what they say."""
    os.environ.update(_ONE_THREAD)
    each = demand(60, _QUARTER + _AHEAD)
    _one(each[0, :-_AHEAD])
    spent = [_spent(values[:-_AHEAD]) for values in each]
    figures = {
        "milliseconds": Figure(1000 * statistics.median(spent), 10, "one core, 90 days by the hour, with backtest")
    }
    figures |= _many(int(os.environ.get("WATCHKEEPER_BENCH_SERIES", "10000")))
    wide = {"demand": demand(_HELD, 960 + _AHEAD, seed=1)}
    for kind, make in KINDS.items():
        wide[kind] = np.array([make(np.random.default_rng([1, at]), 960 + _AHEAD) for at in range(_HELD)])
    figures |= {f"coverage-{kind}": _coverage(kind, rows) for kind, rows in wide.items()}
    return figures | _disks() | _beside(demand(_COMPARED, 960 + _AHEAD, seed=2))


def _coverage(kind: str, rows: Floats) -> Figure:
    """Hold 80 % intervals against what came."""
    made = [_one(values[:-_AHEAD]) for values in rows]
    held = [
        ((one.low <= truth) & (truth <= one.high)).mean() for one, truth in zip(made, rows[:, -_AHEAD:], strict=True)
    ]
    return Figure(100 * abs(float(np.mean(held)) - 0.8), 2, f"percentage points off 80%, {len(rows)} series, {kind}")


def _disks() -> dict[str, Figure]:
    """Hold the dates on which disks are full against when they are, and count alarms for those that are cleaned up."""
    off, false = [], 0
    for at in range(100):
        values, full = filling(np.random.default_rng([2, at]), 1440)
        median = _reached(values, 90)
        off.append(1.0 if median is None else abs(median - full) / full)
        false += _reached(cleaned(np.random.default_rng([3, at]), 24 * (30 + at % 60)), 7) is not None
    return {
        "disk-date": Figure(100 * statistics.median(off), 3, "per cent of the time left, 100 disks, median"),
        "disk-false": Figure(false, 0, "alarms within a week for 100 disks that are cleaned up"),
    }


def _reached(values: Floats, days: float) -> float | None:
    asked = Question(days * 86_400, limits=(100.0,))
    return forecast(series_of(_START + 3600.0 * np.arange(len(values)), values), asked).crossings[0].median


def _one(values: Floats) -> Forecast:
    return forecast(series_of(_START + 3600.0 * np.arange(len(values)), values), Question(_AHEAD * 3600.0))


def _spent(values: Floats) -> float:
    began = process_time()
    _one(values)
    return process_time() - began


def _chunk(numbers: tuple[int, int]) -> tuple[float, float]:
    """Forecast so many series in a process of its own; return its memory in megabytes, and its processor's seconds."""
    first, count = numbers
    rows = demand(count, _QUARTER, seed=first)
    began = process_time()
    for values in rows:
        _one(values)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, process_time() - began


def _many(count: int) -> dict[str, Figure]:
    """Forecast so many on two cores; processor's time counts, so that a busy machine tells the same."""
    chunks = [(first, min(250, count - first)) for first in range(0, count, 250)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        memory, seconds = zip(*pool.map(_chunk, chunks), strict=True)
    bound = 60 * count / 10_000
    return {
        "many": Figure(sum(seconds) / 2, bound, f"seconds of two cores for {count:,} series"),
        "many-memory": Figure(2 * max(memory), 1024, "megabytes, resident, both processes"),
    }


def _beside(rows: Floats) -> dict[str, Figure]:
    """Compare with the rivals, where they can be had."""
    try:
        folder = made_once("bench-forecasters", partial(wheels, *_PACKAGES))
    except (subprocess.CalledProcessError, OSError):
        print("capacity   AutoETS, MSTL, Prophet: not measured here, they cannot be installed")
        return {}
    known, truth = rows[:, :-_AHEAD], rows[:, -_AHEAD:]
    began = process_time()
    ours = float(np.mean([scaled(_one(past).value, past, come) for past, come in zip(known, truth, strict=True)]))
    seconds = (process_time() - began) / len(rows)
    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "series.npz", known=known, truth=truth)
        script = [sys.executable, str(Path(__file__).with_name("forecasters.py")), str(Path(place) / "series.npz")]
        environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": str(folder)}
        told = subprocess.run([*script, *_RIVALS], check=True, capture_output=True, env=environment).stdout
    figures = {}
    for name, rival in json.loads(told.splitlines()[-1]).items():
        against = f"{name}, {_COMPARED} series of 40 days"
        figures[f"time-{name.lower()}"] = Figure(seconds / rival["seconds"], 0.05, against)
        figures[f"error-{name.lower()}"] = Figure(ours / rival["mase"], 1, against)
    return figures
