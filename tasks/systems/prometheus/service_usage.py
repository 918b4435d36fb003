"""What a Docker Swarm's services used, and what they may use, as cAdvisor told a Prometheus; for advice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pandas as pd

from tasks.clients.prometheus import Api, Labels
from tasks.clients.prometheus_ranges import read_range
from tasks.core.advice.facts import Container, Kill, Usage
from tasks.core.advice.needs import series_at
from tasks.core.advice.services import Service
from tasks.core.errors import ConfigError
from tasks.core.system import Access, SystemSpec
from tasks.systems.prometheus.connection import connected
from tasks.systems.prometheus.exporters import SWARM
from tasks.systems.prometheus.spec import Spec

_BACK, _STEP, _WINDOW = timedelta(days=14), timedelta(hours=1), "2h"
_SECONDS, _PATIENCE = 300.0, 30.0
_KILLED = 0.5
_SOURCE = "cAdvisor's metrics in Prometheus, 14 days by 1h"

Told = Mapping[str, "pd.Series[float]"]


async def services_of(spec: SystemSpec, access: Access, until: datetime) -> list[Service]:
    """Return each service of the Swarm that cAdvisor tells of; none where it tells of no Swarm.

    Raises:
        WatchkeeperError: The server does not let us in, does not answer, or refuses the queries.
    """
    if not isinstance(spec, Spec):
        raise ConfigError(f"{spec.kind} is no prometheus")
    async with connected(spec, access, _SECONDS, patience=_PATIENCE) as api:
        await api.greet()
        asked = _Asked(api, until)
        counted = await asked.now("count", "container_memory_working_set_bytes")
        if not counted:
            return []
        limits = await asked.now("max", "container_spec_memory_limit_bytes")
        reserved = await asked.now("max", "container_spec_memory_reservation_limit_bytes")
        cores = await asked.ratio_now("container_spec_cpu_quota", "container_spec_cpu_period")
        used = await asked.used()
    return [
        Service(
            name,
            round(tasks),
            Container(_short(name), None, cores.get(name), reserved.get(name), limits.get(name) or None),
            _usage(name, used, limits.get(name) or None),
        )
        for name, tasks in sorted(counted.items())
    ]


def _short(name: str) -> str:
    """Return what the stack file calls a service: its name without the stack's."""
    return name.partition("_")[2] or name


def _usage(name: str, used: Mapping[str, Told], limit: float | None) -> Usage:
    columns = {column: found[name] for column, found in used.items() if name in found and column != "kills"}
    if "busiest" not in columns or "memory" not in columns:
        return Usage(reason="Prometheus has no container_cpu_usage_seconds_total of it: is cAdvisor scraped?")
    killed = used["kills"].get(name)
    times = () if killed is None else killed.index[killed > _KILLED]
    kills = tuple(Kill(_short(name), pd.Timestamp(at).to_pydatetime(), limit) for at in times)
    return Usage({_short(name): pd.DataFrame(columns)}, kills=kills, source=_SOURCE)


class _Asked:
    """One server, asked by service."""

    def __init__(self, api: Api, until: datetime) -> None:
        self._api, self._until = api, until

    async def now(self, how: str, metric: str) -> Mapping[str, float]:
        """Return one number of each service, as it is now."""
        return await self._instant(f'{how} by ({SWARM}) ({metric}{{{SWARM}!=""}})')

    async def ratio_now(self, above: str, below: str) -> Mapping[str, float]:
        """Return one share of each service, as it is now."""
        return await self._instant(f'max by ({SWARM}) ({above}{{{SWARM}!=""}} / ({below} > 0))')

    async def _instant(self, promql: str) -> Mapping[str, float]:
        answered = await self._api.query(promql, self._until, most=1_000)
        numbers: Mapping[Labels, float] = answered.values  # noqa: PD011 - no frame of pandas
        return {dict(labels).get(SWARM, ""): number for labels, number in numbers.items()}

    async def used(self) -> Mapping[str, Told]:
        """Return what the services used over time: columns as in `Usage`, and when memory ran out."""
        which = f'{{{SWARM}!=""}}'
        rate = f"rate(container_cpu_usage_seconds_total{which}[{_WINDOW}])"
        held, all_of = (
            f"rate(container_cpu_cfs_{name}_total{which}[{_WINDOW}])" for name in ("throttled_periods", "periods")
        )
        by = f"by ({SWARM})"
        return {
            "cpu": await self._series(f"sum {by} ({rate})"),
            "busiest": await self._series(f"max {by} ({rate})"),
            "memory": await self._series(
                f"max {by} (max_over_time(container_memory_working_set_bytes{which}[{_WINDOW}]))"
            ),
            "throttled": await self._series(f"max {by} ({held} / ({all_of} > 0))"),
            "kills": await self._series(f"sum {by} (increase(container_oom_events_total{which}[{_WINDOW}]))"),
        }

    async def _series(self, promql: str) -> Told:
        found = (await read_range(self._api, promql, self._until - _BACK, self._until, _STEP)).series
        return {dict(labels).get(SWARM, ""): series_at(one[:, 0], one[:, 1]) for labels, one in found.items()}
