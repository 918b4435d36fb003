"""The evening's digest of one platform: its day, from the reports that were kept."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.digests import measure_evening, open_day
from tasks.forms import PlatformName
from tasks.publishing import publish_digest


@flow(name="evening-digest", flow_run_name="{platform}", timeout_seconds=600)
async def evening_digest(platform: PlatformName, tell: bool = True) -> State[Any]:  # noqa: FBT001, FBT002
    """Sum up a platform's day, keep, show and tell it, then fail if something is bad in the evening.

    Args:
        platform: Whose day it is: one of deployments/platforms/.
        tell: Tell the platform's channel in Slack.
    """
    closing = open_day(platform)
    return await publish_digest(closing, await measure_evening(closing), tell=tell)
