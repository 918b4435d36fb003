"""Restoring, verifying and drilling with Prefect: one task for each system that is read back, and the report.

A run that is cancelled, or ended by a signal, tears all down and publishes how far it came before it ends.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from anyio import CancelScope
from prefect import Flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import TerminationSignal
from prefect.logging import get_logger
from prefect.runtime import flow_run
from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, temporary_settings
from prefect.states import Completed, Failed

from tasks import faces
from tasks.checks import slot
from tasks.clients.threads import Job, in_thread
from tasks.core.drill import Drill
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.report import Verdict
from tasks.core.restore_plan import RestoreReport
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.verify_report import Verified
from tasks.drill_evidence import keep_bundle
from tasks.drill_journal import left_behind, under_way
from tasks.drilling import Asked, Drilling
from tasks.forms import ALL_OF_THE_SPEC
from tasks.publishing import publish_artifacts, publish_bulletin
from tasks.reports import drills, restores
from tasks.restore_runs import RestoreRun, VerifyRun
from tasks.restoring import Restoring, Wish
from tasks.runs import Run

_VERIFIED_AT_ONCE = 2
_TEAR_DOWN = 18.0
"""Seconds in which all is to be torn down: Prefect ends a cancelled run by force after thirty."""
_ENDS = (asyncio.CancelledError, TerminationSignal, KeyboardInterrupt, SystemExit)
"""How Prefect, a signal or a time-out ends a run from outside."""
Result = TypeVar("Result")
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


@task(name="open-vaults", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_reading(platform: str) -> Restoring:
    """Load a platform whose backups are read.

    Raises:
        ConfigError: The spec is broken, there is no such platform, or the lab is meant and not up.
    """
    restoring = Restoring.open(platform, Settings())
    restoring.tell = get_run_logger().info
    return restoring


@task(name="plan-restore", task_run_name="plan {system}", cache_policy=NO_CACHE)
async def plan_restore(restoring: Restoring, system: str, wish: Wish, into: str) -> RestoreRun:
    """Find the backup, and see that the target may be taken.

    Raises:
        ConfigError: There is no such system or backup, or the target is none.
    """
    run = await in_thread(RestoreRun, restoring, system, wish, into)
    log = get_run_logger()
    for line in restores.of_plan(run.plan, restoring.platform.zone):
        log.info("%s: %s", line.text, " · ".join(line.facts))
    return run


@task(name="restore", task_run_name="restore {system}", cache_policy=NO_CACHE)
async def restore_system(job: Job[RestoreReport], system: str) -> State[Any]:  # noqa: ARG001 - the run's name
    """Restore, compare, and tear scratch down. The task fails where something did not come back."""
    report = await job.done()
    return _state(report.verdict, restores.of_restore(report).sentence, Kept(report))


@task(name="verify-backup", task_run_name="verify {system}", cache_policy=NO_CACHE)
async def verify_system(run: VerifyRun, system: str, jobs: list[Job[Verified]]) -> State[Any]:
    """Prove the newest backups of a system and a random older one, one after the other."""
    try:
        chosen = await in_thread(run.choose, system)
    except WatchkeeperError as error:
        return Failed(message=run.access.resolver.scrub(str(error)))
    found = []
    for one, why in chosen:
        jobs.append(Job(partial(run.prove, one, why), run.cancel))
        found.append(await jobs[-1].done())
    bad = [one for one in found if one.outcome is not Outcome.PASSED]
    message = "; ".join(f"{one.id}: {one.outcome}" for one in found)
    return Failed(message=message, data=Kept(*found)) if bad else Completed(message=message, data=Kept(*found))


@task(name="drill", task_run_name="drill {scenario}", cache_policy=NO_CACHE)
async def rehearse(job: Job[Drill], scenario: str) -> State[Any]:  # noqa: ARG001 - the run's name
    """Rehearse a disaster."""
    drill = await job.done()
    return _state(drill.verdict, drills.sentence(drill), Kept(drill))


@task(name="keep-evidence", cache_policy=NO_CACHE)
async def keep_evidence(drilling: Drilling, drill: Drill) -> None:
    """Keep the bundle beside the report: the result, its page, manifests, steps, and the hash of each."""
    get_run_logger().info("the evidence is kept in %s", await in_thread(keep_bundle, drilling, drill))


def moment_of(text: str) -> datetime | None:
    """Read the time of a form; nothing is none.

    Raises:
        ConfigError: It is no time.
    """
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ConfigError(f"{text!r} is no time", hint="write 2026-11-26T08:30:00+00:00") from None


class Kept:
    """Carries results out of a task; Prefect's log shows how many there are, and no more."""

    def __init__(self, *results: Any) -> None:
        self.results = results

    def __repr__(self) -> str:
        return f"{len(self.results)} results"


