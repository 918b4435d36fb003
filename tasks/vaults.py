"""Looking after a platform's vaults with Prefect: retention, under the locks of its systems, and the check."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks import faces, platforms
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.loading import SpecError
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.vault_report import CheckedVault
from tasks.locks import locked
from tasks.pruning import PruneRun
from tasks.publishing import publish_bulletin
from tasks.reports import prune_words, vault_words
from tasks.vault_checks import VaultCheck


@task(name="open-prune", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_prune(platform: str, approve: str) -> PruneRun:
    """Load a platform; a broken spec becomes the run's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform, it has no vaults, or the lab is not up.
    """
    settings = Settings()
    try:
        return PruneRun.open(platform, settings, approve=approve.strip())
    except SpecError as error:
        get_run_logger().error("%s", error)
        run = PruneRun(platforms.salvage(platform, settings), platforms.access(settings), settings)
        run.trouble("spec", error, Outcome.ERRORED)
        return run


@task(name="plan-retention", cache_policy=NO_CACHE)
async def plan_retention(run: PruneRun) -> None:
    """Plan what goes and what stays in every vault."""
    await in_thread(run.foresee)


@task(name="remove-backups", cache_policy=NO_CACHE)
async def remove_backups(run: PruneRun) -> None:
    """Remove what the plan says, while nobody backs any of the platform's systems up."""
    async with locked(run.platform.platform, list(run.platform.protected)):
        await in_thread(run.carry_out)


async def prune_vaults(run: PruneRun, *, apply: bool) -> None:
    """Plan, and carry the plan out where that is asked for; what stops either is told by the report."""
    for step in (plan_retention, remove_backups) if apply else (plan_retention,):
        state: State[Any] = await step(run, return_state=True)  # type: ignore[misc]
        if not state.is_completed():
            error = await state.aresult(raise_on_failure=False)
            run.stopped(error if isinstance(error, Exception) else RuntimeError(state.message or state.name or ""))
            return


async def publish_prune(run: PruneRun, *, applied: bool, tell: bool) -> State[Any]:
    """Keep, show and tell the plan and what became of it; then fail where something failed."""

    def make() -> faces.OfBulletin:
        report = run.report(applied=applied, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, prune_words.bulletin(report))

    return await publish_bulletin(run, make, tell=tell)


@task(name="open-vault-check", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_vault_check(platform: str, read_data: float) -> VaultCheck:
    """Load a platform; a broken spec becomes the run's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform, it has no vaults, or the lab is not up.
    """
    settings = Settings()
    try:
        return VaultCheck.open(platform, settings, read_data=read_data)
    except SpecError as error:
        get_run_logger().error("%s", error)
        run = VaultCheck(platforms.salvage(platform, settings), platforms.access(settings), settings)
        run.trouble("spec", error, Outcome.ERRORED)
        return run


@task(name="check-vault", task_run_name="check {name}", cache_policy=NO_CACHE)
async def check_vault(run: VaultCheck, name: str) -> CheckedVault:
    """Hold one vault against its manifests, and read a share of its bytes."""
    return await in_thread(run.look, name)


async def check_vaults(run: VaultCheck) -> list[CheckedVault]:
    """Check all vaults of a platform side by side."""

    async def one(name: str) -> CheckedVault:
        state: State[Any] = await check_vault(run, name, return_state=True)  # type: ignore[misc]
        found = await state.aresult(raise_on_failure=False)
        return found if isinstance(found, CheckedVault) else CheckedVault(vault=name, error=state.message or "unknown")

    return list(await asyncio.gather(*map(one, run.platform.vaults)))


async def publish_vault_check(run: VaultCheck, found: list[CheckedVault], *, tell: bool) -> State[Any]:
    """Keep, show and tell what was seen; then fail where a backup cannot be read."""

    def make() -> faces.OfBulletin:
        report = run.report(found, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, vault_words.bulletin(report))

    return await publish_bulletin(run, make, tell=tell)
