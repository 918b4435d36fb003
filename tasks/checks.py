"""Checking a platform's systems: one Prefect task each, or each batch where there are many; so many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from tasks import platforms
from tasks.core.errors import WatchkeeperError
from tasks.core.loading import SpecError
from tasks.core.report import SystemReport
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.inspections import Inspection
from tasks.reports import wording
from tasks.systems.checking import check_system, load_drivers

Progress = Callable[[int, int], Awaitable[None]]
_ONE_TASK_EACH = 50
"""Up to so many systems have a task each; beyond, a task would cost more than its check, and nobody reads the graph."""
_BATCH = 25


@task(name="open-inspection", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_inspection(flow: str, platform: str, systems: Sequence[str]) -> Inspection:
    """Load a platform, what its checks may use, and the report before.

    A broken spec is no error here: it becomes the inspection's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform or system, or the lab is meant and is not up.
    """
    settings = Settings()
    try:
        inspection = Inspection.open(flow, platform, systems, settings)
    except SpecError as error:
        get_run_logger().error("%s", error)
        inspection = Inspection(flow, platforms.salvage(platform, settings), platforms.access(settings), settings)
        inspection.trouble("spec", error, Outcome.ERRORED)
    return inspection


@task(name="check-system", task_run_name="check {system}", cache_policy=NO_CACHE)
async def check_system_task(inspection: Inspection, system: str) -> State[Any]:
    """Measure and judge one system. The task fails where the system does, so that the run's graph shows it."""
    report = await check_system(inspection.platform, system, inspection.access, inspection.earlier.report)
    checked = Checked(report)
    message = _in_a_line(report)
    if report.outcome in (Outcome.FAILED, Outcome.ERRORED):
        return Failed(message=message, data=checked)
    if report.outcome is Outcome.PASSED:
        return Completed(message=message, data=checked)
    return Completed(name=report.outcome.value.capitalize(), message=message, data=checked)


@task(name="check-systems", task_run_name="check {batch}", cache_policy=NO_CACHE)
async def check_batch_task(inspection: Inspection, batch: Batch) -> State[Any]:
    """Measure and judge the systems of a batch. The task fails where one of them does, and names those that do."""
    reports = await batch.check(inspection)
    bad = [report for report in reports if report.outcome in (Outcome.FAILED, Outcome.ERRORED)]
    if bad:
        named = ", ".join(report.name for report in bad[:3]) + ("..." if bad[3:] else "")
        message = f"{len(bad)} of {wording.plural(len(reports), 'system')} failed: {named}"
        return Failed(message=message, data=Checked(*reports))
    return Completed(message=f"no failure on {wording.plural(len(reports), 'system')}", data=Checked(*reports))


class Checked:
    """Carries the reports of systems out of a task; Prefect's log shows only their names."""

    def __init__(self, *reports: SystemReport) -> None:
        self.reports = reports

    def __repr__(self) -> str:
        return ", ".join(report.name for report in self.reports)


class Batch:
    """Some systems that share a task. A plain class, so that Prefect hands it over as it is.

    Args:
        names: The systems, at least one.
        gate: Bounds how many systems are looked at, over all batches of a run.
        done: Awaited after each system.
    """

    def __init__(self, names: Sequence[str], gate: asyncio.Semaphore, done: Callable[[], Awaitable[None]]) -> None:
        self.names, self._gate, self._done = names, gate, done

    def __str__(self) -> str:
        return f"{self.names[0]} to {self.names[-1]}"

    async def check(self, inspection: Inspection) -> list[SystemReport]:
        """Check the systems side by side."""
        return list(await asyncio.gather(*(self._one(inspection, name) for name in self.names)))

    async def _one(self, inspection: Inspection, name: str) -> SystemReport:
        async with self._gate:
            report = await check_system(inspection.platform, name, inspection.access, inspection.earlier.report)
        await self._done()
        return report


async def check_systems(inspection: Inspection, progress: Progress | None = None) -> list[SystemReport]:
    """Check all systems of an inspection side by side, as many at a time as the settings allow.

    Args:
        inspection: What to check.
        progress: Awaited after each system with how many are done, and of how many.
    """
    load_drivers(inspection.platform, inspection.systems)
    names = inspection.systems
    gate = asyncio.Semaphore(inspection.settings.concurrency)
    done = 0

    async def move() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            await progress(done, len(names))

    async def alone(name: str) -> list[SystemReport]:
        async with gate:
            state: State[Any] = await check_system_task(inspection, name, return_state=True)  # type: ignore[misc]
        await move()
        return await _results(inspection, [name], state)

    async def together(batch: Batch) -> list[SystemReport]:
        state: State[Any] = await check_batch_task(inspection, batch, return_state=True)  # type: ignore[misc]
        return await _results(inspection, batch.names, state)

    if len(names) <= _ONE_TASK_EACH:
        running = [alone(name) for name in names]
    else:
        running = [together(Batch(names[at : at + _BATCH], gate, move)) for at in range(0, len(names), _BATCH)]

    async def all_of_them() -> list[SystemReport]:
        return [report for reports in await asyncio.gather(*running) for report in reports]

    found = await inspection.with_backups(all_of_them())
    await inspection.look_around(found)
    return found


async def _results(inspection: Inspection, names: Sequence[str], state: State[Any]) -> list[SystemReport]:
    """Return what a task found; a task that broke for Prefect's own reasons is told as "could not tell"."""
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, Checked):
        return list(outcome.reports)
    return [_untold(inspection, name, state) for name in names]


def _untold(inspection: Inspection, name: str, state: State[Any]) -> SystemReport:
    reason = WatchkeeperError(f"the check of {name} did not run: {state.message or state.name}")
    broken = platforms.own_trouble(inspection.platform, "check", reason, inspection.access.now(), Outcome.ERRORED)
    findings = tuple(finding.model_copy(update={"system": name}) for finding in broken.findings)
    spec = inspection.platform.systems[name]
    return broken.model_copy(
        update={"name": name, "kind": spec.kind, "title": spec.title or name, "findings": findings}
    )


def slot() -> datetime | None:
    """Return when the schedule wanted this run to begin; None for a run that a person started."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    return run.expected_start_time if run is not None and run.auto_scheduled else None


def _in_a_line(report: SystemReport) -> str:
    problems = [finding for finding in report.findings if finding.outcome.is_problem]
    if problems:
        return "; ".join(wording.in_short(finding, note=120) for finding in problems[:3])
    passed = sum(finding.outcome is Outcome.PASSED for finding in report.findings)
    return (
        f"{report.name}: {wording.plural(passed, 'check')} passed" if passed else f"{report.name}: nothing was checked"
    )
