"""What each container of a workload needs, by what it used: the ground on which requests and limits stand.

A request of CPU is a high percentile of the busiest pod with a margin; there is no limit of CPU, as one only holds back
what the node has to give. Memory is the peak of the fullest pod with headroom, and after it ran out never less than
what it had then and half as much again. All of it rests on history alone, never on what is set today, so that who
follows an advice gets the same one again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from tasks.core.advice.amounts import MIB, whole_cpu, whole_memory
from tasks.core.advice.facts import DAY, Container, Kill, Usage, Workload
from tasks.core.forecasting.arrays import Floats
from tasks.core.forecasting.trends import theil_sen
from tasks.core.units import format_duration

FEWEST = 24
_LONG_ENOUGH = timedelta(hours=23)
_GROWTH_DAYS = 5
_GROWN = 0.2
_STEADILY = 0.8
_AT_LIMIT = 0.95
_FELT = 0.05
"""A smaller share of held back periods is felt by nobody."""


@dataclass(frozen=True)
class Rules:
    """By what measure requests and limits are set.

    Attributes:
        percentile: Of the busiest pod's CPU.
        margin: What is added to it, as a factor.
        headroom: What is added to the peak of memory, as a factor.
        after_kill: What a container gets that ran out of memory, as a factor of what it had.
        slack: A value that is larger than the need by no more than this factor stays as it is.
        short: One that is smaller by no more than this share stays too: it is still above what was used.
        least_cpu: Cores that every container gets.
        least_memory: Bytes that every container gets.
    """

    percentile: float = 0.95
    margin: float = 1.15
    headroom: float = 1.2
    after_kill: float = 1.5
    slack: float = 1.25
    short: float = 0.1
    least_cpu: float = 0.01
    least_memory: float = 32 * MIB


RULES = Rules()


@dataclass(frozen=True)
class Need:
    """What one container needs, and on what that rests.

    Attributes:
        container: What is set today.
        cpu: Cores to ask for.
        memory: Bytes to ask for, and to allow at least.
        usual: The percentile of the busiest pod's cores.
        peak: The most bytes that any of its pods had.
        kills: What is known of memory that ran out.
        throttled: Seconds in which its worst pod was held back; None where that is not measured.
        growth: Bytes that it grows by a day without ever giving back; 0 where it does not.
    """

    container: Container
    cpu: float
    memory: float
    usual: float
    peak: float
    kills: tuple[Kill, ...]
    throttled: float | None
    growth: float


def needs_of(
    workload: Workload, usage: Usage, now: datetime, *, memory_target: float | None = None, rules: Rules = RULES
) -> list[Need] | str:
    """Return what each container needs, or why that cannot be told.

    Args:
        workload: As it is set today.
        usage: What it used.
        now: The time.
        memory_target: The share of its memory request that an autoscaler aims at: a request that is too near to the
            peak would have it add pods, which frees no memory, up to its ceiling.
        rules: By what measure.
    """
    if workload.created is not None and now - workload.created < DAY:
        return f"it is {format_duration((now - workload.created).total_seconds())} old: a day is the least to judge by"
    if usage.reason:
        return usage.reason
    found = []
    for container in workload.running:
        frame = usage.containers.get(container.name)
        reason = _unfit(frame, container.name)
        if reason or frame is None:
            return reason
        kills = tuple(one for one in _distinct((*usage.kills, *workload.kills)) if one.container == container.name)
        found.append(_need(container, frame, kills, memory_target, rules))
    return found


def _unfit(frame: pd.DataFrame | None, name: str) -> str:
    if frame is None or frame.empty:
        return f"nothing is known of what its container {name} used"
    for column in ("busiest", "memory"):
        if column not in frame:
            return f"nothing is known of the {'CPU' if column == 'busiest' else 'memory'} of its container {name}"
        known = clean(frame[column])
        span = known.index[-1] - known.index[0] if len(known) else timedelta(0)
        if len(known) < FEWEST or span < _LONG_ENOUGH:
            told = format_duration(span.total_seconds())
            return f"{len(known)} values over {told} of its container {name}: a day is the least to judge by"
    return ""


def clean(series: pd.Series[float]) -> pd.Series[float]:
    """Leave out what is no amount: missing, infinite, below zero; and put the rest in the order of time."""
    values = series.to_numpy(dtype=float)
    kept = series[np.isfinite(values) & (values >= 0)]
    return kept[~kept.index.duplicated()].sort_index()


def step_of(series: pd.Series[float]) -> float:
    """Return the usual seconds from one value to the next."""
    return float(np.median(np.diff(seconds_of(series)))) if len(series) > 1 else 0.0


def seconds_of(series: pd.Series[float]) -> Floats:
    """Return the moments of a series in seconds since 1970."""
    return np.asarray(pd.DatetimeIndex(series.index).as_unit("ns").asi8 / 1e9, dtype=np.float64)


def series_at(times: Floats, values: Floats) -> pd.Series[float]:
    """Return a series over moments in seconds since 1970."""
    return pd.Series(values, index=pd.to_datetime(times, unit="s", utc=True))


def _distinct(kills: tuple[Kill, ...]) -> tuple[Kill, ...]:
    """Leave out the same kill told twice: by the pod's state, and by its history."""
    kept: list[Kill] = []
    for kill in sorted(kills, key=lambda one: (one.container, one.at, one.limit is None)):
        last = next((one for one in reversed(kept) if one.container == kill.container), None)
        if last is None or kill.at - last.at > timedelta(minutes=10):
            kept.append(kill)
    return tuple(kept)


