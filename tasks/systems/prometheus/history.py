"""The past of what a Prometheus' objectives and the usual exporters say. Needs to read `/api/v1/query_range`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from tasks.clients.prometheus import Api, Labels
from tasks.clients.prometheus_ranges import read_range
from tasks.core.capacity import History, Threshold, thresholds_of
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.system import Access, SystemSpec
from tasks.core.units import Unit
from tasks.systems.prometheus.connection import connected
from tasks.systems.prometheus.exporters import TOLD, Told, plain_label, untold
from tasks.systems.prometheus.probe import subject_of
from tasks.systems.prometheus.spec import Objective, Spec

_STEP = timedelta(hours=1)
_SECONDS, _PATIENCE = 300.0, 30.0
_OVER = timedelta(days=1)
"""A series that was not seen for so long has ended, and says nothing of what comes."""
_EVERYWHERE = frozenset({"job", "fstype", "device", "endpoint", "prometheus"})
"""Labels that tell a person nothing of what a series is of."""
_SPEAKING = frozenset({"path", "namespace", "pod", "container", "service", "bucket"})
"""Labels whose values say by themselves what they are."""


async def histories(spec: SystemSpec, access: Access, since: datetime, until: datetime) -> list[History]:
    """Return the history of every objective that has a bound or tells a rate, and of what the usual exporters tell.

    An objective that cannot be had says why in its place; an exporter that is not scraped is left out.

    Raises:
        WatchkeeperError: The server does not let us in, or does not answer at all.
    """
    if not isinstance(spec, Spec):
        raise ConfigError(f"{spec.kind} is no prometheus")
    found: list[History] = []
    async with connected(spec, access, _SECONDS, patience=_PATIENCE) as api:
        await api.greet()
        for name, objective in spec.objectives.items():
            if _worth(objective):
                found += await _of(api, name, objective, since, until)
        for told in untold(objective.query for objective in spec.objectives.values()):
            found += await _told(api, told, since, until)
    return found


def _worth(objective: Objective) -> bool:
    """Tell whether an objective is looked ahead: where it has a bound, and traffic, on which all the others depend."""
    bounded = any(True for _ in objective.bounds())
    return objective.measured_in is Unit.RATE or (bounded and objective.measured_in is not Unit.YES_NO)


async def _told(api: Api, told: Told, since: datetime, until: datetime) -> list[History]:
    """Return what an exporter tells; nothing where it is not scraped."""
    asked = _Asked(
        told.name, told.query, told.unit, told.thresholds, told.remedy, _place_of, told.called, told.share, told.queues
    )
    try:
        return await _read(api, asked, since, until)
    except WatchkeeperError as error:
        return [_silent(asked, error.message)]


async def _of(api: Api, name: str, objective: Objective, since: datetime, until: datetime) -> list[History]:
    limits = thresholds_of(objective, objective.worse)
    named = _nothing if objective.single else subject_of
    words = partial(called, objective.title or name.replace("_", " "))
    alike = next((one for one in TOLD if one.metric in objective.query and one.unit is objective.measured_in), None)
    remedy = objective.remedy or (alike.remedy if alike else "")
    share = alike.share if alike else ""
    asked = _Asked(name, objective.query, objective.measured_in, limits, remedy, named, words, share)
    try:
        found = await _read(api, asked, since, until)
    except WatchkeeperError as error:
        return [_silent(asked, error.message)]
    return found or [_silent(asked, "the query answers no data")]


class _Asked(NamedTuple):
    name: str
    query: str
    unit: Unit
    limits: tuple[Threshold, ...]
    remedy: str
    subject: Callable[[Labels], str]
    words: Callable[[Mapping[str, str]], str]
    share: str = ""
    queues: str = ""

    @property
    def lowest(self) -> bool:
        """Whether low values are the ones to look at."""
        return bool(self.limits) and not any(one.upward for one in self.limits)


async def _read(api: Api, asked: _Asked, since: datetime, until: datetime) -> list[History]:
    ranges = await read_range(api, asked.query, since, until, _STEP, lowest=asked.lowest)
    found, over = [], (until - _OVER).timestamp()
    for labels, points in sorted(ranges.series.items(), key=lambda item: subject_of(item[0])):
        if points[-1, 0] < over:
            continue
        subject = asked.subject(labels)
        key = f"{asked.name}[{subject}]" if subject else asked.name
        source = f"Prometheus, in {ranges.pieces} pieces: {asked.query}"
        name = asked.words(dict(labels) if subject else {})
        found.append(
            History(
                key,
                asked.unit,
                points[:, 0],
                points[:, 1],
                source,
                asked.limits,
                asked.remedy,
                name=name,
                share=asked.share,
                queue=(asked.queues, _queue(dict(labels))) if asked.queues else None,
            )
        )
    if ranges.left_out:
        found.append(_silent(asked, f"{ranges.left_out:,} more series: only the {len(found):,} nearest are looked at"))
    return found


def _queue(labels: Mapping[str, str]) -> str:
    return next((labels[name] for name in ("queue_name", "queue", "key") if name in labels), "")


def _nothing(_labels: Labels) -> str:
    return ""


def _place_of(labels: Labels) -> str:
    """Name a series by the values of its labels, the namespace first: `apex api`."""
    return " ".join(value for _, value in sorted(labels, key=lambda label: (label[0] != "namespace", label[0])))


def called(title: str, labels: Mapping[str, str]) -> str:
    """Name a series of an objective: its title, and the labels that tell it from others."""
    told = {name: value for name, value in sorted(labels.items()) if name not in _EVERYWHERE} or dict(labels)
    place = [told.pop("mountpoint", ""), told.pop("instance", "")]
    parts = [value if name in _SPEAKING else f"{name} {value}" for name, value in told.items()]
    where = " of ".join(plain_label("instance", one) for one in place if one)
    return ", ".join(part for part in (title, *parts, where) if part)


def _silent(asked: _Asked, why: str) -> History:
    empty, name = np.empty(0), asked.words({})
    source = f"Prometheus: {asked.query}"
    return History(asked.name, asked.unit, empty, empty, source, asked.limits, trouble=why, name=name)
