"""The facts that advice is made from: of a platform's systems, its Prometheus, kept reports and vaults. No Prefect.

What cannot be read keeps nothing else from being judged: it is named with the reason.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from tasks.core.advice.backups import Taken
from tasks.core.advice.bundle import Bucket, Cache, Database, Facts, Namespace, VaultHeld
from tasks.core.advice.facts import Cluster, Usage
from tasks.core.advice.model import Kind, Unjudged
from tasks.core.advice.needs import series_at
from tasks.core.advice.pools import Pool
from tasks.core.advice.queue_scaling import Queue
from tasks.core.advice.services import Service
from tasks.core.capacity import History
from tasks.core.errors import WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.results import Measurement
from tasks.core.system import Access, SystemSpec
from tasks.systems import kinds
from tasks.vault.opening import open_platform_vault
from tasks.vault.vault import Entry, Vault

_READERS = 16
_NO_PROMETHEUS = "no Prometheus of the platform keeps what its pods used; the metrics API only tells of now"
_JUDGED_AS: Mapping[str, Kind] = {"kubernetes": "requests", "redis": "redis", "postgres": "postgres", "s3": "bucket"}
_GPU_MEMORY, _GPU_BUSY = ("gpu_memory_used", "gpu_memory"), "gpu_used"

Series = Mapping[str, "pd.Series[float]"]


class Gathering:
    """One platform's facts on their way together.

    Args:
        platform: The spec.
        access: What opens its systems and vaults.
        now: The time.
        histories: What was gathered to be looked ahead.
        measured: What the kept reports measured, by system, measurement and subject.
    """

    def __init__(
        self,
        platform: PlatformSpec,
        access: Access,
        now: datetime,
        histories: Sequence[History],
        measured: Mapping[str, Sequence[Measurement]],
    ) -> None:
        self._platform, self._access, self._now = platform, access, now
        self._histories, self._series = histories, series_of(histories, measured)
        self._unread: list[Unjudged] = []

    async def facts(self) -> Facts:
        """Read everything; what fails is named in `unread`."""
        set_up = {name: await self._set_up(name, spec) for name, spec in self._platform.systems.items()}
        namespaces = {name: await self._used(found) for name, found in set_up.items() if isinstance(found, Cluster)}
        clusters = [one.cluster for one in namespaces.values()]
        return Facts(
            namespaces=namespaces,
            caches={name: self._cache(name, it) for name, it in set_up.items() if isinstance(it, Cache)},
            databases={
                name: self._database(name, it, clusters) for name, it in set_up.items() if isinstance(it, Database)
            },
            buckets={name: self._bucket(name, it) for name, it in set_up.items() if isinstance(it, Bucket)},
            vaults=await asyncio.to_thread(self._vaults),
            gpus=dict(self._gpus()),
            services=await self._services(),
            unread=tuple(self._unread),
        )

    async def _set_up(self, name: str, spec: SystemSpec) -> Any:
        read = kinds()[spec.kind].facts()
        if read is None:
            return None
        try:
            return await asyncio.wait_for(read(spec, self._access), spec.timeout.total_seconds() + 1)
        except TimeoutError:
            reason = "it did not answer in time"
        except WatchkeeperError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - one system's surprise must not stop the others
            reason = f"{type(error).__name__}: {error}"
        scrubbed = self._access.resolver.scrub(reason)
        self._unread.append(Unjudged(key=name, kind=_JUDGED_AS.get(spec.kind, "requests"), reason=scrubbed))
        return None

    async def _used(self, cluster: Cluster) -> Namespace:
        """Ask each Prometheus of the platform until one knows the namespace's pods."""
        reason, found = _NO_PROMETHEUS, Namespace(cluster, no_usage=_NO_PROMETHEUS)
        for name, spec in self._platform.systems.items():
            ask = kinds()[spec.kind].usage()
            if ask is None:
                continue
            try:
                told = await ask(spec, self._access, cluster, self._now)
            except WatchkeeperError as error:
                reason = self._access.resolver.scrub(f"{name} does not tell what its pods used: {error.message}")
                continue
            found = told
            if any(usage.containers for usage in told.usage.values()):
                break
        queues = {name: self._queue(name, queue, cluster) for name, queue in self._queues(found).items()}
        return replace(found, queues=queues, no_usage="" if found.usage else reason)

    async def _services(self) -> dict[str, Service]:
        """Ask each Prometheus of the platform for a Swarm's services."""
        found: dict[str, Service] = {}
        for name, spec in self._platform.systems.items():
            if (ask := kinds()[spec.kind].services()) is None:
                continue
            try:
                told = await ask(spec, self._access, self._now)
            except WatchkeeperError as error:
                reason = self._access.resolver.scrub(f"{name} does not tell what services used: {error.message}")
                self._unread.append(Unjudged(key=f"{name}/services", kind="requests", reason=reason))
                continue
            found |= {f"{name}/service/{one.name}": one for one in told}
        return found

    def _queues(self, found: Namespace) -> Mapping[str, Queue]:
        known = {one.name: Queue(None, found.usage.get(one.workload, Usage()).pods) for one in _queued(found.cluster)}
        return known | dict(found.queues)

    def _queue(self, name: str, queue: Queue, cluster: Cluster) -> Queue:
        """Fill in what the platform's own systems of kind `queue` measured of it."""
        names = {trigger.queue for one in _queued(cluster) if one.name == name for trigger in one.triggers}
        for system, spec in self._platform.systems.items():
            found = [of for name in names if name and (of := spec.length_of(name)) is not None]
            if found:
                limit = spec.limits.get("oldest_job")
                length, source = self._length(queue, system, found[0], names)
                return replace(
                    queue,
                    length=length,
                    oldest=self._series.get(f"{system}/oldest_job"),
                    wait=limit.warn.number if limit is not None and limit.warn is not None else None,
                    source=source,
                )
        return queue

    def _length(
        self, queue: Queue, system: str, of: tuple[str, str], names: Collection[str]
    ) -> tuple[pd.Series[float] | None, str]:
        """Return how long a queue was and who says so: KEDA, an exporter, or else the kept reports."""
        if queue.length is not None:
            return queue.length, queue.source
        told = next((one for one in self._histories if one.queue and one.queue[1] in names and len(one.times)), None)
        if told is not None:
            return self._series.get(told.key), "its exporter's metrics in Prometheus"
        key = f"{system}/{of[0]}" + (f"[{of[1]}]" if of[1] else "")
        return self._series.get(key), "the health checks' reports"

    def _cache(self, name: str, cache: Cache) -> Cache:
        return replace(cache, used=self._series.get(f"{name}/memory"))

    def _bucket(self, name: str, bucket: Bucket) -> Bucket:
        rules = self._series.get(f"{name}/lifecycle_rules")
        without = "it has no lifecycle rule: nothing is ever removed by itself"
        return replace(
            bucket,
            used=self._held(name, bucket),
            ages=without if rules is not None and len(rules) and not rules.iloc[-1] else "",
        )

    def _held(self, name: str, bucket: Bucket) -> pd.Series[float] | None:
        """Return the bytes in a bucket: as the health checks listed it, else as an exporter tells its share."""
        if (listed := self._series.get(f"{name}/size")) is not None or not bucket.quota or not bucket.name:
            return listed
        of = (key for key in self._series if "/bucket_used[" in key and bucket.name in re.split(r"[\[\] ]", key))
        return next((self._series[key] * bucket.quota for key in of), None)

    def _database(self, name: str, database: Database, clusters: Sequence[Cluster]) -> Database:
        used = self._series.get(f"{name}/connections_used")
        seen = float(used.max()) * database.available if used is not None and len(used) else 0.0
        server = replace(database.server, connections=max(database.server.connections, round(seen)))
        replicas = database.replicas
        if replicas is not None:
            asked = getattr(self._platform.systems[name], "read_replicas", None)
            processor = self._series.get(asked.processor or "") if asked is not None else None
            replicas = replace(replicas, connections=used, processor=processor)
        pools = [_counted(pool, clusters) for pool in database.pools]
        return replace(database, server=server, pools=pools, replicas=replicas)

    def _vaults(self) -> dict[str, VaultHeld]:
        found = {}
        for name, spec in self._platform.vaults.items():
            try:
                vault = open_platform_vault(
                    self._platform, name, self._access.resolver, now=self._access.now, ca_bundle=self._access.ca_bundle
                )
                entries = [one for one in vault.entries(self._platform.platform) if one.state == "complete"]
            except WatchkeeperError as error:
                reason = self._access.resolver.scrub(str(error))
                self._unread.append(Unjudged(key=f"vault/{name}", kind="backups", reason=reason))
                continue
            with ThreadPoolExecutor(_READERS) as pool:
                taken = [one for one in pool.map(_reader(vault), entries) if one is not None]
            found[name] = VaultHeld(taken, spec.keep, spec.room)
        return found

    def _gpus(self) -> Sequence[tuple[str, tuple[pd.Series[float], pd.Series[float] | None]]]:
        found = []
        for key, used in self._series.items():
            name, _, subject = key.partition("/")[2].partition("[")
            if name in _GPU_MEMORY:
                busy = self._series.get(f"{key.partition('/')[0]}/{_GPU_BUSY}" + (f"[{subject}" if subject else ""))
                found.append((key, (used, busy)))
        return found


