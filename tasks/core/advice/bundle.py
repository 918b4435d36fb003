"""All facts of a platform in one hand, and all advice from them: the same again for every what-if."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from tasks.core.advice import (
    autoscaling,
    backups,
    gpus,
    pools,
    postgres,
    queue_scaling,
    read_replicas,
    redis,
    requests,
    services,
    volumes,
)
from tasks.core.advice.expected import Expected, expected
from tasks.core.advice.facts import Autoscaler, Cluster, Usage, Workload
from tasks.core.advice.model import Judged, Unjudged
from tasks.core.advice.names import named
from tasks.core.advice.queue_scaling import Queue
from tasks.core.retention import Policy

_NEAR = timedelta(days=30)
"""How far ahead autoscalers are set; they are easily set anew."""


@dataclass(frozen=True)
class Namespace:
    """A cluster's namespace: how it is set, and what was used there.

    Attributes:
        cluster: How it is set.
        usage: By the subject of the workload.
        queues: By the name of the ScaledObject.
        volumes: Bytes used over time, by the name of the claim.
        no_usage: Why no use is known of any workload.
    """

    cluster: Cluster
    usage: Mapping[str, Usage] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    volumes: Mapping[str, pd.Series[float]] = field(default_factory=dict)
    no_usage: str = ""


@dataclass(frozen=True)
class Cache:
    """A Redis, what it used over time, and the share of maxmemory at which the spec warns."""

    server: redis.Redis
    used: pd.Series[float] | None = None
    alert: float = 0.8


@dataclass(frozen=True)
class Database:
    """A PostgreSQL, what the runbook wants of it, who connects to it, and what a read replica would take over."""

    server: postgres.Server
    wanted: postgres.Wanted = field(default_factory=postgres.Wanted)
    pools: Sequence[pools.Pool] = ()
    available: int = 0
    replicas: read_replicas.Replicas | None = None


@dataclass(frozen=True)
class Bucket:
    """A bucket: its quota, what it held over time, the share at which the spec warns, its rules, its own name."""

    quota: float | None
    used: pd.Series[float] | None
    alert: float = 0.8
    ages: str = ""
    name: str = ""


@dataclass(frozen=True)
class VaultHeld:
    """A vault: its complete backups, what retention keeps, and how much it may hold."""

    taken: Sequence[backups.Taken]
    policy: Policy
    room: float | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that advice is made from, by the names of the spec."""

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    caches: Mapping[str, Cache] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    vaults: Mapping[str, VaultHeld] = field(default_factory=dict)
    gpus: Mapping[str, tuple[pd.Series[float], pd.Series[float] | None]] = field(default_factory=dict)
    services: Mapping[str, services.Service] = field(default_factory=dict)
    unread: tuple[Unjudged, ...] = ()


@dataclass(frozen=True)
class Aim:
    """For how long advice must hold, and what it is held against.

    Attributes:
        now: The time.
        hold: For how long sizes must be enough.
        window: How long a backup may take; the time until the next where the spec says nothing.
        zone: In which days are.
        titles: What people call each system, and each series that advice is given on, by key.
    """

    now: datetime
    hold: timedelta = timedelta(days=90)
    window: timedelta | None = None
    zone: ZoneInfo | None = None
    titles: Mapping[str, str] = field(default_factory=dict)


def advise_all(facts: Facts, aim: Aim) -> list[Judged]:
    """Judge everything that the facts tell of."""
    return [named(one, aim.titles) for one in (*facts.unread, *_judged(facts, aim))]


