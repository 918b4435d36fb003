"""`watchkeeper check`: the same probes, judge and report as the flow, without Prefect or any server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tasks.core.report import HEALTH_CHECK, Report, SystemReport
from tasks.core.settings import Settings
from tasks.inspections import Inspection
from tasks.systems.checking import check_system, load_drivers

FLOW = HEALTH_CHECK
_HEAVY = (frozenset({"mongodb", "postgres", "s3"}), frozenset({"kubernetes"}))
_HEAD_START = 1.0


def check_now(
    name: str,
    systems: Sequence[str],
    settings: Settings,
    *,
    began: Callable[[Inspection], None],
    told: Callable[[SystemReport], None],
) -> Report:
    """Check a platform and compare with the last report that the flow kept. Nothing is stored or sent.

    Args:
        name: A platform's name, or the path of a spec.
        systems: Only these; all where there are none.
        settings: Where Watchkeeper is.
        began: Called once the spec is read.
        told: Called with each system's report as it is made.

    Raises:
        ConfigError: The spec is broken, there is no such platform or system, or the lab is meant and not up.
    """
    inspection = Inspection.open(FLOW, name, systems, settings)
    began(inspection)
    return inspection.report(asyncio.run(sweep(inspection, told)))


async def sweep(inspection: Inspection, told: Callable[[SystemReport], None]) -> list[SystemReport]:
    """Check systems side by side and return their reports in the spec's order.

    The kinds whose drivers load at once go first, so that a person sees a result within a second; heavier ones follow
    when those are done, or after a second. Importing a driver stops the loop, and would else be measured as latency.
    """
    gate = asyncio.Semaphore(inspection.settings.concurrency)

    async def one(name: str) -> SystemReport:
        async with gate:
            report = await check_system(inspection.platform, name, inspection.access, inspection.earlier.report)
        told(report)
        return report

    async def all_of_them() -> list[SystemReport]:
        running: dict[str, asyncio.Task[SystemReport]] = {}
        for wave in _waves(inspection):
            load_drivers(inspection.platform, wave)
            started = {name: asyncio.create_task(one(name)) for name in wave}
            running |= started
            await asyncio.wait(started.values(), timeout=_HEAD_START)
        return [await running[name] for name in inspection.systems]

    found = await inspection.with_backups(all_of_them())
    await inspection.look_around(found)
    return found


def _waves(inspection: Inspection) -> list[list[str]]:
    """Sort the systems by how long their drivers take to load, quickest first; empty waves are left out."""
    waves: list[list[str]] = [[] for _ in range(len(_HEAVY) + 1)]
    for name in inspection.systems:
        kind = inspection.platform.systems[name].kind
        waves[next((at for at, kinds in enumerate(_HEAVY, start=1) if kind in kinds), 0)].append(name)
    return [wave for wave in waves if wave]
