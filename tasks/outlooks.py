"""Looking ahead with Prefect: the past is gathered, each measurement is forecast, the plan is kept, shown and told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks import faces, platforms
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.advice.what_if import parse
from tasks.core.loading import SpecError
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.looking_ahead import CapacityPlan
from tasks.publishing import publish_bulletin
from tasks.reports import capacity_tables, capacity_words


@task(name="open-capacity-plan", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_plan(platform: str, days: float, what_if: Sequence[str] = ()) -> CapacityPlan:
    """Load a platform; a broken spec becomes the run's trouble, so that people are told.

    Raises:
        ConfigError: There is no such platform, the lab is not up, or nothing can be supposed that way.
    """
    settings, horizon = Settings(), timedelta(days=days)
    supposed = [parse(one) for one in what_if]
    try:
        return CapacityPlan.open(platform, settings, horizon=horizon, what_if=supposed)
    except SpecError as error:
        get_run_logger().error("%s", error)
        plan = CapacityPlan(
            platforms.salvage(platform, settings), platforms.access(settings), settings, horizon=horizon
        )
        plan.trouble("spec", error, Outcome.ERRORED)
        return plan


@task(name="gather-history", cache_policy=NO_CACHE)
async def gather_history(plan: CapacityPlan) -> None:
    """Read what was measured: from Prometheus, the kept reports and the vaults."""
    await plan.gather()


@task(name="forecast", cache_policy=NO_CACHE)
async def forecast_all(plan: CapacityPlan) -> None:
    """Forecast each measurement, and when it reaches its bounds."""
    await in_thread(plan.look)


async def look_ahead(plan: CapacityPlan) -> None:
    """Gather and forecast; what stops either is told by the report."""
    for step in (gather_history, forecast_all):
        state: State[Any] = await step(plan, return_state=True)  # type: ignore[misc]
        if not state.is_completed():
            error = await state.aresult(raise_on_failure=False)
            broken = error if isinstance(error, Exception) else RuntimeError(state.message or state.name or "")
            plan.trouble(step.name, broken, Outcome.ERRORED)
            return


async def publish_plan(plan: CapacityPlan, *, tell: bool) -> State[Any]:
    """Keep, show and tell the plan; then fail where something critical runs out within a week."""

    def make() -> faces.OfBulletin:
        report = plan.report(scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, capacity_words.bulletin(report), capacity_tables.tables(report))

    return await publish_bulletin(plan, make, tell=tell)
