"""What the platforms' services would have told Prometheus: healthy series with weeks of history, kept fresh.

Each series is a pure function of time, so that history, feed and fault agree without anything being remembered.
"""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlencode

DAY = 86_400
_HISTORY_DAYS = 29
_SPAN = 40 * 60
FAULT = {"lab": "fault"}

Labels = dict[str, str]


@dataclass(frozen=True)
class Series:
    """One time series: its labels, `__name__` among them, and its value at a time (Unix seconds)."""

    labels: Labels
    at: Callable[[float], float]


def gauge(name: str, value: float, swing: float = 0.0, /, **labels: str) -> Series:
    """Make a value that swings with the day by a share of itself."""
    return Series(
        {"__name__": name, **labels}, lambda moment: value * (1 + swing * math.sin(2 * math.pi * moment / DAY))
    )


def counter(name: str, rate: float, /, **labels: str) -> Series:
    """Make a counter that grows by `rate` a second, by 30 % more or less over the day."""

    def at(moment: float) -> float:
        since = moment - 1.7e9
        return rate * (since + 0.3 * DAY / (2 * math.pi) * (1 - math.cos(2 * math.pi * since / DAY)))

    return Series({"__name__": name, **labels}, at)


def histogram(name: str, rate: float, typical: float, /, **labels: str) -> list[Series]:
    """Make a histogram whose 95th percentile is about twice the typical value, with its sum and its count."""
    bounds = [typical * factor for factor in (0.25, 0.5, 1, 1.5, 2, 4, 10)]
    shares = [0.05, 0.2, 0.6, 0.85, 0.96, 0.995, 1.0]
    series = [
        counter(f"{name}_bucket", rate * share, le=f"{bound:g}", **labels)
        for bound, share in zip(bounds, shares, strict=True)
    ]
    mean = sum(
        (share - before) * bound for (before, share), bound in zip(pairwise([0.0, *shares]), bounds, strict=True)
    )
    series += [counter(f"{name}_bucket", rate, le="+Inf", **labels), counter(f"{name}_count", rate, **labels)]
    return [*series, counter(f"{name}_sum", rate * mean, **labels)]


def requests(job: str, rate: float, typical: float, path: str = "/") -> list[Series]:
    """Make the usual two metrics of an HTTP service: requests by status, and their duration."""
    common = {"job": job, "path": path}
    return [
        counter("http_requests_total", rate, status="200", **common),
        counter("http_requests_total", rate * 0.0002, status="500", **common),
        *histogram("http_request_duration_seconds", rate, typical, **common),
    ]


def machine(instance: str) -> list[Series]:
    """Make what node-exporter tells of one machine."""
    gibibyte = 2.0**30
    where = {"instance": instance, "job": "node"}
    disks = [("/", 80, 44), ("/data", 500, 260)]
    return [
        gauge("up", 1, 0.0, **where),
        counter("node_cpu_seconds_total", 0.72, mode="idle", cpu="0", **where),
        counter("node_cpu_seconds_total", 0.28, mode="user", cpu="0", **where),
        gauge("node_memory_MemTotal_bytes", 16 * gibibyte, 0.0, **where),
        gauge("node_load5", 1.1, 0.2, **where),
        gauge("apt_upgrades_pending", 0, 0.0, origin="Debian-Security", arch="amd64", **where),
        gauge("node_memory_MemAvailable_bytes", 7 * gibibyte, 0.1, **where),
        counter("node_network_receive_bytes_total", 2e6, device="eth0", **where),
        counter("node_network_transmit_bytes_total", 1e6, device="eth0", **where),
        counter("node_network_receive_errs_total", 0, device="eth0", **where),
        counter("node_network_transmit_errs_total", 0, device="eth0", **where),
        counter("node_network_receive_drop_total", 0.01, device="eth0", **where),
        counter("node_network_transmit_drop_total", 0, device="eth0", **where),
        *(
            gauge("node_filesystem_size_bytes", size * gibibyte, 0.0, mountpoint=at, fstype="ext4", **where)
            for at, size, _ in disks
        ),
        *(
            gauge("node_filesystem_avail_bytes", left * gibibyte, 0.0, mountpoint=at, fstype="ext4", **where)
            for at, _, left in disks
        ),
        *(
            gauge(name, size * 65_536 * share, 0.0, mountpoint=at, fstype="ext4", **where)
            for at, size, _ in disks
            for name, share in (("node_filesystem_files", 1), ("node_filesystem_files_free", 0.9))
        ),
    ]


def _apex() -> list[Series]:
    return [
        gauge("up", 1, job="apex-api"),
        *requests("apex-api", 40, 0.08),
        *requests("apex-api", 2, 1.1, "/signage/common/cabinets/derive"),
        gauge("apex_pg_pool_used", 11, 0.3, job="apex-api"),
        counter("search_requests_total", 6, job="apex-api"),
        counter("search_fallback_total", 0.05, job="apex-api"),
    ]


def _eyewear() -> list[Series]:
    return [
        gauge("up", 1, job="eyewear-api"),
        *requests("eyewear-api", 60, 0.05),
        *machine("node-1:9100"),
        *machine("node-2:9100"),
        counter("try_on_total", 3, status="success"),
        counter("try_on_total", 0.06, status="failed"),
        counter("user_registrations_total", 0.01),
        *histogram("face_analysis_duration_seconds", 2, 0.6),
        counter("transactions_total", 0.5, status="success"),
        counter("transactions_total", 0.002, status="failed"),
    ]


