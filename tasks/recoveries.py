"""Restoring, verifying and drilling with Prefect: one task for each system that is read back, and the report."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from tasks import faces
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.drill import Drill
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.report import Verdict
from tasks.core.restore_plan import RestoreReport
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.core.verify_report import Verified
from tasks.drilling import Asked, Drilling, keep_bundle
from tasks.publishing import publish_bulletin
from tasks.reports import drills, restores
from tasks.restore_runs import RestoreRun, VerifyRun
from tasks.restoring import Restoring, Wish

_VERIFIED_AT_ONCE = 2


class Reading:
    """Whose backups are read in a run. A plain class, so that Prefect hands it over as it is."""

    def __init__(self, restoring: Restoring) -> None:
        self.restoring = restoring
        self.notes: list[str] = []

    @property
    def platform(self) -> PlatformSpec:
        """The spec."""
        return self.restoring.platform

    @property
    def access(self) -> Access:
        """Resolves references; tells the time."""
        return self.restoring.access

    @property
    def settings(self) -> Settings:
        """Where things are kept."""
        return self.restoring.settings

    def trouble(self, what: str, error: Exception, outcome: Outcome) -> None:  # noqa: ARG002 - as publishing calls it
        """Remember what is to be told of Watchkeeper itself."""
        self.notes.append(self.access.resolver.scrub(f"{what.replace('_', ' ')}: {error}"))


@task(name="open-vaults", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_reading(platform: str) -> Reading:
    """Load a platform whose backups are read.

    Raises:
        ConfigError: The spec is broken, there is no such platform, or the lab is meant and not up.
    """
    return Reading(Restoring.open(platform, Settings()))


@task(name="plan-restore", task_run_name="plan {system}", cache_policy=NO_CACHE)
async def plan_restore(reading: Reading, system: str, wish: Wish, into: str) -> RestoreRun:
    """Find the backup, and see that the target may be taken.

    Raises:
        ConfigError: There is no such system or backup, or the target is none.
    """
    run = await in_thread(RestoreRun, reading.restoring, system, wish, into)
    log = get_run_logger()
    for line in restores.of_plan(run.plan, reading.platform.zone):
        log.info("%s: %s", line.text, " · ".join(line.facts))
    return run


@task(name="restore", task_run_name="restore {system}", cache_policy=NO_CACHE)
async def restore_system(run: RestoreRun, system: str) -> State[Any]:  # noqa: ARG001 - the run's name
    """Restore, compare, and tear scratch down. The task fails where something did not come back."""
    try:
        report = await in_thread(run.run, get_run_logger().info)
    except asyncio.CancelledError:
        run.timer.stop()
        raise
    return _state(report.verdict, restores.of_restore(report).sentence, Kept(report))


@task(name="verify-backup", task_run_name="verify {system}", cache_policy=NO_CACHE)
async def verify_system(run: VerifyRun, system: str) -> State[Any]:
    """Prove the newest backups of a system and a random older one, one after the other."""
    try:
        chosen = await in_thread(run.choose, system)
    except WatchkeeperError as error:
        return Failed(message=run.restoring.access.resolver.scrub(str(error)))
    found = []
    for one, why in chosen:
        try:
            found.append(await in_thread(run.prove, one, why))
        except asyncio.CancelledError:
            run.timer.stop()
            raise
    bad = [one for one in found if one.outcome is not Outcome.PASSED]
    message = "; ".join(f"{one.id}: {one.outcome}" for one in found)
    return Failed(message=message, data=Kept(*found)) if bad else Completed(message=message, data=Kept(*found))


@task(name="drill", task_run_name="drill {scenario}", cache_policy=NO_CACHE)
async def rehearse(drilling: Drilling, scenario: str) -> State[Any]:  # noqa: ARG001 - the run's name
    """Rehearse a disaster; where the run is cancelled, all is torn down first."""
    try:
        drill = await in_thread(drilling.run)
    except asyncio.CancelledError:
        drilling.cancel()
        raise
    return _state(drill.verdict, drills.sentence(drill), Kept(drill))


@task(name="keep-evidence", cache_policy=NO_CACHE)
async def keep_evidence(drilling: Drilling, drill: Drill) -> None:
    """Keep the bundle beside the report: the result, its page, manifests, steps, and the hash of each."""
    get_run_logger().info("the evidence is kept in %s", await in_thread(keep_bundle, drilling, drill))


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
    reading: Reading, system: str, wish: Wish, into: str, *, only_plan: bool, tell: bool
) -> State[Any]:
    """Plan a restore and, where that is asked for, carry it out and publish what came of it."""
    run = await plan_restore(reading, system, wish, into)
    if only_plan:
        lines = restores.of_plan(run.plan, reading.platform.zone)
        said = "; ".join(f"{line.text} {', '.join(line.facts)}" for line in lines)
        return Completed(name="Planned", message=said)
    state: State[Any] = await restore_system(run, system, return_state=True)  # type: ignore[misc]
    (report,) = await _results(state)

    def make() -> faces.OfBulletin:
        told: RestoreReport = report.model_copy(
            update={"run_url": flow_run.ui_url, "warnings": (*report.warnings, *reading.notes)}
        )
        return faces.OfBulletin(told, restores.of_restore(told))

    return await publish_bulletin(reading, make, tell=tell)


async def verify_and_publish(reading: Reading, systems: Sequence[str], level: int, *, tell: bool) -> State[Any]:
    """Verify each system's backups, few at a time, and publish what was proven."""
    run = VerifyRun(reading.restoring, systems, level, pick=secrets.randbelow)
    gate = asyncio.Semaphore(_VERIFIED_AT_ONCE)
    found: dict[str, list[Verified]] = {}
    missing: dict[str, str] = {}

    async def one(system: str) -> None:
        async with gate:
            state: State[Any] = await verify_system(run, system, return_state=True)  # type: ignore[misc]
        kept = await state.aresult(raise_on_failure=False)
        if isinstance(kept, Kept):
            found[system] = list(kept.results)
        else:
            missing[system] = state.message or state.name or "it was not looked at"

    await asyncio.gather(*map(one, run.systems))

    def make() -> faces.OfBulletin:
        everything = [backup for system in run.systems for backup in found.get(system, [])]
        report = run.report(everything, missing, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, restores.of_verifications(report))

    return await publish_bulletin(reading, make, tell=tell)


