"""Other machines, as node-exporter and DCGM told a Prometheus. Subjects are `instance`, or `instance part`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from tasks.clients.http import session
from tasks.clients.prometheus import Answered, Api, Labels
from tasks.core.errors import ConfigError, PermanentError, Unreachable, WatchkeeperError
from tasks.core.results import Gap, Reading
from tasks.core.system import Access
from tasks.systems.host.spec import CATALOG, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_AT_ONCE = 4
_MOST = 2000
_NO_DISKS = 'fstype!~"tmpfs|devtmpfs|overlay|squashfs|ramfs|iso9660|fuse.*"'
_NO_CARDS = 'device!~"lo|veth.*|docker.*|br-.*|cali.*|flannel.*|cni.*"'
_NONE = Answered({}, ())


def queries(instances: str | None) -> dict[str, str]:
    """Return the PromQL of every measurement.

    Args:
        instances: The pattern of the label `instance`; all where there is none.
    """
    which = 'instance=~"' + (instances or ".*").replace("\\", "\\\\").replace('"', '\\"') + '"'

    def one(metric: str, *matchers: str) -> str:
        return f"{metric}{{{','.join((*matchers, which))}}}"

    def left(available: str, total: str, by: str, *matchers: str) -> str:
        return f"1 - min by ({by}) ({one(available, *matchers)}) / (max by ({by}) ({one(total, *matchers)}) > 0)"

    def rate(*counters: str) -> str:
        rates = (f"rate({one(f'node_network_{counter}_total', _NO_CARDS)}[5m])" for counter in counters)
        return " + ".join(f"sum by (instance, device) ({text})" for text in rates)

    idle = one("node_cpu_seconds_total", 'mode="idle"')
    used, free = one("DCGM_FI_DEV_FB_USED"), one("DCGM_FI_DEV_FB_FREE")
    card, mount = "instance, gpu", "instance, mountpoint"
    return {
        "answers": f"max by (instance) ({one('node_memory_MemTotal_bytes')}) > bool 0",
        "cpu": f"1 - avg by (instance) (rate({idle}[5m]))",
        "cpu_peak": f"max by (instance) (1 - avg by (instance, cpu) (rate({idle}[5m])))",
        "load": f"max by (instance) ({one('node_load5')}) / count by (instance) (count by (instance, cpu) ({idle}))",
        "memory_used": left("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", "instance"),
        "swap_used": left("node_memory_SwapFree_bytes", "node_memory_SwapTotal_bytes", "instance"),
        "disk_used": left("node_filesystem_avail_bytes", "node_filesystem_size_bytes", mount, _NO_DISKS),
        "inodes_used": left("node_filesystem_files_free", "node_filesystem_files", mount, _NO_DISKS),
        "received": rate("receive_bytes"),
        "sent": rate("transmit_bytes"),
        "network_errors": rate("receive_errs", "transmit_errs"),
        "network_drops": rate("receive_drop", "transmit_drop"),
        "gpus": f"count by (instance) (count by ({card}) ({used}))",
        "gpu_memory_used": f"max by ({card}) ({used} / ({used} + {free}))",
        "gpu_used": f"max by ({card}) ({one('DCGM_FI_DEV_GPU_UTIL')}) / 100",
    }


async def readings(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield every measurement of every machine that the Prometheus knows, and which machines have fallen silent."""
    end = asyncio.get_running_loop().time() + spec.timeout.total_seconds() * _MARGIN
    through: Any = (access.systems or {}).get(spec.through or "")
    if through is None:
        raise ConfigError(f"the platform has no system {spec.through}")
    headers = {"Authorization": f"Bearer {access.resolver.resolve(through.token)}"} if through.token else {}
    address = access.resolver.resolve(through.url)
    async with session(address, ca_bundle=access.ca_bundle, headers=headers) as client:
        api, now = Api(client, end), access.now()
        try:
            await api.greet()
        except Unreachable as error:
            raise Unreachable(f"{spec.through}, which knows it, gives no answer: {error.message}") from error
        answered, gaps = await _ask_all(api, queries(spec.instance), now)
        silent = await _silent(api, spec, answered["answers"], now)
    if not gaps and not any(one.values for one in answered.values()):
        raise PermanentError(
            f"{spec.through} has no series of node-exporter or DCGM"
            + (f" whose instance matches {spec.instance}" if spec.instance else ""),
            hint="See that the exporters run, that they are scraped, and that `instance` is right.",
        )
    for reading in [*_machines(answered["answers"], silent, now), *_values(answered, now), *gaps]:
        yield reading


async def _ask_all(api: Api, asked: dict[str, str], now: datetime) -> tuple[dict[str, Answered], list[Gap]]:
    """Ask for everything, some at a time; what one query meets concerns its measurement alone."""
    slots, gaps = asyncio.Semaphore(_AT_ONCE), list[Gap]()

    async def ask(name: str, promql: str) -> tuple[str, Answered]:
        async with slots:
            try:
                return name, await api.query(promql, now, most=_MOST)
            except WatchkeeperError as error:
                gaps.append(Gap.of(error, name))
                return name, _NONE

    return dict(await asyncio.gather(*(ask(*item) for item in asked.items()))), gaps


async def _silent(api: Api, spec: Spec, present: Answered, now: datetime) -> list[str]:
    """Return the instances that told of themselves within the last hour and do not any more."""
    which = queries(spec.instance)["answers"].partition("(instance) (")[2].partition(")")[0]
    try:
        known = await api.query(f"max by (instance) (max_over_time({which}[1h]))", now, most=_MOST)
    except WatchkeeperError:
        return []  # the query for those present met the same and has told of it
    return sorted({_subject(labels) for labels in known.values} - {_subject(labels) for labels in present.values})


def _machines(present: Answered, silent: list[str], now: datetime) -> list[Reading]:
    there = sorted(_subject(labels) for labels in present.values)
    if not there and not silent:
        return []
    found: list[Reading] = [
        CATALOG.read("machines", len(there), at=now, note=f"silent: {', '.join(silent)}" * bool(silent))
    ]
    found += [CATALOG.read("answers", value=True, at=now, subject=one) for one in there]
    return found + [CATALOG.read("answers", value=False, at=now, subject=one) for one in silent]


def _values(answered: dict[str, Answered], now: datetime) -> list[Reading]:
    return [
        CATALOG.read(name, answer.values[labels], at=now, subject=_subject(labels))
        for name, answer in answered.items()
        if name != "answers"
        for labels in sorted(answer.values, key=_subject)
        if math.isfinite(answer.values[labels])
    ]


def _subject(labels: Labels) -> str:
    """Name what a series is of: the instance, and its part."""
    named = dict(labels)
    parts = (named.get(label, "") for label in ("instance", "mountpoint", "device", "gpu"))
    return " ".join(part for part in parts if part)
