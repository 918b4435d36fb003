"""This machine, as its own kernel tells."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

import psutil

from tasks.clients.sockets import in_words
from tasks.clients.threads import in_thread
from tasks.core.errors import WatchkeeperError
from tasks.core.results import Gap, Measurement, Outcome, Reading
from tasks.core.system import Access
from tasks.systems.host import gpus
from tasks.systems.host.spec import CATALOG, Spec

_WINDOW = 1.0
_SHARE = 0.2  # of the system's time: what is counted for a while must leave time for the rest
_DISK_SHARE = 0.5
_NOT_DISKS = {"squashfs", "iso9660", "tmpfs", "devtmpfs", "overlay", "ramfs", "autofs", "nsfs"}


class _Counters(NamedTuple):
    """What the kernel only counts; two of them make a rate."""

    idle: tuple[tuple[float, float], ...]
    network: dict[str, Any]
    at: float


async def readings(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield processors, memory, disks, network and graphics processors."""
    seconds = spec.timeout.total_seconds()
    before = _count()
    await asyncio.sleep(min(_WINDOW, seconds * _SHARE))
    after, now = _count(), access.now()
    for measurement in [*_processors(before, after, now), *_memory(now), *_network(before, after, now)]:
        yield measurement
    for mount in await in_thread(_mounts, tuple(spec.disks)):
        for reading in await _disk(mount, seconds * _DISK_SHARE, now):
            yield reading
    try:
        for reading in await gpus.readings(seconds * _SHARE, now):
            yield reading
    except WatchkeeperError as error:
        for name in ("gpus", "gpu_memory_used", "gpu_used"):
            if name in spec.limits:
                yield Gap.of(error, name)


def _count() -> _Counters:
    times = psutil.cpu_times(percpu=True)
    idle = tuple((one.idle + getattr(one, "iowait", 0.0), sum(one) - getattr(one, "guest", 0.0)) for one in times)
    return _Counters(idle, psutil.net_io_counters(pernic=True), asyncio.get_running_loop().time())


def _processors(before: _Counters, after: _Counters, now: datetime) -> list[Measurement]:
    busy = [
        1 - (idle - idle_before) / (total - total_before)
        for (idle_before, total_before), (idle, total) in zip(before.idle, after.idle, strict=False)
        if total > total_before
    ]
    found = [CATALOG.read("load", os.getloadavg()[1] / (os.cpu_count() or 1), at=now)]
    if busy:
        shares = [min(max(share, 0.0), 1.0) for share in busy]
        found += [
            CATALOG.read("cpu", sum(shares) / len(shares), at=now),
            CATALOG.read("cpu_peak", max(shares), at=now),
        ]
    return found


def _memory(now: datetime) -> list[Measurement]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    found = [CATALOG.read("memory_used", 1 - memory.available / memory.total, at=now)]
    return [*found, CATALOG.read("swap_used", swap.used / swap.total, at=now)] if swap.total else found


def _network(before: _Counters, after: _Counters, now: datetime) -> list[Measurement]:
    found, seconds = [], after.at - before.at
    for name, new in sorted(after.network.items()):
        old = before.network.get(name)
        if name == "lo" or old is None:
            continue
        counted = {
            "received": new.bytes_recv - old.bytes_recv,
            "sent": new.bytes_sent - old.bytes_sent,
            "network_errors": new.errin + new.errout - old.errin - old.errout,
            "network_drops": new.dropin + new.dropout - old.dropin - old.dropout,
        }
        found += [
            CATALOG.read(measure, max(count, 0) / seconds, at=now, subject=name) for measure, count in counted.items()
        ]
    return found


def _mounts(named: tuple[str, ...]) -> list[str]:
    """Return one mount point of each disk, the root, and those that the spec names."""
    by_device: dict[str, str] = {}
    for partition in psutil.disk_partitions(all=False):
        known = by_device.get(partition.device)
        if partition.fstype not in _NOT_DISKS and (known is None or len(partition.mountpoint) < len(known)):
            by_device[partition.device] = partition.mountpoint
    return sorted({"/", *by_device.values(), *named})


async def _disk(mount: str, seconds: float, now: datetime) -> list[Reading]:
    """Measure one file system; one whose server is gone answers never, and holds up only itself."""
    try:
        async with asyncio.timeout(seconds):
            found = await in_thread(_stat, mount)
    except TimeoutError:
        return [Gap(outcome=Outcome.ERRORED, name="disk_used", subject=mount, reason="the file system does not answer")]
    except OSError as error:
        return [Gap(outcome=Outcome.ERRORED, name="disk_used", subject=mount, reason=in_words(error))]
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    usable = used + found.f_bavail * found.f_frsize
    readings: list[Reading] = []
    if usable:
        readings.append(CATALOG.read("disk_used", used / usable, at=now, subject=mount))
    if found.f_files:
        readings.append(CATALOG.read("inodes_used", 1 - found.f_favail / found.f_files, at=now, subject=mount))
    return readings


def _stat(mount: str) -> os.statvfs_result:
    return os.statvfs(mount)
