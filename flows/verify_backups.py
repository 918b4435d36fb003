"""The week's proof that a platform's backups restore."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.forms import PlatformName, ProtectedName
from tasks.recoveries import open_reading, verify_and_publish


@flow(name="verify-backups", flow_run_name="{platform}", timeout_seconds=12 * 3600)
async def verify_backups(
    platform: PlatformName,
    systems: list[ProtectedName] = [],  # noqa: B006
    level: Annotated[int, Field(ge=0, le=3)] = 3,
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Restore the newest backup of each system and a random older one into scratch, compare, record, tell.

    Args:
        platform: Whose backups: one of deployments/platforms/.
        systems: Only these systems; all that are backed up where none is chosen.
        level: How far: 0 it exists, 1 every hash, 2 it parses, 3 restored and compared.
        tell: Tell the platform's channel in Slack.
    """
    return await verify_and_publish(open_reading(platform), systems, level, tell=tell)
