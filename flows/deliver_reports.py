"""Telling what could not be told when it was found: Slack was down."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.publishing import deliver


@flow(name="deliver-reports", timeout_seconds=600)
async def deliver_reports() -> State[Any]:
    """Try again all that is still in the outbox."""
    return await deliver()
