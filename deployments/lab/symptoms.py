"""What the platforms' services tell Prometheus on a bad day: for each symptom, the series that are added or replaced.

A series with the symptom's own label is added to the healthy ones; one with a healthy series' very labels takes its
place for as long as the symptom lasts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from deployments.lab.metrics import FAULT, Labels, Series, counter, gauge, healthy, machine

Make = Callable[[str], list[Series]]
_MANY = 20.0
_BUCKET = "_bucket"
FULL_DISK, FULL_GPU, OUTDATED = {"lab": "full-disk"}, {"lab": "full-gpu"}, {"lab": "outdated"}


def _errors(platform: str) -> list[Series]:
    """As many failed requests as there were good ones."""
    return [_added(series, status="500") for series in healthy(platform) if series.labels.get("status") == "200"]


def _latency(platform: str) -> list[Series]:
    """For each request twenty more that take some seven times as long: all fall between the last two bounds."""
    series = healthy(platform)
    bounds: dict[str, float] = {}
    for one in series:
        name, bound = one.labels["__name__"], one.labels.get("le", "+Inf")
        if name.endswith(_BUCKET) and bound != "+Inf":
            bounds[_family(one)] = max(bounds.get(_family(one), 0.0), float(bound))
    slow = []
    for one in series:
        name, last = one.labels["__name__"], bounds.get(_family(one))
        if last is None:
            continue
        grows = not name.endswith(_BUCKET) or float(one.labels["le"]) >= last
        slow.append(_added(one, factor=_MANY * 7 if name.endswith("_sum") else _MANY if grows else 0.0))
    return slow


def _family(series: Series) -> str:
    """Name the histogram that a series belongs to."""
    stem = series.labels["__name__"].removesuffix(_BUCKET).removesuffix("_sum").removesuffix("_count")
    others = sorted((key, value) for key, value in series.labels.items() if key not in ("__name__", "le"))
    return f"{stem}{others}"


def _added(series: Series, *, factor: float = 1.0, **labels: str) -> Series:
    return Series({**series.labels, **labels, **FAULT}, lambda moment: factor * series.at(moment))


def _down(platform: str) -> list[Series]:
    """No target of the service answers a scrape, and one more has not done so for 40 minutes."""
    up = [one for one in healthy(platform) if one.labels["__name__"] == "up" and one.labels.get("job") != "node"]
    lasting = [gauge("up", 0, **_but_name(up[0]) | {"instance": "gone:8000"} | FAULT)]
    return [*(gauge("up", 0, **_but_name(one)) for one in up), *lasting]


def _but_name(series: Series) -> dict[str, str]:
    return {key: value for key, value in series.labels.items() if key != "__name__"}


def _busy(platform: str) -> list[Series]:
    """One more machine, which has no CPU, no memory and no disk left; only where the platform has machines."""
    if not any(series.labels["__name__"] == "node_cpu_seconds_total" for series in healthy(platform)):
        return []
    where = {"instance": "node-9:9100", "job": "node", **FAULT}
    left = {"node_cpu_seconds_total": 0.02, "node_memory_MemAvailable_bytes": 0.4 * 2.0**30}
    worse = []
    for one in machine("node-9:9100"):
        name, mode = one.labels["__name__"], one.labels.get("mode")
        if name == "node_cpu_seconds_total":
            share = left[name] if mode == "idle" else 1 - left[name]
            worse.append(counter(name, share, mode=str(mode), cpu="0", **where))
        elif name == "node_memory_MemAvailable_bytes":
            worse.append(gauge(name, left[name], **where))
        elif name == "node_filesystem_avail_bytes":
            worse.append(_added(one, factor=0.05))
        else:
            worse.append(_added(one))
    return worse


def _business(platform: str) -> list[Series]:
    """What the platform is there for goes wrong."""
    make = _BUSINESS.get(platform)
    return make() if make else []


def _traffic(platform: str) -> list[Series]:
    """The machines' network takes sixteen times as much as yesterday, on a second device."""
    name = "node_network_receive_bytes_total"
    return [
        _added(series, factor=15, device="eth1") for series in healthy(platform) if series.labels["__name__"] == name
    ]


