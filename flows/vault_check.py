"""The check of one platform's vaults."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.forms import PlatformName
from tasks.vaults import check_vaults, open_vault_check, publish_vault_check


@flow(name="vault-check", flow_run_name="{platform}", timeout_seconds=12 * 3600)
async def vault_check(
    platform: PlatformName,
    read_data: Annotated[float, Field(ge=0, le=100)] = 10.0,
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Hold a platform's vaults against their manifests, read a share of the bytes, tell, fail if a backup is lost.

    Args:
        platform: Whose vaults: one of deployments/platforms/.
        read_data: Per cent of the parts that are read and hashed; each time others. No key is needed.
        tell: Tell the platform's channel in Slack.
    """
    run = open_vault_check(platform, read_data)
    return await publish_vault_check(run, await check_vaults(run), tell=tell)
