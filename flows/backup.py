"""The backup of one platform."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.backups import back_up_systems, is_well, open_backup, publish_backup
from tasks.forms import PlatformName, SystemName


@flow(name="backup", flow_run_name="{platform}", timeout_seconds=12 * 3600)
async def backup(
    platform: PlatformName,
    systems: list[SystemName] = [],  # noqa: B006
    methods: list[str] = [],  # noqa: B006
    tell: bool = True,  # noqa: FBT001, FBT002
    only_failures: bool = False,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Take a platform's systems under one restore point, copy them to the other vaults, tell, then fail if one failed.

    Args:
        platform: What is backed up: one of deployments/platforms/.
        systems: Only these systems of the platform; all that have a `backup:` where none is chosen.
        methods: Only in these ways, such as oplog; in all where none is named.
        tell: Tell the platform's channel in Slack.
        only_failures: Tell it only where something failed, as a run of every quarter of an hour should.
    """
    run = open_backup(platform, systems, methods)
    made = await back_up_systems(run)
    return await publish_backup(run, made, tell=tell and not (only_failures and is_well(run, made)))
