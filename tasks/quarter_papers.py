"""The quarter's paper with Prefect: every platform's drills are gathered, and told at once."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from tasks import faces
from tasks.checks import slot
from tasks.clients.threads import in_thread
from tasks.core.settings import Settings
from tasks.platforms import access
from tasks.publishing import publish_bulletin
from tasks.quarters import QuarterRun
from tasks.recoveries import Kept
from tasks.reports import quarters


@task(name="gather-drills", task_run_name="gather {quarter}", cache_policy=NO_CACHE)
async def gather_drills(quarter: str) -> Kept:
    """Read every platform's drills of a quarter from the reports that were kept.

    Raises:
        ConfigError: It is no quarter, or one that is still to come; or there is no platform.
    """
    settings = Settings()
    run = await in_thread(QuarterRun, quarter, settings, access(settings))
    return Kept(run, await in_thread(run.gather))


async def publish_quarter(quarter: str, *, tell: bool) -> State[Any]:
    """Publish one paper over every platform's drills of a quarter; then fail where one is not proven to come back."""
    run, found = (await gather_drills(quarter)).results

    def make() -> faces.OfBulletin:
        report = run.report(found, scheduled=slot(), run_url=flow_run.ui_url)
        return faces.OfBulletin(report, quarters.bulletin(report))

    if tell and not run.platform.slack.channel:
        run.notes.append(
            "nobody is told in Slack: each platform has its own channel, and WATCHKEEPER_SLACK_CHANNEL is not set"
        )
    told = tell and bool(run.platform.slack.channel)
    return await publish_bulletin(run, make, tell=told, status=False)