def _state(verdict: Verdict, message: str, kept: Kept) -> State[Any]:
    if verdict in (Verdict.FAILED, Verdict.UNKNOWN):
        return Failed(message=message, data=kept)
    return Completed(message=message, data=kept)


async def restore_and_publish(
    restoring: Restoring, system: str, wish: Wish, into: str, *, only_plan: bool, tell: bool
) -> State[Any]:
    """Plan a restore and, where that is asked for, carry it out and publish what came of it, however it ended."""
    run = await plan_restore(restoring, system, wish, into)
    if only_plan:
        return await show_plan(run)
    job = Job(partial(run.run, get_run_logger().info), run.cancel)
    restoring_it: Any = restore_system(job, system, return_state=True)
    report, end = await _however_it_ends(job, restoring_it, run.so_far)

    def make() -> faces.OfBulletin:
        told: RestoreReport = report.model_copy(
            update={"run_url": flow_run.ui_url, "warnings": (*report.warnings, *run.notes)}
        )
        return faces.OfBulletin(told, restores.of_restore(told))

    return await _publish(run, make, tell=tell, end=end)


async def show_plan(run: RestoreRun) -> State[Any]:
    """Show in the Prefect UI what a restore would do, and whether it can be done here; nothing is done or kept."""
    planned = (await in_thread(run.planned)).model_copy(update={"run_url": flow_run.ui_url})
    made = faces.OfBulletin(planned, restores.of_planned(planned))
    showing: Any = publish_artifacts(made, return_state=True)
    await showing
    if planned.verdict is Verdict.PASSED:
        return Completed(name="Planned", message=made.headline)
    return Failed(message=made.headline)


async def verify_and_publish(restoring: Restoring, systems: Sequence[str], level: int, *, tell: bool) -> State[Any]:
    """Verify each system's backups, few at a time, and publish what was proven, however it ended."""
    run = VerifyRun(restoring, systems, level, pick=secrets.randbelow)
    gate = asyncio.Semaphore(_VERIFIED_AT_ONCE)
    found: dict[str, list[Verified]] = {}
    missing: dict[str, str] = {}
    jobs: dict[str, list[Job[Verified]]] = {system: [] for system in run.systems}

    async def one(system: str) -> None:
        async with gate:
            state: State[Any] = await verify_system(run, system, jobs[system], return_state=True)  # type: ignore[misc]
        kept = await state.aresult(raise_on_failure=False)
        if isinstance(kept, Kept):
            found[system] = list(kept.results)
        else:
            missing[system] = state.message or state.name or "it was not looked at"

    end: BaseException | None = None
    try:
        await asyncio.gather(*map(one, run.systems))
    except _ENDS as cancelled:
        end = cancelled
        with CancelScope(shield=True):
            for system in [name for name in run.systems if name not in found and name not in missing]:
                found[system] = [made for job in jobs[system] if (made := await _ended(job)) is not None]
                if not found[system]:
                    missing[system] = "the run was cancelled before it was looked at"

    def make() -> faces.OfBulletin:
        everything = [backup for system in run.systems for backup in found.get(system, [])]
        report = run.report(everything, missing, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, restores.of_verifications(report))

    return await _publish(run, make, tell=tell, end=end)


