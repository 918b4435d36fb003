"""Measures the services of a Compose project. Needs GET on the engine's containers; see `tasks/clients/docker.py`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from tasks.clients.docker import SERVICE, Engine, Object, engine
from tasks.core.errors import NotOffered, Unreachable, WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.core.units import format_duration
from tasks.systems.compose.spec import CATALOG, Spec

_MARGIN = 0.9  # of the system's time: what is slow must be told before the whole check is cut off
_AT_ONCE = 8
_RECENT = timedelta(hours=1)
_LONGEST_OUTPUT = 150
_NAMED = 5
_USED = ("cpu", "memory_used")


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield the state of every service of the project. Source: the Docker Engine API."""
    address = access.resolver.resolve(spec.engine)
    async with engine(address, spec.timeout.total_seconds() * _MARGIN, access.ca_bundle) as docker:
        _, seconds = await docker.version()
        yield CATALOG.read("latency", seconds, at=access.now())
        services: dict[str, list[Object]] = {name: [] for name in spec.services}
        known = await docker.containers(spec.project)
        for container in await _of_each(known, docker.inspect):
            services.setdefault(container["Config"]["Labels"][SERVICE], []).append(container)
        for name, containers in sorted(services.items()):
            for reading in _service(spec, name, containers, access.now()):
                yield reading
        if any(name in spec.limits for name in _USED):
            for reading in await _usage(docker, services, access.now()):
                yield reading


async def _of_each(containers: Sequence[Object], ask: Callable[[str], Awaitable[Object]]) -> list[Object]:
    """Ask for each container, some at a time; one that has gone in between is none any more."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(container: Object) -> Object | None:
        async with slots:
            try:
                return await ask(container["Id"])
            except NotOffered:
                return None

    return [found for found in await asyncio.gather(*map(one, containers)) if found is not None]


def _service(spec: Spec, name: str, containers: list[Object], now: datetime) -> list[Reading]:
    """Measure one service; what the engine leaves out of its answer concerns it alone."""
    try:
        return _measured(spec, name, containers, now)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"the answer lacks what the API promises: {type(error).__name__}: {error}"
        return [Gap(outcome=Outcome.ERRORED, name="running", subject=name, reason=reason)]


def _measured(spec: Spec, name: str, containers: list[Object], now: datetime) -> list[Reading]:
    up = [one for one in containers if _is_up(one)]
    down = [one for one in containers if not _is_up(one)]
    found: list[Reading] = []
    if (expected := spec.services.get(name)) is not None:
        share = len(up) / expected.replicas if expected.replicas else 1.0
        trouble = _told([_why(one, now) for one in down]) if containers else "there is no container"
        note = trouble or f"{len(up)} of {expected.replicas}"
        found.append(CATALOG.read("running", share, at=now, subject=name, note=note if share < 1 else ""))
    elif ended := [one for one in down if one["State"].get("ExitCode")]:
        note = _told([_why(one, now) for one in ended])
        found.append(CATALOG.read("ended_badly", len(ended), at=now, subject=name, note=note))
    if checked := [one for one in up if _health(one) in ("healthy", "unhealthy")]:
        sick = [one for one in checked if _health(one) == "unhealthy"]
        note = _told([_last_output(one) for one in sick])
        found.append(CATALOG.read("healthy", not sick, at=now, subject=name, note=note))
    if containers:
        again = [one for one in containers if one.get("RestartCount") and now - _began(one) < _RECENT]
        counts = [int(one.get("RestartCount") or 0) for one in containers]
        found.append(CATALOG.read("restarts", max(counts), at=now, subject=name))
        note = _told([_why(one, now) for one in again])
        found.append(CATALOG.read("recent_restarts", len(again), at=now, subject=name, note=note))
    return found


def _is_up(container: Object) -> bool:
    """Tell whether it runs; one that the engine starts again and again is `Running` too by the engine's own words."""
    state = container["State"]
    return bool(state["Running"]) and not state.get("Restarting") and not state.get("Paused")


def _health(container: Object) -> str:
    return str((container["State"].get("Health") or {}).get("Status") or "none")


def _last_output(container: Object) -> str:
    checks = container["State"]["Health"].get("Log") or [{}]
    said = " ".join(str(checks[-1].get("Output") or "").split())[:_LONGEST_OUTPUT]
    return said or "its check fails and says nothing"


def _why(container: Object, now: datetime) -> str:
    """Say in what state a container is, and how it ended."""
    state = container["State"]
    status = str(state.get("Status") or "not running")
    if status in ("created", "paused"):
        return status
    code = state.get("ExitCode")
    how = "out of memory" if state.get("OOMKilled") else f"exit code {code}"
    ended = _time(state.get("FinishedAt"))
    ago = f" {format_duration(max((now - ended).total_seconds(), 0) // 1)} ago" if ended is not None else ""
    return f"{status}, {how}{ago}" + (f": {state['Error']}"[:_LONGEST_OUTPUT] if state.get("Error") else "")


def _began(container: Object) -> datetime:
    began = _time(container["State"].get("StartedAt"))
    if began is None:
        raise ValueError("a container that was started again has no StartedAt")
    return began


def _time(text: str | None) -> datetime | None:
    """Read a time of the API, whose zero is the year 1."""
    if not text or text.startswith("0001-"):
        return None
    seconds, _, _ = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds[:19]}+00:00")


def _told(parts: Sequence[str]) -> str:
    more = len(parts) - _NAMED
    return "; ".join(parts[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


async def _usage(docker: Engine, services: dict[str, list[Object]], now: datetime) -> list[Reading]:
    """Measure what the running containers use, by service the one that uses most."""
    running = {one["Id"]: name for name, containers in services.items() for one in containers if _is_up(one)}
    used: dict[tuple[str, str], float] = defaultdict(float)
    try:
        for stats in await _of_each([{"Id": identity} for identity in running], docker.stats):
            name = running[stats["id"]]
            for measure, share in (("cpu", _cpu(stats)), ("memory_used", _memory(stats))):
                if share is not None:
                    used[measure, name] = max(used[measure, name], share)
    except Unreachable as error:
        return [Gap(outcome=Outcome.ERRORED, name=name, reason=error.message) for name in _USED]
    except WatchkeeperError as error:
        return [Gap.of(error, name) for name in _USED]
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"the answer lacks what the API promises: {type(error).__name__}: {error}"
        return [Gap(outcome=Outcome.ERRORED, name=name, reason=reason) for name in _USED]
    return [CATALOG.read(measure, share, at=now, subject=name) for (measure, name), share in sorted(used.items())]


def _cpu(stats: Object) -> float | None:
    """Return the processor time against all processors of the host, between the engine's two looks."""
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    whole = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    own = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    return float(own / whole) if whole > 0 else None


def _memory(stats: Object) -> float | None:
    """Return the memory without what is only cached, as `docker stats` does; the limit is the host's where none is."""
    memory = stats["memory_stats"]
    cached = memory.get("stats") or {}
    usage = memory.get("usage", 0) - cached.get("inactive_file", cached.get("total_inactive_file", 0))
    return float(usage / memory["limit"]) if memory.get("limit") else None
