"""What runs out on each platform of the lab, on days that are known, beside what the exporters tell of healthy things.

Four things are on their way: a disk, a service that leaks, a bucket, and what scales and has too little room to. All is
a function of the time and of when the lab began, as everything in `metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from deployments.lab.kubernetes.seeds import SEEDS, Workload
from deployments.lab.metrics import DAY, Labels, Series, counter, gauge, healthy, laid_over
from deployments.lab.pieces import Piece

_GIB = 2.0**30
_LIMIT, _REQUEST, _TARGET = 1.0 * _GIB, 0.25, 70.0
_BEFORE = 40
_NOISE = 0.004
_UNTIL = 75
"""Nothing grows for longer than so many days after the lab began; by then it is full."""


class Wear(NamedTuple):
    """One thing that runs out.

    Attributes:
        name: `disk`, `leak`, `bucket` or `replicas`.
        measurement: What is measured of it, without its subject.
        bound: The share at which it is full.
        days: How many days after the lab began it reaches that.
        a_day: By how much the share grows each day.
        swing: By how much it rises and falls with the day; it reaches its bound at the top of that.
    """

    name: str
    measurement: str
    bound: float
    days: float
    a_day: float
    swing: float = 0.0

    def share(self, since: float) -> float:
        """Return the share so many days after the lab began; at the top of the day at `days`."""
        held = min(since, _UNTIL)
        return (
            self.bound - self.a_day * (self.days - held) - self.swing * (1 - math.cos(2 * math.pi * (held - self.days)))
        )


def wearing(platform: str) -> tuple[Wear, ...]:
    """Return what runs out on a platform; where there is no cluster, the services are a Swarm's."""
    swarm = platform not in SEEDS
    disk, bound = _DISKS.get(platform, ("disk_used", 0.95))
    return (
        Wear("disk", disk, bound, 24, 0.011),
        Wear("leak", "service_memory" if swarm else "container_memory", 1.0, 5, 0.022, 0.006),
        Wear("bucket", "bucket_used", 0.95, 40, 0.008),
        Wear("replicas", "service_cpu" if swarm else "autoscaler_wanted", 1.0, 15, 0.012, 0.1),
    )


_DISKS = {"eyewear": ("data_disks", 0.8), "synesthesia": ("disk", 0.9)}
"""Whose spec has an objective for disks, and its bound."""


def told(piece: Piece) -> list[Series]:
    """Return all that a platform's Prometheus is told on a good day."""
    return laid_over(healthy(piece.platform), worn(piece.platform, float(piece.details["began"])))


def worn(platform: str, began: float) -> list[Series]:
    """Return the series of what runs out, and of the healthy things beside it.

    Args:
        platform: Its name.
        began: When the lab began, in seconds since 1970.
    """
    disk, leak, bucket, replicas = wearing(platform)
    return [
        *_disk(platform, disk, began),
        *_buckets(platform, bucket, began),
        *(_pods(platform, leak, replicas, began) if platform in SEEDS else _tasks(platform, leak, replicas, began)),
    ]


def _disk(platform: str, wear: Wear, began: float) -> Iterator[Series]:
    instance, size = _MACHINES.get(platform, "node-1:9100"), 500 * _GIB
    labels = {"instance": instance, "job": "node", "mountpoint": "/data", "fstype": "ext4"}
    yield gauge("node_filesystem_size_bytes", size, 0.0, **labels)
    yield _shared("node_filesystem_avail_bytes", size, wear, began, labels, left=True)


_MACHINES = {"eyewear": "node-1:9100", "stario": "gpu-1:9100", "synesthesia": "swarm-1:9100"}


def _buckets(platform: str, wear: Wear, began: float) -> Iterator[Series]:
    for name, room in (("uploads", 400 * _GIB), ("archive", 900 * _GIB)):
        labels = {"bucket": f"{platform}-{name}", "job": "minio"}
        yield gauge("minio_bucket_quota_total_bytes", room, 0.0, **labels)
        if name == "uploads":
            yield _shared("minio_bucket_usage_total_bytes", room, wear, began, labels)
        else:
            yield gauge("minio_bucket_usage_total_bytes", 0.4 * room, 0.01, **labels)


def _shared(name: str, size: float, wear: Wear, began: float, labels: Labels, *, left: bool = False) -> Series:
    def at(moment: float) -> float:
        share = wear.share((moment - began) / DAY) + _NOISE * _noise(moment)
        return size * (1 - share if left else share)

    return Series({"__name__": name, **labels}, at)


