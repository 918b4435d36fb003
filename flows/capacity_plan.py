"""The month's look ahead."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.forms import PlatformName
from tasks.outlooks import look_ahead, open_plan, publish_plan


@flow(name="capacity-plan", flow_run_name="{platform}", timeout_seconds=3600)
async def capacity_plan(
    platform: PlatformName,
    days: Annotated[float, Field(gt=0, le=365)] = 90.0,
    what_if: list[str] = [],  # noqa: B006 - Prefect shows the default in its form, and nothing changes it
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Say what of a platform runs out first and when, with charts; grade the plan before.

    Args:
        platform: What is looked at: one of deployments/platforms/.
        days: How far to look ahead.
        what_if: What to suppose: traffic=2, retention=60d, nodes=-1. Each is judged anew from the same facts.
        tell: Tell the platform's channel in Slack.
    """
    plan = open_plan(platform, days, what_if)
    await look_ahead(plan)
    return await publish_plan(plan, tell=tell)
