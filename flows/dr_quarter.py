"""The quarter's paper on disaster recovery: every platform's drills on one page."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.forms import QuarterName
from tasks.quarter_papers import publish_quarter


@flow(name="dr-quarter", flow_run_name="all platforms", timeout_seconds=1800)
async def dr_quarter(quarter: QuarterName = "", tell: bool = True) -> State[Any]:  # noqa: FBT001, FBT002
    """Gather every platform's drills of a quarter: who would be back as promised, and who was not drilled.

    Args:
        quarter: Which one, such as 2026Q4; the one of today where it is empty.
        tell: Tell the channel of WATCHKEEPER_SLACK_CHANNEL, or the one that all platforms share.
    """
    return await publish_quarter(quarter, tell=tell)
