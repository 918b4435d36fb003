"""A KEDA ScaledObject that follows the length of a queue: its bounds, and its threshold where that can be told.

It wants length / threshold replicas. The bounds follow from the longest queue. The threshold says how long a job waits:
threshold / (jobs that one worker finishes a second). That pace follows from how long the oldest job had waited, in a
queue that is served in turn: length / (workers x wait). Where nobody measures that, the threshold is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tasks.core.advice.autoscaling import bounds_patch
from tasks.core.advice.facts import DAY, Autoscaler, Trigger
from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Replayed, Unjudged, When
from tasks.core.advice.needs import FEWEST, clean, step_of
from tasks.core.advice.requests import kubectl_patch
from tasks.core.units import format_duration

_HOLD = 1.1
_SMALL = 1e-9


@dataclass(frozen=True)
class Queue:
    """What is known of the queue that a ScaledObject follows.

    Attributes:
        length: How many jobs waited, over time.
        pods: How many workers there were, over time; None where that is not known.
        oldest: How long the oldest job had waited, over time; None where that is not measured.
        wait: How long a job may wait, by the spec; None where it says nothing.
        ahead: The longest that is expected, at the late end of the interval; None without a forecast.
        source: Where it comes from.
        reason: Why there is nothing.
    """

    length: pd.Series[float] | None
    pods: pd.Series[float] | None = None
    oldest: pd.Series[float] | None = None
    wait: float | None = None
    ahead: float | None = None
    source: str = ""
    reason: str = ""


def advise(key: str, scaler: Autoscaler, namespace: str, queue: Queue) -> Judged:
    """Say between how many replicas a ScaledObject should scale, and at which threshold."""
    trigger = next((one for one in scaler.triggers if one.threshold), None)
    if trigger is None or not trigger.threshold:
        return Unjudged(key=key, kind="queue scaler", reason="none of its triggers has a threshold that is a number")
    length = None if queue.length is None else clean(queue.length)
    if length is None or len(length) < FEWEST or length.index[-1] - length.index[0] < 0.95 * DAY:
        reason = queue.reason or "the length of its queue is known for less than a day"
        return Unjudged(key=key, kind="queue scaler", reason=reason)
    peak = max(float(length.max()) * _HOLD, queue.ahead or 0.0)
    pace = _pace(length, queue)
    threshold = _threshold(trigger.threshold, pace, queue.wait)
    minimum = scaler.minimum
    maximum = max(scaler.maximum, minimum, math.ceil(peak / threshold - _SMALL))
    changes = tuple(_changes(scaler, trigger, threshold, maximum))
    if not changes:
        note = f"its longest queue of {length.max():,.0f} needs {math.ceil(length.max() / threshold)} of {maximum}"
        return Fine(key=key, kind="queue scaler", note=note)
    before, after = (_short(length, *given) for given in ((trigger.threshold, scaler.maximum), (threshold, maximum)))
    return Advice(
        key=key,
        kind="queue scaler",
        when=When.MONTH if before or threshold < trigger.threshold else When.LATER,
        do=", ".join(f"{one.what} {one.before} → {one.after}" for one in changes),
        why=_why(scaler, trigger, before, peak, pace, queue.wait),
        changes=changes,
        evidence=tuple(_evidence(length, queue, pace, peak)),
        replay=(
            Replayed(
                what="minutes at the ceiling while the queue grew beyond it",
                before=round(before / 60, 1),
                after=round(after / 60, 1),
                note="over the queue as it was: with more workers it would have been shorter",
            ),
        ),
        risk=f"{maximum} workers take as many connections to database and broker",
        unknown=() if pace else ("how many jobs a worker finishes: its threshold was not judged",),
        patches=tuple(_patches(scaler, namespace, trigger, threshold, maximum)),
    )


def _pace(length: pd.Series[float], queue: Queue) -> float | None:
    """Return the jobs a second that one worker finishes; None where too few moments tell."""
    if queue.pods is None or queue.oldest is None:
        return None
    pods, waited = clean(queue.pods), clean(queue.oldest)
    if not len(pods) or not len(waited):
        return None
    workers = pods.reindex(length.index, method="nearest").to_numpy()
    wait = waited.reindex(length.index, method="nearest", tolerance=pd.Timedelta(minutes=5)).to_numpy()
    known = np.isfinite(wait) & (wait > 0) & (workers > 0) & (length.to_numpy() > 0)
    paces = length.to_numpy()[known] / (workers[known] * wait[known])
    return float(np.median(paces)) if len(paces) >= FEWEST // 2 else None


def _threshold(today: float, pace: float | None, wait: float | None) -> float:
    """Return the jobs for each worker that are done in time; as it is where that is short enough, or unknown."""
    if pace is None or wait is None or today <= pace * wait:
        return today
    return max(1.0, math.floor(pace * wait))


def _changes(scaler: Autoscaler, trigger: Trigger, threshold: float, maximum: int) -> Iterator[Change]:
    if threshold != trigger.threshold:
        yield Change(what=trigger.field, before=f"{trigger.threshold:g}", after=f"{threshold:g}")
    if maximum != scaler.maximum:
        yield Change(what="max replicas", before=str(scaler.maximum), after=str(maximum))


def _short(length: pd.Series[float], threshold: float, maximum: int) -> float:
    """Return the seconds in which the queue asked for more workers than there may be."""
    return float((length > threshold * maximum).sum()) * step_of(length)


def _why(
    scaler: Autoscaler, trigger: Trigger, short: float, peak: float, pace: float | None, wait: float | None
) -> str:
    threshold = trigger.threshold or 1.0
    if pace and wait and threshold > pace * wait:
        return (
            f"{threshold:g} jobs for each worker take up to {format_duration(threshold / pace)}, and a job may wait "
            f"{format_duration(wait)}"
        )
    if short:
        return f"for {format_duration(short)} the queue asked for more than {scaler.maximum} workers"
    return f"the queue that is to be held, {peak:,.0f} jobs, needs more than {scaler.maximum} workers"


def _evidence(length: pd.Series[float], queue: Queue, pace: float | None, peak: float) -> Iterator[str]:
    yield f"queue: usually {length.median():,.0f}, at most {length.max():,.0f}; {peak:,.0f} are to be held"
    if pace:
        yield f"a worker finishes {pace * 60:,.1f} jobs a minute, by how long the oldest one had waited"
    if queue.source:
        yield f"source: {queue.source}"


def _patches(scaler: Autoscaler, namespace: str, trigger: Trigger, threshold: float, maximum: int) -> Iterator[Patch]:
    if maximum != scaler.maximum:
        yield bounds_patch(scaler, namespace, scaler.minimum, maximum)
    if threshold != trigger.threshold:
        path = f"/spec/triggers/{trigger.index}/metadata/{trigger.field}"
        body = [{"op": "replace", "path": path, "value": f"{threshold:g}"}]
        yield kubectl_patch("scaledobject.keda.sh", scaler.name, namespace, body, "json")
