"""The morning's check of one platform."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.checks import check_systems, open_inspection
from tasks.forms import PlatformName, SystemName
from tasks.publishing import progress_artifact, publish


@flow(name="health-check", flow_run_name="{platform}", timeout_seconds=900)
async def health_check(platform: PlatformName, systems: list[SystemName] = [], tell: bool = True) -> State[Any]:  # noqa: B006, FBT001, FBT002
    """Check every system of a platform, keep, show and tell what was found, then fail if it is bad.

    Args:
        platform: What is checked: one of deployments/platforms/.
        systems: Only these systems of the platform; all where none is chosen.
        tell: Tell the platform's channel in Slack.
    """
    inspection = open_inspection("health-check", platform, systems)
    found = await check_systems(inspection, await progress_artifact(inspection))
    return await publish(inspection, found, tell=tell)
