"""The checklist of a platform with Prefect: facts, judgement, published on time whatever could not be had."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks import faces, platforms
from tasks.checklists import ChecklistRun
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.compliance import Facts
from tasks.core.loading import SpecError
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.publishing import publish_bulletin
from tasks.reports import checklist_words


@task(name="open-checklist", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_checklist(platform: str) -> ChecklistRun:
    """Load a platform; a broken spec becomes the run's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform, or the lab is not up.
    """
    settings = Settings()
    try:
        return ChecklistRun.open(platform, settings)
    except SpecError as error:
        get_run_logger().error("%s", error)
        run = ChecklistRun(platforms.salvage(platform, settings), platforms.access(settings), settings)
        run.trouble("spec", error, Outcome.ERRORED)
        return run


@task(name="gather-facts", cache_policy=NO_CACHE)
async def gather_facts(run: ChecklistRun, *, plant: bool = False) -> Facts:
    """Fetch what the controls judge, and carry on the proofs of the spec where that is wanted."""
    return await in_thread(run.look, plant=plant)


async def publish_checklist(run: ChecklistRun, facts: Facts, *, tell: bool) -> State[Any]:
    """Judge, keep, show and tell; then fail where a control is not kept, or could not judge."""

    def make() -> faces.OfBulletin:
        report = run.report(facts, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, checklist_words.bulletin(report))

    return await publish_bulletin(run, make, tell=tell)
