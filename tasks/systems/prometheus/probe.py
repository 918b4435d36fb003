"""Measures objectives with a Prometheus' own query API.

Needs to read `/api/v1/query`, `query_range`, and where alerts are told `alerts` and `rules`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import datetime

from tasks.clients.clocks import ahead
from tasks.clients.prometheus import Answered, Api, Labels
from tasks.core.errors import WatchkeeperError
from tasks.core.results import Gap, Measurement, Outcome, Reading, Sample
from tasks.core.system import Access
from tasks.systems.prometheus.alerts import read_alerts
from tasks.systems.prometheus.connection import connected
from tasks.systems.prometheus.freshness import read_freshness
from tasks.systems.prometheus.service_levels import read_service_levels
from tasks.systems.prometheus.spec import CATALOG, Objective, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_AT_ONCE = 4


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield what a trivial query took, how fresh the data is, objectives, service levels, and alerts where wanted."""
    async with connected(spec, access, spec.timeout.total_seconds() * _MARGIN) as api:
        slots = asyncio.Semaphore(_AT_ONCE)
        sent = access.now()
        yield CATALOG.read("latency", await api.greet(), at=access.now())
        if (off := ahead(api.date, sent, access.now())) is not None:
            yield CATALOG.read("clock_skew", abs(off).total_seconds(), at=access.now())
        yield await read_freshness(api, spec, access.now())

        async def measure(name: str, objective: Objective) -> list[Reading]:
            async with slots:
                return await _measure(api, name, objective, access.now())

        for readings in await asyncio.gather(*(measure(*item) for item in spec.objectives.items())):
            for reading in readings:
                yield reading
        for reading in await read_alerts(api, spec, access.now()):
            yield reading
        for reading in await read_service_levels(api, spec, access.now(), slots):
            yield reading


async def _measure(api: Api, name: str, objective: Objective, at: datetime) -> list[Reading]:
    """Ask for one objective; what goes wrong concerns it alone."""
    try:
        answered = await api.query(objective.query, at)
    except WatchkeeperError as error:
        return [Gap.of(error, name)]
    if not answered.values:
        return [_nothing(name, objective, "", at, "the query answers no data")]
    if objective.single and len(answered.values) > 1:
        reason = f"the query answers {len(answered.values)} series where the objective says one"
        return [Gap(outcome=Outcome.ERRORED, name=name, reason=reason, hint="aggregate with sum(), max() or avg()")]
    histories, remark = await _histories(api, objective, at)
    note = "; ".join([*(f"the server warns: {text}" for text in answered.warnings), *remark])
    return [
        _reading(name, objective, labels, answered, at, histories.get(labels, ()), note)
        for labels in sorted(answered.values, key=subject_of)
    ]


async def _histories(
    api: Api, objective: Objective, at: datetime
) -> tuple[dict[Labels, tuple[Sample, ...]], list[str]]:
    if objective.window is None:
        return {}, []
    try:
        return dict(await api.history(objective.query, at, objective.window)), []
    except WatchkeeperError as error:
        return {}, [f"its history cannot be read: {error.message}"]


def _reading(
    name: str,
    objective: Objective,
    labels: Labels,
    answered: Answered,
    at: datetime,
    history: tuple[Sample, ...],
    note: str,
) -> Reading:
    subject, value = "" if objective.single else subject_of(labels), answered.values[labels]
    if math.isnan(value):
        return _nothing(name, objective, subject, at, "the query answers NaN: most often 0 divided by 0")
    if math.isinf(value):
        return Gap(
            outcome=Outcome.ERRORED, name=name, subject=subject, reason=f"the query answers {value:+}: a division by 0"
        )
    series = (*(sample for sample in history if sample.at < at), Sample(at, value)) if history else ()
    return Measurement(
        name=name, value=value, unit=objective.measured_in, at=at, subject=subject, note=note, series=series
    )


def _nothing(name: str, objective: Objective, subject: str, at: datetime, reason: str) -> Reading:
    """Say what no data means for an objective, as its spec has it."""
    if objective.empty == "zero":
        note = f"{reason}; taken as zero, as the spec says"
        return Measurement(name=name, value=0.0, unit=objective.measured_in, at=at, subject=subject, note=note)
    return Gap(
        outcome=Outcome(objective.empty),
        name=name,
        subject=subject,
        reason=reason,
        hint="See that the metric is still scraped and named so; `empty` in the spec says what no data means.",
    )


def subject_of(labels: Labels) -> str:
    """Name a series by its labels: the value alone where there is one label."""
    if len(labels) == 1:
        return next(value for _, value in labels)
    return ", ".join(f"{label}={value}" for label, value in sorted(labels))
