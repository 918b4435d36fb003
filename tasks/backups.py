"""Backing a platform up with Prefect: a task takes each system, under a lock of its own, and another copies it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from tasks import faces, platforms
from tasks.backing_up import STREAMS, BackupRun, Made
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.backup_report import FLOW
from tasks.core.loading import SpecError
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.locks import locked
from tasks.publishing import publish_bulletin
from tasks.reports import backup_words, markdown
from tasks.vault.writing import Progress

_OFTEN = 2.0


@task(name="open-backup", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_backup(platform: str, systems: Sequence[str], methods: Sequence[str]) -> BackupRun:
    """Load a platform and what is backed up of it.

    A broken spec is no error here: it becomes the run's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform or system, nothing is to be backed up, or the lab is not up.
    """
    settings = Settings()
    try:
        return BackupRun.open(platform, systems, settings, methods=methods)
    except SpecError as error:
        get_run_logger().error("%s", error)
        run = BackupRun(platforms.salvage(platform, settings), platforms.access(settings), settings, ())
        run.trouble("spec", error, Outcome.ERRORED)
        return run


@task(name="take-backup", task_run_name="back up {system}", cache_policy=NO_CACHE)
async def take_backup(run: BackupRun, system: str, moved: Moved) -> State[Any]:
    """Take a system into its first vault, alone: whoever else backs it up, prunes or restores it waits."""
    async with locked(run.platform.platform, [system]):
        made = await in_thread(run.take, system, moved.told)
    return _state(made)


@task(name="copy-backup", task_run_name="copy {system}", cache_policy=NO_CACHE)
async def copy_backup(run: BackupRun, system: str, made: Made) -> State[Any]:
    """Copy what was taken of a system into its other vaults."""
    async with locked(run.platform.platform, [system]):
        copied = await in_thread(run.copy, made)
    return _state(copied)


class Moved:
    """Carries progress from threads to the run's artifact. A plain class, so that Prefect hands it over as it is."""

    def __init__(self, run: BackupRun) -> None:
        self._run = run
        self._of: dict[str, Progress] = {}
        self._done: set[str] = set()

    def told(self, system: str, progress: Progress) -> None:
        """Note how far a system is; called from threads."""
        self._of[system] = progress

    def done(self, system: str) -> None:
        """Note that a system is taken."""
        self._done.add(system)

    @property
    def percent(self) -> float:
        """How much of all is done, each system alike; one of unknown size counts once it is taken."""
        parts = [1.0 if name in self._done else self._share(name) for name in self._run.systems]
        return 100.0 * sum(parts) / len(parts) if parts else 100.0

    @property
    def text(self) -> str:
        """What is being taken, how quick, and for how long yet."""
        going = [f"{name} {self._of[name].text}" for name in self._of if name not in self._done]
        return "; ".join(going) or f"{len(self._done)} of {len(self._run.systems)} systems are taken"

    def _share(self, name: str) -> float:
        progress = self._of.get(name)
        return min(progress.done / progress.total, 0.99) if progress is not None and progress.total else 0.0


async def back_up_systems(run: BackupRun) -> dict[str, Made]:
    """Take all systems, databases before objects, so many side by side; then copy what was taken."""
    moved, made = Moved(run), dict[str, Made]()
    gate = asyncio.Semaphore(STREAMS)

    async def take(system: str) -> None:
        async with gate:
            state: State[Any] = await take_backup(run, system, moved, return_state=True)  # type: ignore[misc]
        moved.done(system)
        made[system] = await _made(run, system, state)

    async def copy(system: str) -> None:
        async with gate:
            state: State[Any] = await copy_backup(run, system, made[system], return_state=True)  # type: ignore[misc]
        found = await state.aresult(raise_on_failure=False)
        made[system] = (
            found if isinstance(found, Made) else run.uncopied(made[system], state.message or state.name or "")
        )

    async with _shown(run, moved):
        for wave in run.waves:
            await asyncio.gather(*map(take, wave))
        await asyncio.gather(*(copy(name) for name in run.systems if run.has_copies(made[name])))
    return made


def is_well(run: BackupRun, made: dict[str, Made]) -> bool:
    """Tell whether everything was backed up and copied."""
    return run.report(made).verdict in (Verdict.PASSED, Verdict.WARNED)


async def publish_backup(run: BackupRun, made: dict[str, Made], *, tell: bool) -> State[Any]:
    """Keep, show and tell what was backed up; then, and only then, fail where something was not."""

    def make() -> faces.OfBulletin:
        report = run.report(made, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, backup_words.bulletin(report))

    return await publish_bulletin(run, make, tell=tell)


@asynccontextmanager
async def _shown(run: BackupRun, moved: Moved) -> AsyncIterator[None]:
    """Show how it goes in the Prefect UI as long as the block lasts."""
    key = f"{markdown.artifact_key(run.platform.platform, FLOW)}-progress"
    names = ", ".join(run.systems) or "nothing"
    artifact: Any = await acreate_progress_artifact(0.0, key=key, description=f"Backing up {names}")

    async def show() -> None:
        while True:
            await asyncio.sleep(_OFTEN)
            await aupdate_progress_artifact(artifact, progress=moved.percent, description=moved.text)

    showing = asyncio.create_task(show())
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    await aupdate_progress_artifact(artifact, progress=100.0, description=moved.text)


async def _made(run: BackupRun, system: str, state: State[Any]) -> Made:
    """Return what a task made; one that broke for Prefect's own reasons is told as a failure of the system."""
    found = await state.aresult(raise_on_failure=False)
    if isinstance(found, Made):
        return found
    return run.untold(
        system, found if isinstance(found, Exception) else RuntimeError(state.message or state.name or "")
    )


def _state(made: Made) -> State[Any]:
    if made.failed:
        return Failed(message="; ".join(map(backup_words.failure_line, made.failed)), data=made)
    return Completed(message="; ".join(backup_words.backup_line(backup) for backup, _ in made.backups), data=made)
