"""`python -m tests.bench.sweeping WHAT`: take one figure of a sweep; what is swept comes as JSON on standard input."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from deployments import check, database
from tasks import platforms
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.core.yaml_text import read_yaml
from tasks.inspections import Inspection, report_store
from tasks.reports import html, markdown, slack
from tasks.systems import platform_model
from tasks.systems.checking import check_system, load_drivers
from tests.bench.figures import ratio

_AT_ONCE = Settings().concurrency
_SEVERITIES = {
    "severities": {
        "P0": {"means": "down", "respond": "15m"},
        "P1": {"means": "odd", "respond": "1h", "outcome": "warned"},
    },
    "default_severity": {"warn": "P1", "critical": "P0"},
    "confirm": {"looks": 1},
}


def main(what: str) -> None:
    """Take the figure and print it as JSON."""
    print(json.dumps(_FIGURES[what](json.load(sys.stdin))))


def _pairs(ports: list[int]) -> dict[str, float]:
    inspected = _spec(ports)
    return {"ratio": ratio(lambda: _swept(inspected), lambda: asyncio.run(_bare(ports)), rounds=7)}


def _alone(ports: list[int]) -> dict[str, float]:
    _swept(_spec(ports))
    return {"megabytes": _megabytes()}


async def _bare(ports: list[int]) -> None:
    """Ask every target once, as many at a time as we do."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(client: httpx.AsyncClient, port: int) -> None:
        async with gate:
            (await client.get(f"http://127.0.0.1:{port}/health")).raise_for_status()

    async with httpx.AsyncClient(trust_env=False) as client:
        await asyncio.gather(*(one(client, port) for port in ports))


def _spec(ports: list[int]) -> PlatformSpec:
    return platform_model().model_validate(_written(ports))


def _written(ports: list[int]) -> dict[str, Any]:
    """Name every target as a system of its own, asked once, as the rival does."""
    expect = {"/health": {"requests": 1, "json": {"status": "ok"}, "latency": {"critical": "60s"}}}
    systems = {
        f"api-{number:04}": {"kind": "http", "url": f"http://127.0.0.1:{port}", "timeout": "60s", "expect": expect}
        for number, port in enumerate(ports)
    }
    return {"platform": "bench", "title": "Bench", "slack": {"channel": "#bench"}, "systems": systems} | _SEVERITIES


def _swept(platform: PlatformSpec, settings: Settings | None = None, systems: Sequence[str] = ()) -> Report:
    """Sweep, judge and report, in every form."""
    settings = settings or Settings()
    inspection = Inspection(check.FLOW, platform, platforms.access(settings), settings)
    inspection.systems = systems or list(platform.systems)
    report = inspection.report(asyncio.run(check.sweep(inspection, lambda _: None)))
    _rendered(report, platform)
    return report


def _rendered(report: Report, platform: PlatformSpec) -> str:
    markdown.render(report, platform)
    markdown.table(report, platform)
    slack.summary(report, platform)
    slack.details(report, platform)
    report.model_dump_json(indent=2)
    return html.render(report, platform)


