"""Weeks of a query's history out of Prometheus: in pieces that every server answers, one after the other, retried."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from tasks.clients.prometheus import Api, Labels
from tasks.core.errors import Denied, PermanentError, TransientError
from tasks.core.forecasting.arrays import Floats

POINTS = 2_000
"""Points of each series that are asked for at once; Prometheus refuses more than 11,000."""
MOST = 1_000
"""Series of one query that are kept."""
SEEN = 5_000
"""Series of one query that are looked at; of more a person should aggregate."""
_SAMPLES = 100_000
"""Samples that are asked for at once, of all series together: some 4 MB."""
_FEWEST = 50
_PAUSE = 0.05
_TRIES, _FEW_TRIES = 3, 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Ranges:
    """The history of a query.

    Attributes:
        series: By labels a row for each sample: seconds since 1970, and the value.
        left_out: How many series there are besides, which were not kept.
        pieces: In how many pieces it was asked for.
    """

    series: Mapping[Labels, Floats] = field(default_factory=dict)
    left_out: int = 0
    pieces: int = 0


async def read_range(
    api: Api,
    promql: str,
    since: datetime,
    until: datetime,
    step: timedelta,
    *,
    points: int = POINTS,
    most: int = MOST,
    lowest: bool = False,
) -> Ranges:
    """Return the samples of each series between two times.

    The more series there are, the fewer points are asked for at once, so that a piece is never larger than some
    megabytes. A piece that the server refuses, or does not answer time and again, is asked for in halves.

    Args:
        api: The server.
        promql: The query.
        since: The first moment; moved to a whole step, so that the same is asked for again and again.
        until: The last moment.
        step: From one point to the next.
        points: How many points to ask for at once.
        most: How many series are kept; of more those that are highest now.
        lowest: Keep those that are lowest now instead.

    Raises:
        PermanentError: The server refuses the query however little is asked for, or it answers too many series.
        Unreachable: It did not answer time and again.
    """
    size = step.total_seconds()
    begin = since - timedelta(seconds=since.timestamp() % size)
    chosen, count = await _chosen(api, promql, until, most, lowest=lowest)
    fewest = min(_FEWEST, _SAMPLES // max(count, 1))
    points = max(2, min(points, _SAMPLES // max(count, 1)))
    found: dict[Labels, list[Floats]] = defaultdict(list)
    pieces = 0
    while begin <= until:
        end = min(begin + (points - 1) * step, until)
        try:
            piece = await _asked(api, promql, begin, end, step, tries=_TRIES if points <= fewest else _FEW_TRIES)
        except Denied:
            raise
        except (PermanentError, TransientError):
            if points <= fewest:
                raise
            points = max(2, points // 2)
            continue
        for labels, samples in piece.items():
            if samples and (chosen is None or labels in chosen):
                found[labels].append(np.array(samples, dtype=np.float64).reshape(-1, 2))
        begin = end + step
        pieces += 1
        await asyncio.sleep(_PAUSE)
    kept = {labels: np.concatenate(parts) for labels, parts in found.items()}
    return Ranges(kept, 0 if chosen is None else count - len(chosen), pieces)


async def _chosen(
    api: Api, promql: str, at: datetime, most: int, *, lowest: bool
) -> tuple[frozenset[Labels] | None, int]:
    """Return which series to keep, None for all, and how many there are now."""
    values = (await _tried(lambda: api.query(promql, at, most=SEEN))).values
    if len(values) <= most:
        return None, len(values)
    ordered = sorted(values, key=lambda labels: (values[labels] if lowest else -values[labels], sorted(labels)))
    return frozenset(ordered[:most]), len(values)


async def _asked(
    api: Api, promql: str, begin: datetime, end: datetime, step: timedelta, *, tries: int
) -> Mapping[Labels, tuple[tuple[float, float], ...]]:
    return await _tried(lambda: api.window(promql, begin, end, step, most=SEEN), tries)


async def _tried(ask: Callable[[], Awaitable[_T]], tries: int = _TRIES) -> _T:
    for tried in range(1, tries):
        try:
            return await ask()
        except TransientError:
            await asyncio.sleep(_PAUSE * 4**tried)
    return await ask()
