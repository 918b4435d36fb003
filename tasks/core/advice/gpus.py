"""The memory of graphics processors: too little for the next larger batch, or far more than is used."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from tasks.core.advice.model import Advice, Fine, Judged, Replayed, Unjudged, When
from tasks.core.advice.needs import FEWEST, clean, step_of

_FULL, _IDLE = 0.95, 0.4
_LONG = timedelta(days=6)


def advise(key: str, used: pd.Series[float], busy: pd.Series[float] | None = None) -> Judged:
    """Say whether a graphics processor's memory fits what runs on it.

    Args:
        key: `gpus/gpu[0]`.
        used: Share of its memory over time.
        busy: Share of its time over time, where that is known.
    """
    known = clean(used)
    if len(known) < FEWEST or known.index[-1] - known.index[0] < _LONG:
        return Unjudged(key=key, kind="gpu", reason=f"{len(known)} values: a week is the least to judge by")
    peak, usual = float(known.max()), float(known.median())
    hours = round(float((known >= _FULL).sum()) * step_of(known) / 3600, 1)
    working = None if busy is None or not len(clean(busy)) else float(clean(busy).mean())
    evidence = [f"memory: usually {usual:.0%}, at most {peak:.0%}"]
    if working is not None:
        evidence.append(f"it computes {working:.0%} of the time")
    if peak >= _FULL:
        return Advice(
            key=key,
            kind="gpu",
            when=When.NOW if float(known.iloc[-1]) >= _FULL else When.MONTH,
            do="give what runs there smaller batches or a larger card, or move a model to another one",
            why=f"its memory was {peak:.0%} used at the peak: the next larger batch ends with out of memory",
            evidence=tuple(evidence),
            replay=(Replayed(what=f"hours above {_FULL:.0%}", before=hours, after=0.0),),
            unknown=("how much of it frameworks only hold in reserve, as PyTorch's allocator does",),
        )
    if peak <= _IDLE and (working is None or working <= _IDLE):
        return Advice(
            key=key,
            kind="gpu",
            when=When.LATER,
            do="let two workloads share it (MIG or time-slicing), or take a smaller card",
            why=f"never more than {peak:.0%} of its memory is used",
            evidence=tuple(evidence),
            risk="latency suffers when both compute at once",
            unknown=() if working is not None else ("how much of the time it computes",),
        )
    return Fine(key=key, kind="gpu", note="; ".join(evidence))