def _noise(moment: float) -> float:
    """Return a number from -1 to 1 that is another each quarter of an hour, and the same for the same moment."""
    return math.modf(math.sin(moment // 900 * 12.9898) * 43758.5453)[0]


def _pods(platform: str, leak: Wear, replicas: Wear, began: float) -> Iterator[Series]:
    """Yield what cAdvisor and kube-state-metrics tell; the first workload has too few replicas, the second leaks."""
    seed = SEEDS[platform]
    for number, workload in enumerate(seed.workloads):
        for pod in _named(workload):
            labels = {"namespace": seed.namespace, "pod": pod, "container": workload.container or workload.name}
            yield from _container(labels, leak if number == 1 else None, began)
        if workload.ceiling:
            yield from _autoscaler(seed.namespace, workload, replicas if number == 0 else None, began)


def _named(workload: Workload) -> Iterator[str]:
    for number in range(workload.replicas):
        yield f"{workload.name}-{number}" if workload.stateful else f"{workload.name}-6d5f8b7c9{number}-aa7d2"


def _container(labels: Labels, leak: Wear | None, began: float) -> Iterator[Series]:
    kube = labels | {"job": "kube-state-metrics"}
    yield gauge("kube_pod_container_resource_requests", _REQUEST, 0.0, resource="cpu", unit="core", **kube)
    yield gauge("kube_pod_container_resource_requests", _LIMIT / 2, 0.0, resource="memory", unit="byte", **kube)
    yield gauge("kube_pod_container_resource_limits", 1.0, 0.0, resource="cpu", unit="core", **kube)
    yield gauge("kube_pod_container_resource_limits", _LIMIT, 0.0, resource="memory", unit="byte", **kube)
    told = labels | {"job": "cadvisor"}
    if leak is None:
        yield gauge("container_memory_working_set_bytes", 0.42 * _LIMIT, 0.04, **told)
    else:
        yield _shared("container_memory_working_set_bytes", _LIMIT, leak, began, told)
    yield counter("container_cpu_usage_seconds_total", 0.12, **told)
    yield counter("container_cpu_cfs_periods_total", 10, **told)
    yield counter("container_cpu_cfs_throttled_periods_total", 0.1, **told)
    yield gauge("container_oom_events_total", 0, 0.0, **told)


def _autoscaler(namespace: str, workload: Workload, wear: Wear | None, began: float) -> Iterator[Series]:
    """Yield an autoscaler that wants a share of the most it may; it rounds up, and its pods are less busy for it."""
    labels = {"namespace": namespace, "horizontalpodautoscaler": workload.autoscaler, "job": "kube-state-metrics"}
    by_cpu = {"metric_name": "cpu", "metric_target_type": "utilization"}

    def wanted(moment: float) -> float:
        if wear is None:
            return workload.ceiling * (0.45 + 0.15 * math.sin(2 * math.pi * moment / DAY))
        return workload.ceiling * max(0.05, wear.share((moment - began) / DAY) + _NOISE * _noise(moment))

    def current(moment: float) -> float:
        return float(min(workload.ceiling, max(workload.replicas, math.ceil(wanted(moment) - 0.1))))

    name = "kube_horizontalpodautoscaler"
    yield gauge(f"{name}_spec_max_replicas", workload.ceiling, 0.0, **labels)
    yield gauge(f"{name}_spec_min_replicas", workload.replicas, 0.0, **labels)
    yield gauge(f"{name}_spec_target_metric", _TARGET, 0.0, **labels, **by_cpu)
    yield Series({"__name__": f"{name}_status_current_replicas", **labels}, current)
    yield Series({"__name__": f"{name}_status_desired_replicas", **labels}, current)
    yield Series(
        {"__name__": f"{name}_status_target_metric", **labels, **by_cpu},
        lambda moment: _TARGET * wanted(moment) / current(moment),
    )


def _tasks(platform: str, leak: Wear, busy: Wear, began: float) -> Iterator[Series]:
    """Yield what cAdvisor tells of a Swarm's tasks: one service leaks, one has too few cores."""
    for service in ("api", "narrative-worker", "image-worker"):
        labels = {
            "id": f"/docker/{service}",
            "container_label_com_docker_swarm_service_name": f"{platform}_{service}",
            "job": "cadvisor",
        }
        yield gauge("container_spec_memory_limit_bytes", _LIMIT, 0.0, **labels)
        yield gauge("container_spec_memory_reservation_limit_bytes", _LIMIT / 2, 0.0, **labels)
        yield gauge("container_spec_cpu_quota", 200_000, 0.0, **labels)
        yield gauge("container_spec_cpu_period", 100_000, 0.0, **labels)
        if service == "narrative-worker":
            yield _shared("container_memory_working_set_bytes", _LIMIT, leak, began, labels)
        else:
            yield gauge("container_memory_working_set_bytes", 0.42 * _LIMIT, 0.04, **labels)
        name = {"__name__": "container_cpu_usage_seconds_total", **labels}
        if service == "api":
            yield Series(name, _used_up(busy, began))
        else:
            yield counter("container_cpu_usage_seconds_total", 0.6, **labels)


def _used_up(busy: Wear, began: float, cores: float = 2.0) -> Callable[[float], float]:
    """Return the seconds of a processor that were used: what the share adds up to since long before the lab began."""

    def total(since: float) -> float:
        held = min(since, _UNTIL)
        straight = (busy.bound - busy.a_day * busy.days - busy.swing) * held + busy.a_day * held * held / 2
        swung = busy.swing * math.sin(2 * math.pi * (held - busy.days)) / (2 * math.pi)
        return straight + swung + busy.share(_UNTIL) * (since - held)

    return lambda moment: cores * DAY * (total((moment - began) / DAY) - total(-_BEFORE))
