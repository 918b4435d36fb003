"""Retention in the vaults of one platform."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.forms import PlatformName
from tasks.vaults import open_prune, prune_vaults, publish_prune


@flow(name="prune", flow_run_name="{platform}", timeout_seconds=4 * 3600)
async def prune(
    platform: PlatformName,
    apply: bool = True,  # noqa: FBT001, FBT002
    approve: str = "",
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Plan what retention keeps and removes in every vault, remove it, show and tell the reasons, fail if one failed.

    Args:
        platform: Whose vaults: one of deployments/platforms/.
        apply: Remove what the plan says; else it is only shown.
        approve: The fingerprint of a plan that you looked at, so that more of a group than 30 % may go.
        tell: Tell the platform's channel in Slack.
    """
    run = open_prune(platform, approve)
    await prune_vaults(run, apply=apply)
    return await publish_prune(run, applied=apply, tell=tell)