async def drill_and_publish(
    reading: Reading,
    scenario: str,
    systems: Sequence[str],
    *,
    restore_point: str = "",
    until: datetime | None = None,
    tell: bool,
) -> State[Any]:
    """Rehearse a disaster and publish how soon the platform would be back, and how much would be lost."""
    log = get_run_logger()
    for system in systems:
        reading.restoring.spec(system)
    if not reading.platform.protected:
        raise ConfigError(f"no system of {reading.platform.platform} is backed up", hint="docs/backup.md shows how")
    asked = Asked(Scenario(scenario), tuple(systems), restore_point or None, until)
    drilling = Drilling(reading.restoring, asked, tell=log.info)
    state: State[Any] = await rehearse(drilling, scenario, return_state=True)  # type: ignore[misc]
    (drill,) = await _results(state)
    keeping: Any = keep_evidence(drilling, drill, return_state=True)
    await keeping

    def make() -> faces.OfBulletin:
        told: Drill = drill.model_copy(update={"run_url": flow_run.ui_url, "scheduled": slot()})
        return faces.OfBulletin(told, drills.bulletin(told))

    return await publish_bulletin(reading, make, tell=tell)


async def _results(state: State[Any]) -> tuple[Any, ...]:
    """Return what a task brought home; one that broke for Prefect's own reasons breaks the run."""
    kept = await state.aresult(raise_on_failure=False)
    if isinstance(kept, Kept):
        return kept.results
    raise kept if isinstance(kept, Exception) else RuntimeError(state.message or state.name or "the task told nothing")
