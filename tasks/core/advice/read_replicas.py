"""Whether a PostgreSQL needs a read replica: where reads bring it near what it can take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Replayed, Unjudged, When
from tasks.core.advice.needs import FEWEST, clean
from tasks.core.units import Unit

if TYPE_CHECKING:
    import pandas as pd

_NEAR = 0.7
"""The share of its connections or processors, at the peak, from which there is little room left."""
_FULL = 0.85
_MOSTLY = 0.7
"""The share of reads from which a replica takes enough of the load."""


@dataclass(frozen=True)
class Replicas:
    """What is known of a server's load.

    Attributes:
        count: How many standbys stream from it now.
        add: The runbook's command, with `{count}` for how many there will be.
        reads: The share of the rows that it handled which were read; None where its statistics are younger than a day.
        connections: The share of its connections in use, over time.
        processor: The share of its processors in use, over time; None where the spec does not say what measures it.
    """

    count: int
    add: str
    reads: float | None
    connections: pd.Series[float] | None = None
    processor: pd.Series[float] | None = None


def advise(key: str, found: Replicas, ahead: dict[str, float] | None = None) -> Judged:
    """Say whether one more read replica is wanted.

    Args:
        key: `database/replicas`.
        found: What is known.
        ahead: The most that is expected within a month of `connections` and `processor`, where there is a forecast.
    """
    if found.reads is None:
        reason = "its statistics are younger than a day: how much of its load is reads is not known"
        return Unjudged(key=key, kind="postgres", reason=reason)
    peaks = dict(_peaks(found, ahead or {}))
    if not peaks:
        reason = "neither its connections nor its processors are known for a day"
        return Unjudged(key=key, kind="postgres", reason=reason)
    told = ", ".join(f"{name} at most {peak:.0%}" for name, peak in peaks.items())
    if max(peaks.values()) < _NEAR:
        note = f"{found.count} read replicas are enough: {told}; {found.reads:.0%} of its rows are read"
        return Fine(key=key, kind="postgres", note=note)
    if found.reads < _MOSTLY:
        note = f"{told}, but only {found.reads:.0%} of its rows are read: a larger server helps, a replica does not"
        return Fine(key=key, kind="postgres", note=note)
    return _advice(key, found, peaks, told)


def _peaks(found: Replicas, ahead: dict[str, float]) -> Iterator[tuple[str, float]]:
    for name, series in (("connections", found.connections), ("processor", found.processor)):
        known = clean(series) if series is not None else None
        if known is not None and len(known) >= FEWEST:
            yield name, max(float(known.max()), ahead.get(name, 0.0))


def _advice(key: str, found: Replicas, peaks: dict[str, float], told: str) -> Advice:
    reads, then = found.reads or 0.0, found.count + 1
    # Reads spread evenly over the primary and its replicas: the primary keeps its own part of them, and all writes.
    left = ((1 - reads) + reads / (then + 1)) / ((1 - reads) + reads / (found.count + 1))
    unknown = ["which queries may see data that is some moments old: only those can go to a replica"]
    if "processor" not in peaks:
        unknown.append("how busy its processors are: say what measures it as `read_replicas.processor` in the spec")
    return Advice(
        key=key,
        kind="postgres",
        when=When.MONTH if max(peaks.values()) >= _FULL else When.LATER,
        do=f"add a read replica: {found.count} → {then}, and send it what only reads",
        why=f"{told}, and {reads:.0%} of its rows are read",
        changes=(Change(what="read replicas", before=str(found.count), after=str(then)),),
        evidence=(
            f"reads: {reads:.1%} of the rows that it handled, of pg_stat_database",
            f"standbys that stream: {found.count}, of pg_stat_replication",
        ),
        replay=tuple(
            Replayed(
                what=f"{name}, at most in %",
                before=round(100 * peak),
                after=round(100 * peak * left),
                unit=Unit.COUNT,
                note="if reads spread evenly",
            )
            for name, peak in peaks.items()
        ),
        risk="a replica lags: a reader may not find what it has just written",
        unknown=tuple(unknown),
        patches=(Patch(title="by the runbook", language="shell", text=found.add.replace("{count}", str(then)) + "\n"),),
    )
