"""Closing a platform's day with Prefect: one task opens it, one for each system measures what the digest compares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from tasks import platforms
from tasks.checks import check_systems
from tasks.core.digest import FLOW, Evening
from tasks.core.loading import SpecError
from tasks.core.report import SystemReport
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.days import Closing, remember
from tasks.inspections import Inspection


@task(name="open-day", task_run_name="load {platform}", cache_policy=NO_CACHE)
def open_day(platform: str) -> Closing:
    """Load a platform and when its last digest was; a broken spec becomes the digest's trouble.

    Raises:
        ConfigError: There is no such platform, or the lab is meant and is not up.
    """
    settings = Settings()
    try:
        return Closing.open(platform, settings)
    except SpecError as error:
        get_run_logger().error("%s", error)
        salvaged = platforms.salvage(platform, settings)
        inspection = Inspection(FLOW, salvaged, platforms.access(settings), settings)
        inspection.trouble("spec", error, Outcome.ERRORED)
        return Closing(inspection)


@task(name="measure-past", task_run_name="measure {ago} ago", cache_policy=NO_CACHE)
async def measure_past(inspection: Inspection, ago: str) -> Past:  # noqa: ARG001 - the run's name
    """Measure what was, for comparison."""
    return Past(await remember(inspection))


class Past:
    """Carries reports out of a task; Prefect's log shows nothing of them."""

    def __init__(self, systems: Sequence[SystemReport]) -> None:
        self.systems = systems

    def __repr__(self) -> str:
        return f"{len(self.systems)} systems"


async def measure_evening(closing: Closing) -> Evening:
    """Measure what the digest holds, now, a day ago and a week ago; what cannot be remembered is left open."""
    now = check_systems(closing.inspection)
    past = (_past(closing.yesterday, "a day"), _past(closing.last_week, "a week"))
    return Evening(*await asyncio.gather(now, *past))


async def _past(inspection: Inspection, ago: str) -> Sequence[SystemReport]:
    state: State[Any] = await measure_past(inspection, ago, return_state=True)  # type: ignore[misc]
    found = await state.aresult(raise_on_failure=False)
    return found.systems if isinstance(found, Past) else ()