def _need(
    container: Container, frame: pd.DataFrame, kills: tuple[Kill, ...], memory_target: float | None, rules: Rules
) -> Need:
    cpu, memory = clean(frame["busiest"]), clean(frame["memory"])
    usual, peak = float(cpu.quantile(rules.percentile)), float(memory.max())
    wanted = peak * rules.headroom
    if memory_target:
        wanted = max(wanted, peak / memory_target * 1.1)
    floors = [kill.limit * rules.after_kill for kill in kills if kill.limit is not None]
    return Need(
        container=container,
        cpu=whole_cpu(max(usual * rules.margin, rules.least_cpu)),
        memory=whole_memory(max(wanted, rules.least_memory, *floors)),
        usual=usual,
        peak=peak,
        kills=kills,
        throttled=_throttled(container, frame),
        growth=_growth(memory),
    )


def _throttled(container: Container, frame: pd.DataFrame) -> float | None:
    """Return the seconds in which it was held back: as measured, else those that its busiest pod spent at its limit."""
    if "throttled" in frame:
        share = clean(frame["throttled"]).clip(upper=1.0)
        if len(share) > 1:
            return float(share[share >= _FELT].sum()) * step_of(share)
    if container.cpu_limit is None:
        return 0.0
    busiest = clean(frame["busiest"])
    return float((busiest >= _AT_LIMIT * container.cpu_limit).sum()) * step_of(busiest)


def _growth(memory: pd.Series[float]) -> float:
    """Return by how much it grows a day, where it does so day after day; what is given back time and again is no leak.

    A pod that is started anew begins anew: only what came after the last great fall counts.
    """
    daily = memory.resample("1D").max().dropna()[1:]
    falls = np.flatnonzero(np.diff(daily.to_numpy()) < -_GROWN * daily.to_numpy()[:-1])
    daily = daily[int(falls[-1]) + 1 :] if len(falls) else daily
    if len(daily) < _GROWTH_DAYS:
        return 0.0
    values = np.asarray(daily, dtype=np.float64)
    slope, _ = theil_sen(values)
    steady = float((np.diff(values) > 0).mean())
    grown = (values[-1] - values[0]) / max(values[0], 1.0)
    return slope if steady >= _STEADILY and grown >= _GROWN else 0.0
