"""What a namespace's workloads used, as cAdvisor and kube-state-metrics told a Prometheus; for advice.

Every query is folded to a few series, however many pods came and went. Where the server has no samples of five minutes,
it is asked for hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from tasks.clients.prometheus import Api
from tasks.clients.prometheus_ranges import read_range
from tasks.core.advice.bundle import Namespace
from tasks.core.advice.facts import Cluster, Kill, Usage, Workload
from tasks.core.advice.needs import series_at
from tasks.core.advice.queue_scaling import Queue
from tasks.core.errors import ConfigError, Denied, PermanentError, WatchkeeperError
from tasks.core.system import Access, SystemSpec
from tasks.systems.prometheus.connection import connected
from tasks.systems.prometheus.spec import Spec

_BACK = timedelta(days=14)
_FAR_BACK = timedelta(days=120)
_FINE, _COARSE = (timedelta(minutes=5), "5m"), (timedelta(hours=1), "2h")
_SECONDS, _PATIENCE = 600.0, 60.0
_KILLED = 0.5
_SOURCE = "cAdvisor's metrics in Prometheus, {days:.0f} days by {step}"


async def usage_of(spec: SystemSpec, access: Access, cluster: Cluster, until: datetime) -> Namespace:
    """Return what the workloads of a namespace used, what lies on its volumes, and how long KEDA's queues were.

    Raises:
        WatchkeeperError: The server does not let us in, or does not answer at all.
    """
    if not isinstance(spec, Spec):
        raise ConfigError(f"{spec.kind} is no prometheus")
    async with connected(spec, access, _SECONDS, patience=_PATIENCE) as api:
        await api.greet()
        asked = _Asked(api, cluster.namespace, until)
        scalers = {one.workload: one.name for one in cluster.autoscalers if not one.triggers}
        usage = {one.subject: await asked.workload(one, scalers.get(one.subject)) for one in cluster.workloads}
        queues = {
            one.name: await asked.queue(one.name, usage.get(one.workload, Usage()).pods)
            for one in cluster.autoscalers
            if one.triggers
        }
        volumes = await asked.volumes() if cluster.claims else {}
    return Namespace(cluster, usage, queues, volumes)


class _Asked:
    """One server, asked for one namespace."""

    def __init__(self, api: Api, namespace: str, until: datetime) -> None:
        self._api, self._namespace, self._until = api, namespace, until

    async def workload(self, workload: Workload, scaler: str | None) -> Usage:
        """Return what one workload used, or why that is not known; one that is refused keeps the others."""
        for step, window in (_FINE, _COARSE):
            try:
                found = await self._usage(workload, step, window)
            except Denied:
                raise
            except WatchkeeperError as error:
                return Usage(reason=f"Prometheus does not tell: {error.message}")
            if found.containers:
                return replace(found, **await self._seen(workload, scaler)) if scaler else found
        return Usage(reason="Prometheus has no container_cpu_usage_seconds_total of it: is cAdvisor scraped?")

    async def _usage(self, workload: Workload, step: timedelta, window: str) -> Usage:
        pods = f'namespace="{self._namespace}",pod=~"{_pods(workload)}"'
        which = f'{pods},container!="",container!="POD"'
        rate = f"rate(container_cpu_usage_seconds_total{{{which}}}[{window}])"
        cpu = await self._by_container(f"sum by (container) ({rate})", step)
        if not cpu:
            return Usage()
        held, all_of = (
            f"rate(container_cpu_cfs_{name}_total{{{which}}}[{window}])" for name in ("throttled_periods", "periods")
        )
        columns = {
            "cpu": cpu,
            "busiest": await self._by_container(f"max by (container) (sum by (pod, container) ({rate}))", step),
            "memory": await self._by_container(
                f"max by (container) (max_over_time(container_memory_working_set_bytes{{{which}}}[{window}]))", step
            ),
            "throttled": await self._by_container(f"max by (container) ({held} / ({all_of} > 0))", step),
        }
        counted = await self._one(f"count(count by (pod) (container_memory_working_set_bytes{{{which}}}))", step)
        names = {name for column in columns.values() for name in column}
        frames = {
            name: pd.DataFrame({column: found[name] for column, found in columns.items() if name in found})
            for name in names
        }
        kills = await self._kills(pods, step, window)
        source = _SOURCE.format(days=_BACK / timedelta(days=1), step=window if window == "5m" else "1h")
        return Usage(frames, counted, kills, source=source)

    async def _seen(self, workload: Workload, scaler: str) -> dict[str, Any]:
        """Return what its autoscaler saw, as kube-state-metrics kept it; nothing where it does not."""
        prefix, on = "kube_horizontalpodautoscaler", "on (namespace, horizontalpodautoscaler)"
        which = f'namespace="{self._namespace}",horizontalpodautoscaler="{scaler}"'
        status, aim = (f"{prefix}_{name}_target_metric{{{which}}}" for name in ("status", "spec"))
        replicas = f"max by (namespace, horizontalpodautoscaler) ({prefix}_status_current_replicas{{{which}}})"
        ratio = f"max by (namespace, horizontalpodautoscaler, metric_name) ({status} / ({aim} > 0))"
        asked = f'kube_pod_container_resource_requests{{resource="cpu",namespace="{self._namespace}"'
        request = f'sum(max by (container) ({asked},pod=~"{_pods(workload)}"}}))'
        cpu = 'metric_name="cpu",metric_target_type="utilization"'
        used = f"max by (namespace, horizontalpodautoscaler) ({prefix}_status_target_metric{{{which},{cpu}}})"
        try:
            seen = await self._by("", f"sum({used} / 100 * {replicas}) * {request}", _COARSE[0], _FAR_BACK)
            wanted = await self._by("metric_name", f"{ratio} * {on} group_left () {replicas}", _COARSE[0], _FAR_BACK)
        except Denied:
            raise
        except WatchkeeperError:
            return {}
        others = {name: one for name, one in wanted.items() if name not in ("cpu", "memory", "")}
        return {"seen": next(iter(seen.values()), None), "wanted": others}

    async def _kills(self, pods: str, step: timedelta, window: str) -> tuple[Kill, ...]:
        """Return when memory ran out, with the limit of then: restarts of what was last killed for it."""
        killed = f'kube_pod_container_status_last_terminated_reason{{reason="OOMKilled",{pods}}}'
        restarts = f"increase(kube_pod_container_status_restarts_total{{{pods}}}[{window}])"
        on = "on (namespace, pod, container)"
        times = await self._by_container(f"sum by (container) ({restarts} and {on} ({killed} == 1))", step)
        if not any((series > _KILLED).any() for series in times.values()):
            return ()
        limited = f'kube_pod_container_resource_limits{{resource="memory",{pods}}}'
        limits = await self._by_container(f"max by (container) ({limited})", step)
        return tuple(
            Kill(name, pd.Timestamp(at).to_pydatetime(), _then(limits.get(name), pd.Timestamp(at)))
            for name, series in times.items()
            for at in series.index[series > _KILLED]
        )

    async def queue(self, name: str, pods: pd.Series[float] | None) -> Queue:
        """Return how long a ScaledObject's queue was, as KEDA saw it."""
        try:
            length = await self._one(f'max(keda_scaler_metrics_value{{scaledObject="{name}"}})', _FINE[0])
        except Denied:
            raise
        except WatchkeeperError as error:
            return Queue(None, pods, reason=f"Prometheus does not tell: {error.message}")
        reason = "" if length is not None else "Prometheus has no keda_scaler_metrics_value of it"
        return Queue(length, pods, source="keda_scaler_metrics_value in Prometheus", reason=reason)

    async def volumes(self) -> Mapping[str, pd.Series[float]]:
        """Return the bytes on each claim's volume, by hour."""
        which = f'kubelet_volume_stats_used_bytes{{namespace="{self._namespace}"}}'
        try:
            return await self._by(
                "persistentvolumeclaim", f"max by (persistentvolumeclaim) ({which})", _COARSE[0], _FAR_BACK
            )
        except PermanentError as error:
            if isinstance(error, Denied):
                raise
            return {}

    async def _by_container(self, promql: str, step: timedelta) -> Mapping[str, pd.Series[float]]:
        return await self._by("container", promql, step, _BACK)

    async def _one(self, promql: str, step: timedelta) -> pd.Series[float] | None:
        return next(iter((await self._by("", promql, step, _BACK)).values()), None)

    async def _by(self, label: str, promql: str, step: timedelta, back: timedelta) -> Mapping[str, pd.Series[float]]:
        found = (await read_range(self._api, promql, self._until - back, self._until, step)).series
        return {dict(labels).get(label, ""): series_at(one[:, 0], one[:, 1]) for labels, one in found.items()}


def _pods(workload: Workload) -> str:
    """Return the pattern of a workload's pods, as its controller names them; names hold no special sign but dots."""
    name = workload.name.replace(".", "\\\\.")
    return f"{name}-[0-9]+" if workload.kind == "StatefulSet" else f"{name}-[a-z0-9]+-[a-z0-9]{{5}}"


def _then(limits: pd.Series[float] | None, at: pd.Timestamp) -> float | None:
    """Return the limit just before a moment, as far as it is known."""
    known = None if limits is None else limits[limits.index <= at]
    return float(known.iloc[-1]) if known is not None and len(known) else None
