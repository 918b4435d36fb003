"""The compliance checklist of one platform."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.compliance import gather_facts, open_checklist, publish_checklist
from tasks.forms import PlatformName


@flow(name="compliance-checklist", flow_run_name="{platform}", timeout_seconds=3600)
async def compliance_checklist(
    platform: PlatformName,
    tell: bool = True,  # noqa: FBT001, FBT002
    plant: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Judge a platform by every control, tell what is kept, what is not and what nobody looked at; keep it as evidence.

    Args:
        platform: Whose checklist: one of deployments/platforms/.
        tell: Tell the platform's channel in Slack.
        plant: Carry on the proofs of the spec: plant synthetic data, do what must leave a trace, run the exports.
    """
    run = open_checklist(platform)
    return await publish_checklist(run, await gather_facts(run, plant=plant), tell=tell)