def _stario() -> list[Series]:
    return [
        gauge("up", 1, job="api-gateway"),
        *requests("api-gateway", 80, 0.09),
        *histogram("video_generation_duration_seconds", 0.2, 14),
        *histogram("poster_generation_duration_seconds", 0.5, 1.8),
        *histogram("face_similarity_duration_seconds", 5, 0.06),
        counter("payments_total", 0.8, status="paid"),
        counter("payments_total", 0.01, status="failed"),
        gauge("ephemeral_uploads_stale", 0),
        *machine("gpu-1:9100"),
        *(gauge("DCGM_FI_DEV_FB_USED", 30_000, 0.1, gpu=gpu) for gpu in "01"),
        *(gauge("DCGM_FI_DEV_FB_FREE", 18_000, 0.1, gpu=gpu) for gpu in "01"),
        *(gauge("DCGM_FI_DEV_GPU_UTIL", 55, 0.3, gpu=gpu) for gpu in "01"),
    ]


def _stylesync() -> list[Series]:
    phases = {"segmentation": 0.24, "extraction": 0.08, "harmony": 0.05}
    return [
        gauge("up", 1, job="stylesync-api", instance="stylesync-api-1"),
        gauge("up", 1, job="stylesync-api", instance="stylesync-api-2"),
        counter("stylesync_requests_total", 30, status="200"),
        counter("stylesync_requests_total", 0.2, status="400"),
        counter("stylesync_requests_total", 0.02, status="503"),
        *histogram("stylesync_request_duration_seconds", 30, 0.35),
        *(one for phase, typical in phases.items() for one in histogram(_PHASE, 30, typical, phase=phase)),
        gauge("stylesync_cache_hit_ratio", 0.78, 0.05, layer="l1"),
        gauge("stylesync_cache_hit_ratio", 0.64, 0.05, layer="l2"),
    ]


_PHASE = "stylesync_phase_duration_seconds"


def _synesthesia() -> list[Series]:
    return [
        gauge("up", 1, job="synesthesia-api"),
        *requests("synesthesia-api", 25, 0.11),
        *machine("swarm-1:9100"),
        counter("story_packs_generated_total", 0.3, status="success"),
        counter("story_packs_generated_total", 0.004, status="failed"),
        *histogram("story_pack_generation_seconds", 0.3, 18),
        gauge("user_satisfaction_score", 4.7),
        counter("failed_authentication_total", 0.004),
        counter("rate_limit_violations_total", 0.03),
    ]


_PLATFORMS = {
    "apex": _apex,
    "eyewear": _eyewear,
    "stario": _stario,
    "stylesync": _stylesync,
    "synesthesia": _synesthesia,
}


def healthy(platform: str) -> list[Series]:
    """Return a platform's series; one that the lab does not know has a service and a machine."""
    make = _PLATFORMS.get(platform)
    return make() if make else [gauge("up", 1, job=platform), *requests(platform, 10, 0.1), *machine("node-1:9100")]


def laid_over(series: list[Series], others: list[Series]) -> list[Series]:
    """Return the series with others over them: one of the same labels takes the place of the one below."""
    return list({frozenset(one.labels.items()): one for one in (*series, *others)}.values())


def history(series: Iterable[Series], now: float) -> Iterator[str]:
    """Yield four weeks of samples as JSON lines for `/api/v1/import`.

    By the hour; by five minutes for the last day; by the minute for the last two hours and for the same time yesterday
    and a week ago.
    """
    end = int(now)
    times = {*range(end - _HISTORY_DAYS * DAY, end, 3600), *range(end - 25 * 3600, end, 300)}
    times |= {*range(end - DAY - 1200, end - DAY + 1200, 60), *range(end - 7200, end + 1, 60)}
    times |= {*range(end - 7 * DAY - 1200, end - 7 * DAY + 1200, 60)}
    return _lines(series, sorted(times))


def recent(series: Iterable[Series], now: float) -> Iterator[str]:
    """Yield the last forty minutes only."""
    return _lines(series, list(range(int(now) - _SPAN, int(now) + 1, 15)))


def latest(series: Iterable[Series], now: float) -> Iterator[str]:
    """Yield one sample each, to the millisecond: of two that are pushed in a second, the newer one holds."""
    return _lines(series, [now])


def _lines(series: Iterable[Series], times: Sequence[float]) -> Iterator[str]:
    stamps = [int(moment * 1000) for moment in times]
    for one in series:
        yield json.dumps({"metric": one.labels, "values": [one.at(moment) for moment in times], "timestamps": stamps})


def push(address: str, lines: Iterable[str]) -> None:
    """Import samples into a VictoriaMetrics; queries see them within two seconds.

    Raises:
        OSError: It does not answer.
    """
    _post(f"{address}/api/v1/import", "\n".join(lines).encode())


def flush(address: str) -> None:
    """Make what was imported visible to queries at once.

    The server remembers for ten seconds which series a filter found, and forgets it when one is deleted: one is.
    """
    mark = {"lab": "mark"}
    push(address, latest([gauge("lab_mark", 1, 0.0, **mark)], time.time()))
    _post(f"{address}/internal/force_flush", b"")
    forget(address, mark)


def forget(address: str, labels: Labels) -> None:
    """Delete every series with these labels."""
    selector = "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
    _post(f"{address}/api/v1/admin/tsdb/delete_series?{urlencode({'match[]': selector})}", b"")


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - our own loopback address
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
