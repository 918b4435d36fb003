"""Checking a platform's systems: one Prefect task each, a bounded number at a time."""

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


class Checked:
    """Carries a system's report out of its task; Prefect's log shows only its name."""

    def __init__(self, report: SystemReport) -> None:
        self.report = report

    def __repr__(self) -> str:
        return self.report.name


async def check_systems(inspection: Inspection, progress: Progress | None = None) -> list[SystemReport]:
    """Check all systems of an inspection side by side, as many at a time as the settings allow.

    Args:
        inspection: What to check.
        progress: Awaited after each system with how many are done, and of how many.
    """
    load_drivers(inspection.platform, inspection.systems)
    gate = asyncio.Semaphore(inspection.settings.concurrency)
    done = 0

    async def one(name: str) -> SystemReport:
        nonlocal done
        async with gate:
            state: State[Any] = await check_system_task(inspection, name, return_state=True)  # type: ignore[misc]
        found = await _result(inspection, name, state)
        done += 1
        if progress is not None:
            await progress(done, len(inspection.systems))
        return found

    found = list(await asyncio.gather(*(one(name) for name in inspection.systems)))
    await inspection.look_around(found)
    return found


async def _result(inspection: Inspection, name: str, state: State[Any]) -> SystemReport:
    """Return what a task found; a task that broke for Prefect's own reasons is told as "could not tell"."""
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, Checked):
        return outcome.report
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
