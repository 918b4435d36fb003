"""The past of what a Prometheus' objectives and the usual exporters say. Needs to read `/api/v1/query_range`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from tasks.clients.http import session
from tasks.clients.prometheus import Api, Labels
from tasks.clients.prometheus_ranges import read_range
from tasks.core.capacity import History, Threshold, thresholds_of
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.system import Access, SystemSpec
from tasks.core.units import Unit
from tasks.systems.prometheus.exporters import Told, untold
from tasks.systems.prometheus.probe import subject_of
from tasks.systems.prometheus.spec import Objective, Spec

_STEP = timedelta(hours=1)
_SECONDS = 120.0


async def histories(spec: SystemSpec, access: Access, since: datetime, until: datetime) -> list[History]:
    """Return the history of every objective that has a bound, and of what the usual exporters tell of room.

    An objective that cannot be had says why in its place; an exporter that is not scraped is left out.

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
        for told in untold(objective.query for objective in spec.objectives.values()):
            found += await _told(api, told, since, until)
    return found


async def _told(api: Api, told: Told, since: datetime, until: datetime) -> list[History]:
    """Return what an exporter tells; nothing where it is not scraped."""
    try:
        asked = _Asked(told.name, told.query, told.unit, told.thresholds, told.remedy, _place_of)
        return await _read(api, asked, since, until)
    except WatchkeeperError as error:
        return [_silent(told.name, told.unit, told.query, told.thresholds, error.message)]


async def _of(api: Api, name: str, objective: Objective, since: datetime, until: datetime) -> list[History]:
    limits = thresholds_of(objective, objective.worse)
    named = _nothing if objective.single else subject_of
    asked = _Asked(name, objective.query, objective.measured_in, limits, objective.remedy or "", named)
    try:
        found = await _read(api, asked, since, until)
    except WatchkeeperError as error:
        return [_silent(name, objective.measured_in, objective.query, limits, error.message)]
    return found or [_silent(name, objective.measured_in, objective.query, limits, "the query answers no data")]


class _Asked(NamedTuple):
    name: str
    query: str
    unit: Unit
    limits: tuple[Threshold, ...]
    remedy: str
    subject: Callable[[Labels], str]


async def _read(api: Api, asked: _Asked, since: datetime, until: datetime) -> list[History]:
    series = await read_range(api, asked.query, since, until, _STEP)
    found = []
    for labels, samples in sorted(series.items(), key=lambda item: subject_of(item[0])):
        points = np.array(samples, dtype=float).reshape(-1, 2)
        subject = asked.subject(labels)
        key = f"{asked.name}[{subject}]" if subject else asked.name
        source = f"Prometheus: {asked.query}"
        found.append(History(key, asked.unit, points[:, 0], points[:, 1], source, asked.limits, remedy=asked.remedy))
    return found


def _nothing(_labels: Labels) -> str:
    return ""


def _place_of(labels: Labels) -> str:
    """Name a series by the values of its labels, the namespace first: `apex api`."""
    return " ".join(value for _, value in sorted(labels, key=lambda label: (label[0] != "namespace", label[0])))


def _silent(name: str, unit: Unit, query: str, limits: tuple[Threshold, ...], why: str) -> History:
    empty = np.empty(0)
    return History(name, unit, empty, empty, f"Prometheus: {query}", limits, trouble=why)
