"""Asking the people of a platform for what no machine can tell, and waiting for days without holding a process."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.attesting import ask_people, close_request, wait_for_person
from tasks.forms import PlatformName


@flow(name="collect-attestations", flow_run_name="{platform}", timeout_seconds=3600, persist_result=True)
async def collect_attestations(
    platform: PlatformName,
    days: Annotated[int, Field(ge=1, le=28)] = 7,
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Ask for attestations, wait for each by the form of this run, and publish the checklist once all were given.

    Args:
        platform: Whose people: one of deployments/platforms/.
        days: How long they may take; what is left open then is not attested.
        tell: Tell the platform's channel in Slack.
    """
    waiting = await ask_people(platform, days, tell=tell)
    while waiting.open:
        waiting.take(await wait_for_person(waiting))
    return await close_request(waiting, tell=tell)