def _attack(platform: str) -> list[Series]:
    """Logins fail and limits are run into, far more often than they may."""
    names = ("failed_authentication_total", "rate_limit_violations_total")
    known = [series for series in healthy(platform) if series.labels["__name__"] in names]
    return [_added(series, factor=40) for series in known]


_BUSINESS: dict[str, Callable[[], list[Series]]] = {
    "apex": lambda: [
        gauge("apex_pg_pool_used", 29, job="apex-api", **FAULT),
        counter("search_fallback_total", 3, job="apex-api", **FAULT),
    ],
    "eyewear": lambda: [
        counter("try_on_total", 1, status="failed", **FAULT),
        counter("transactions_total", 0.1, status="failed", **FAULT),
    ],
    "stario": lambda: [
        counter("payments_total", 0.2, status="failed", **FAULT),
        gauge("DCGM_FI_DEV_FB_USED", 47_500, gpu="2", **FAULT),
        gauge("DCGM_FI_DEV_FB_FREE", 500, gpu="2", **FAULT),
    ],
    "stylesync": lambda: [gauge("stylesync_cache_hit_ratio", 0.1, layer="l1", **FAULT)],
    "synesthesia": lambda: [
        counter("story_packs_generated_total", 0.1, status="failed", **FAULT),
        gauge("user_satisfaction_score", 2.5, **FAULT),
    ],
}


def _full_disk(platform: str) -> list[Series]:
    """The file system at `/` of every machine has next to nothing left."""
    sizes = [one for one in healthy(platform) if one.labels["__name__"] == "node_filesystem_size_bytes"]
    return [
        gauge(name, one.at(0) * share, **_but_name(one) | FULL_DISK)
        for one in sizes
        if one.labels["mountpoint"] == "/"
        for name, share in (("node_filesystem_size_bytes", 1.0), ("node_filesystem_avail_bytes", 0.02))
    ]


def _full_gpu(platform: str) -> list[Series]:
    """The memory of every graphics processor is taken."""
    used = [one for one in healthy(platform) if one.labels["__name__"] == "DCGM_FI_DEV_FB_USED"]
    return [
        gauge(name, value, **_but_name(one) | FULL_GPU)
        for one in used
        for name, value in (("DCGM_FI_DEV_FB_USED", 47_900), ("DCGM_FI_DEV_FB_FREE", 100))
    ]


def _updates(platform: str) -> list[Series]:
    """Every machine has security updates that wait."""
    known = [one for one in healthy(platform) if one.labels["__name__"] == "apt_upgrades_pending"]
    return [gauge("apt_upgrades_pending", 7, **_but_name(one) | OUTDATED) for one in known]


class Symptom(NamedTuple):
    """What is worse on a bad day.

    Attributes:
        kind: The kind of system that it is a fault of.
        help: What it does, in a line.
        make: Makes the series for a platform.
        labels: What the series that it adds have, and no others.
    """

    kind: str
    help: str
    make: Make
    labels: Labels = FAULT


SYMPTOMS: dict[str, Symptom] = {
    "errors": Symptom("prometheus", "Half of all requests fail, for 40 minutes already.", _errors),
    "latency": Symptom(
        "prometheus", "Most requests and jobs take seven times as long, for 40 minutes already.", _latency
    ),
    "down": Symptom("prometheus", "No target of the service answers a scrape.", _down),
    "busy": Symptom("prometheus", "A machine has no CPU, memory and disk left, for 40 minutes already.", _busy),
    "traffic": Symptom(
        "prometheus", "The network takes sixteen times as much as yesterday, for 40 minutes already.", _traffic
    ),
    "business": Symptom(
        "prometheus", "What the platform is there for goes wrong: payments, packs, try-ons, the cache.", _business
    ),
    "attack": Symptom(
        "prometheus", "Logins fail and rate limits are run into all the time, for 40 minutes already.", _attack
    ),
    "disk-full": Symptom("host", "The file system at / of every machine is full.", _full_disk, FULL_DISK),
    "updates": Symptom("host", "Seven security updates wait on every machine.", _updates, OUTDATED),
    "gpu-memory": Symptom("host", "The memory of every graphics processor is taken.", _full_gpu, FULL_GPU),
}
"""Each symptom by name."""


def of(name: str, platform: str) -> list[Series]:
    """Return the series of a symptom on a platform; none where the platform does not measure such a thing."""
    return SYMPTOMS[name].make(platform)