async def drill_and_publish(
    restoring: Restoring,
    scenario: str,
    systems: Sequence[str],
    *,
    restore_point: str = "",
    until: datetime | None = None,
    tell: bool,
) -> State[Any]:
    """Rehearse a disaster and publish how soon the platform would be back, and how much would be lost.

    Where the run is cancelled all is torn down first, and what is published says how far it came. A drill that died
    before it could is published by the next one.
    """
    log = get_run_logger()
    asked = Asked(Scenario(scenario), tuple(systems), restore_point or None, until)
    drilling = Drilling.of(restoring, asked, tell=log.info)
    await publish_left_behind(restoring, log, tell=tell)
    with under_way(drilling):
        job = Job(drilling.run, drilling.cancel)
        rehearsing: Any = rehearse(job, scenario, return_state=True)
        drill, end = await _however_it_ends(job, rehearsing, drilling.cut_off)
        with CancelScope(shield=end is not None):
            keeping: Any = keep_evidence(drilling, drill, return_state=True)
            await keeping
        return await _publish(drilling, _faces_of(drill, drilling.notes), tell=tell, end=end)


async def drill_each_and_publish(
    restoring: Restoring,
    scenario: str,
    systems: Sequence[str],
    *,
    restore_point: str = "",
    until: datetime | None = None,
    tell: bool,
) -> State[Any]:
    """Rehearse one disaster, or those that the spec names one after the other; return the state of the worst drill."""
    named = [str(one) for one in restoring.platform.drill.scenarios]
    states = [
        await drill_and_publish(restoring, one, systems, restore_point=restore_point, until=until, tell=tell)
        for one in (named if scenario == ALL_OF_THE_SPEC else [scenario])
    ]
    return next((one for one in states if one.is_failed()), states[-1])


async def publish_crashed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Publish how far a drill came whose process was killed: Prefect calls it where a run has crashed."""
    given = flow_run.parameters
    restoring = await in_thread(Restoring.open, given["platform"], Settings())
    with temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}):  # no run is there any more
        await publish_left_behind(restoring, get_logger("dr-drill"), tell=given.get("tell", True))


async def publish_left_behind(restoring: Restoring, log: Log, *, tell: bool) -> None:
    """Publish what drills of the platform came to whose process died, and remove what they left in scratch."""
    for drill in await in_thread(lambda: list(left_behind(restoring.settings, restoring.platform.platform))):
        log.warning("the drill %s died and is published now: %s", drill.id, drill.interrupted)
        run = Run(restoring.platform, restoring.access, restoring.settings)
        await publish_bulletin(run, _faces_of(drill, run.notes), tell=tell)
    await in_thread(restoring.sweep)


def _faces_of(drill: Drill, notes: Sequence[str]) -> Callable[[], faces.OfBulletin]:
    def make() -> faces.OfBulletin:
        said = tuple(note for note in notes if note not in drill.notes)
        told: Drill = drill.model_copy(
            update={"run_url": flow_run.ui_url, "scheduled": slot(), "notes": (*drill.notes, *said)}
        )
        return faces.OfBulletin(told, drills.bulletin(told))

    return make


async def _however_it_ends(
    job: Job[Result], task_run: Awaitable[State[Any]], so_far: Callable[[], Result]
) -> tuple[Result, BaseException | None]:
    """Await a task that awaits a job; where the run is cancelled, stop the job and return what it came to, and why."""
    try:
        (found,) = await _results(await task_run)
    except _ENDS as end:
        with CancelScope(shield=True):
            ended = await _ended(job)
        return (so_far() if ended is None else ended), end
    return found, None


async def _ended(job: Job[Result]) -> Result | None:
    """Stop a job and return what it came to; None where it does not end in time, or brings nothing home."""
    try:
        return await job.end(_TEAR_DOWN)
    except TimeoutError:
        get_run_logger().warning("not all is torn down yet; the report says so")
    except WatchkeeperError as error:
        get_run_logger().warning("it ended with nothing to tell: %s", error)
    return None


async def _publish(
    run: Run, make: Callable[[], faces.OfBulletin], *, tell: bool, end: BaseException | None
) -> State[Any]:
    """Publish, and go on with a run's end only then."""
    with CancelScope(shield=end is not None):
        state = await publish_bulletin(run, make, tell=tell)
    if end is not None:
        raise end
    return state


async def _results(state: State[Any]) -> tuple[Any, ...]:
    """Return what a task brought home; one that broke for Prefect's own reasons breaks the run."""
    kept = await state.aresult(raise_on_failure=False)
    if isinstance(kept, Kept):
        return kept.results
    raise kept if isinstance(kept, BaseException) else RuntimeError(state.message or state.name or "nothing was told")