def _judged(facts: Facts, aim: Aim) -> Iterator[Judged]:
    for name, namespace in facts.namespaces.items():
        yield from _of_namespace(name, namespace, aim)
    for key, service in facts.services.items():
        busiest = service.usage.containers.get(service.container.name)
        ahead = None if busiest is None else _high(busiest["busiest"], _NEAR)
        yield services.advise(key, service, aim.now, ahead)
    for name, cache in facts.caches.items():
        yield redis.advise(name, cache.server, cache.used, alert=cache.alert, ahead=_high(cache.used, _NEAR))
    for name, database in facts.databases.items():
        yield from _of_database(name, database)
    for name, bucket in facts.buckets.items():
        yield volumes.advise_bucket(name, bucket.quota, bucket.used, aim.hold, alert=bucket.alert, ages=bucket.ages)
    for name, vault in facts.vaults.items():
        yield backups.advise_room(f"vault/{name}", vault.taken, vault.policy, vault.room, aim.now, aim.hold, aim.zone)
        for group, taken in backups.by_group(vault.taken).items():
            yield backups.advise_window(f"{group}[{name}]", taken, aim.window, aim.hold)
    for key, (used, busy) in facts.gpus.items():
        yield gpus.advise(key, used, busy)


def _of_database(name: str, database: Database) -> Iterator[Judged]:
    yield from postgres.advise(name, database.server, database.wanted)
    found = pools.advise(name, database.pools, _available(database), database.server.connections)
    if found is not None:
        yield found
    if (replicas := database.replicas) is not None:
        shares = {"connections": replicas.connections, "processor": replicas.processor}
        expected_shares = {it: most for it, one in shares.items() if (most := _high(one, _NEAR)) is not None}
        yield read_replicas.advise(f"{name}/replicas", replicas, expected_shares)


def _available(database: Database) -> int:
    """Return the connections that there will be once the runbook's setting is followed."""
    more = postgres.more_connections(database.server, database.wanted)
    return database.available + more


def _of_namespace(name: str, namespace: Namespace, aim: Aim) -> Iterator[Judged]:
    cluster = namespace.cluster
    scalers = {one.workload: one for one in cluster.autoscalers}
    for workload in cluster.workloads:
        usage = namespace.usage.get(workload.subject) or Usage(reason=namespace.no_usage or "its use is not known")
        yield from _of_workload(name, workload, scalers.get(workload.subject), usage, namespace, aim)
    for what, reason in cluster.missing.items():
        yield Unjudged(key=f"{name}/{what}", kind="volume" if what == "claims" else "autoscaler", reason=reason)
    for claim in cluster.claims:
        yield volumes.advise_claim(
            f"{name}/pvc/{claim.name}",
            claim,
            namespace.volumes.get(claim.name),
            aim.hold,
            reason="no Prometheus tells kubelet_volume_stats_used_bytes of it",
        )


def _of_workload(
    name: str, workload: Workload, scaler: Autoscaler | None, usage: Usage, namespace: Namespace, aim: Aim
) -> Iterator[Judged]:
    key = f"{name}/{workload.subject}"
    if scaler is not None and scaler.utilization("cpu") and not scaler.triggers:
        load = None if usage.reason else autoscaling.load_of(usage)
        pods = {metric: most for metric, one in usage.wanted.items() if (most := _high(one, _NEAR)) is not None}
        yield autoscaling.advise(
            f"{name}/hpa/{scaler.name}", workload, scaler, usage, aim.now, ahead=_high(load, _NEAR), pods=pods
        )
        return
    memory = scaler.utilization("memory") if scaler else None
    yield requests.advise(key, workload, usage, aim.now, memory_target=memory)
    if scaler is not None and scaler.triggers:
        queue = namespace.queues.get(scaler.name, Queue(None))
        ahead = _high(queue.length, _NEAR)
        given = replace(queue, ahead=ahead)
        yield queue_scaling.advise(f"{name}/scaledobject/{scaler.name}", scaler, workload.namespace, given)
    elif scaler is not None and not memory:
        metrics = ", ".join(one.metric for one in scaler.targets) or "nothing"
        reason = f"it scales by {metrics}, of which nothing is known here"
        yield Unjudged(key=f"{name}/hpa/{scaler.name}", kind="autoscaler", reason=reason)


def _high(series: pd.Series[float] | None, ahead: timedelta) -> float | None:
    """Return the most that is expected; None where there is no forecast."""
    if series is None or not len(series):
        return None
    found = expected(series, ahead)
    return found.high if isinstance(found, Expected) else None