def _queued(cluster: Cluster) -> Sequence[Any]:
    return [one for one in cluster.autoscalers if one.triggers]


def _counted(pool: Pool, clusters: Sequence[Cluster]) -> Pool:
    """Fill in how many replicas of an application run, and how many there may be."""
    for cluster in clusters:
        for workload in cluster.workloads:
            if pool.of and workload.subject == pool.of:
                most = next((one.maximum for one in cluster.autoscalers if one.workload == pool.of), None)
                return replace(pool, replicas=workload.replicas, most=most)
    return pool


def _reader(vault: Vault) -> Callable[[Entry], Taken | None]:
    def read(entry: Entry) -> Taken | None:
        try:
            made = vault.manifest_of(entry)
        except WatchkeeperError:
            return None  # the check of vaults tells of it
        return Taken(
            group=f"{made.system}/{made.method}",
            time=made.started,
            size=float(entry.stored_bytes),
            seconds=(made.ended - made.started).total_seconds(),
            pinned=entry.pinned,
            parents=made.parents,
            id=made.id,
        )

    return read


def series_of(histories: Sequence[History], measured: Mapping[str, Sequence[Measurement]]) -> dict[str, Any]:
    """Return everything that was measured as series by system, measurement and subject."""
    found: dict[str, Any] = {}
    for key, listed in measured.items():
        numbers = [one for one in listed if isinstance(one.value, int | float)]
        if numbers:
            times = np.array([one.at.timestamp() for one in numbers])
            found[key] = series_at(times, np.array([float(one.value) for one in numbers]))
    for history in histories:
        if len(history.times):
            found[history.key] = series_at(np.asarray(history.times), np.asarray(history.values))
    return found
