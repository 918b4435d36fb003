"""Weeks of a query's history out of Prometheus: in pieces that every server answers, one after the other, retried."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from tasks.clients.prometheus import Api, Labels
from tasks.core.errors import Denied, PermanentError, TransientError

POINTS = 2_000
"""Points of each series that are asked for at once; Prometheus refuses more than 11,000."""
_FEWEST = 50
_PAUSE = 0.05
_TRIES = 3


async def read_range(
    api: Api, promql: str, since: datetime, until: datetime, step: timedelta, *, points: int = POINTS
) -> Mapping[Labels, list[tuple[float, float]]]:
    """Return the samples of each series between two times.

    A piece that the server refuses is asked for in halves; one that it does not answer is asked for again.

    Args:
        api: The server.
        promql: The query.
        since: The first moment; moved to a whole step, so that the same is asked for again and again.
        until: The last moment.
        step: From one point to the next.
        points: How many points to ask for at once.

    Raises:
        PermanentError: The server refuses the query however little is asked for.
        Unreachable: It did not answer time and again.
    """
    size = step.total_seconds()
    begin = since - timedelta(seconds=since.timestamp() % size)
    found: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    while begin <= until:
        end = min(begin + (points - 1) * step, until)
        try:
            piece = await _asked(api, promql, begin, end, step)
        except Denied:
            raise
        except PermanentError:
            if points <= _FEWEST:
                raise
            points = max(_FEWEST, points // 2)
            continue
        for labels, samples in piece.items():
            found[labels] += samples
        begin = end + step
        await asyncio.sleep(_PAUSE)
    return found


async def _asked(
    api: Api, promql: str, begin: datetime, end: datetime, step: timedelta
) -> Mapping[Labels, tuple[tuple[float, float], ...]]:
    for tried in range(1, _TRIES):
        try:
            return await api.window(promql, begin, end, step)
        except TransientError:
            await asyncio.sleep(_PAUSE * 4**tried)
    return await api.window(promql, begin, end, step)
