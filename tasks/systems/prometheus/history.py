"""The past of what a Prometheus' objectives say, for forecasts. Needs to read `/api/v1/query_range`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import numpy as np

from tasks.clients.http import session
from tasks.clients.prometheus import Api
from tasks.clients.prometheus_ranges import read_range
from tasks.core.capacity import History, thresholds_of
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.system import Access, SystemSpec
from tasks.core.units import Unit
from tasks.systems.prometheus.probe import subject_of
from tasks.systems.prometheus.spec import Objective, Spec

_STEP = timedelta(hours=1)
_SECONDS = 120.0


async def histories(spec: SystemSpec, access: Access, since: datetime, until: datetime) -> list[History]:
    """Return the history of every objective that has a bound; one that cannot be had says why in its place.

    Raises:
        WatchkeeperError: The server does not let us in, or does not answer at all.
    """
    if not isinstance(spec, Spec):
        raise ConfigError(f"{spec.kind} is no prometheus")
    headers = {"Authorization": f"Bearer {access.resolver.resolve(spec.token)}"} if spec.token else {}
    found: list[History] = []
    async with session(access.resolver.resolve(spec.url), ca_bundle=access.ca_bundle, headers=headers) as client:
        api = Api(client, asyncio.get_running_loop().time() + _SECONDS)
        await api.greet()
        for name, objective in spec.objectives.items():
            if objective.measured_in is not Unit.YES_NO and any(True for _ in objective.bounds()):
                found += await _of(api, name, objective, since, until)
    return found


async def _of(api: Api, name: str, objective: Objective, since: datetime, until: datetime) -> list[History]:
    limits = thresholds_of(objective, objective.worse)
    empty = np.empty(0)
    try:
        series = await read_range(api, objective.query, since, until, _STEP)
    except WatchkeeperError as error:
        return [History(name, objective.measured_in, empty, empty, objective.query, limits, trouble=error.message)]
    if not series:
        reason = "the query answers no data"
        return [History(name, objective.measured_in, empty, empty, objective.query, limits, trouble=reason)]
    found = []
    for labels, samples in sorted(series.items(), key=lambda item: subject_of(item[0])):
        points = np.array(samples, dtype=float).reshape(-1, 2)
        subject = "" if objective.single else subject_of(labels)
        key = f"{name}[{subject}]" if subject else name
        remedy = objective.remedy or ""
        found.append(
            History(key, objective.measured_in, points[:, 0], points[:, 1], objective.query, limits, remedy=remedy)
        )
    return found
