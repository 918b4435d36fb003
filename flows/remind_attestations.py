"""Reminding people of attestations before they lapse, and closing what they left open."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.attesting import remind_all


@flow(name="remind-attestations", timeout_seconds=3600)
async def remind_attestations(tell: bool = True) -> State[Any]:  # noqa: FBT001, FBT002
    """Remind of what lapses soon, and publish the checklists of those whose time to attest is over.

    Args:
        tell: Tell the platforms' channels in Slack.
    """
    return await remind_all(tell=tell)