def _mixed(given: dict[str, Any]) -> dict[str, float]:
    """Check copies of the lab's systems as one platform, and tell how long the slowest takes by itself."""
    settings = Settings(lab=Path(given["lab"]))
    single = _of_the_lab(1)
    access = platforms.access(settings)
    load_drivers(single, single.systems)
    slowest = max(_seconds(single, name, access) for _ in range(2) for name in single.systems)
    several = _of_the_lab(-(-given["count"] // len(single.systems)))
    names = list(several.systems)[: given["count"]]
    began = perf_counter()
    report = _swept(several, settings, names)
    took = perf_counter() - began
    assert len(report.systems) == given["count"]
    return {"took": took, "slowest": slowest, "megabytes": _megabytes()}


def _seconds(platform: PlatformSpec, name: str, access: Access) -> float:
    began = perf_counter()
    asyncio.run(check_system(platform, name, access))
    return perf_counter() - began


def _of_the_lab(copies: int) -> PlatformSpec:
    """Make one platform of all five, each of its systems so many times, under names that tell them apart."""
    severities: dict[str, Any] = {}
    systems: dict[str, Any] = {}
    vaults: dict[str, Any] = {}
    written = [_raw(name) for name in platforms.platform_names()]
    for copy, (platform, raw) in itertools.product(range(copies), written):
        severities |= raw["severities"]
        vaults |= {f"{platform.platform}-{name}": vault for name, vault in raw["vaults"].items()}
        for name, system in raw["systems"].items():
            systems[f"{platform.platform}-{name}-{copy}"] = _renamed(platform, name, system, str(copy))
    whole = {"platform": "bench", "title": "Bench", "slack": {"channel": "#bench"}, "confirm": {"looks": 1}}
    default = {"warn": next(iter(severities)), "critical": next(iter(severities))}
    return platform_model().model_validate(
        whole
        | {"severities": severities, "default_severity": default, "systems": systems}
        | {"vaults": vaults, "encryption": written[0][1]["encryption"]}
    )


def _raw(name: str) -> tuple[PlatformSpec, dict[str, Any]]:
    path = Settings().platforms / f"{name}.yaml"
    return platforms.load(name), read_yaml(path.read_text(encoding="utf-8"), str(path)).data


def _renamed(platform: PlatformSpec, name: str, system: dict[str, Any], copy: str) -> dict[str, Any]:
    """Point what a system needs at the copies of the same number, and its backups at its platform's vaults."""
    system = json.loads(json.dumps(system))
    if backup := system.get("backup"):
        backup["to"] = [f"{platform.platform}-{vault}" for vault in backup["to"]]
    for use in platform.systems[name].uses():
        *above, last = use.path
        place: Any = system
        for step in above:
            place = place[int(step) if isinstance(place, list) else step]
        place[int(last) if isinstance(place, list) else last] = f"{platform.platform}-{use.name}-{copy}"
    return system


def _flow(ports: list[int]) -> dict[str, float]:
    """Run the same check by the command's way and as a flow with a Prefect server of its own."""
    with tempfile.TemporaryDirectory() as folder, _prefect_server(Path(folder)):
        (Path(folder) / "bench.yaml").write_text(json.dumps(_written(ports)), encoding="utf-8")
        os.environ |= {"WATCHKEEPER_PLATFORMS": folder, "WATCHKEEPER_STATE": f"{folder}/state"}
        return {"bare": _timed(_without_prefect), "flow": _timed(_with_prefect)}


def _timed(call: Callable[[], object]) -> float:
    """Return how long the second call takes; the first loads what it needs."""
    call()
    began = perf_counter()
    call()
    return perf_counter() - began


def _without_prefect() -> None:
    settings = Settings()
    inspection = Inspection.open(check.FLOW, "bench", [], settings)
    report = inspection.report(asyncio.run(check.sweep(inspection, lambda _: None)))
    report_store(settings).save(report, _rendered(report, inspection.platform))


def _with_prefect() -> None:
    from flows.health_check import health_check  # noqa: PLC0415 - the others are measured without Prefect in memory

    state = asyncio.run(health_check("bench", return_state=True, tell=False))  # type: ignore[arg-type, call-overload]
    if not state.is_completed():
        raise RuntimeError(f"the flow did not complete: {state}")


@contextmanager
def _prefect_server(folder: Path) -> Iterator[None]:
    """Run a Prefect server on an empty database, and have all that follows use it."""
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    database.provide(folder / "prefect.db")
    os.environ |= {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.address(folder / "prefect.db"),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
    }
    server = SubprocessASGIServer()
    server.start(timeout=240)
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        server.stop()


def _megabytes() -> float:
    """Return the most that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_FIGURES: dict[str, Callable[[Any], dict[str, float]]] = {
    "pairs": _pairs,
    "alone": _alone,
    "mixed": _mixed,
    "flow": _flow,
}


if __name__ == "__main__":
    main(sys.argv[1])
