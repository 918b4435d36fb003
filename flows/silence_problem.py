"""Acknowledging a problem, or putting it off, for a time."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from tasks.forms import PlatformName
from tasks.silencing import Action, keep_silence


@flow(name="silence-problem", flow_run_name="{action} {platform} {problem}", timeout_seconds=120)
def silence_problem(
    platform: PlatformName,
    problem: str,
    by: str,
    action: Action = "acknowledge",
    hours: Annotated[int, Field(ge=1, le=720)] = 4,
    why: str = "",
) -> State[Any]:
    """Keep people from being told of a problem for a time. It is still checked, and stays in the reports.

    Args:
        platform: Whose problem it is.
        problem: Its key as the report has it (cache/reachable), a system, or a pattern: api/*.
        by: Who says so.
        action: Acknowledge what is there and no worse; snooze whatever fits; end what was silenced.
        hours: For how long, 30 days at most.
        why: What is done about it, or why it can wait.
    """
    state: State[Any] = keep_silence(platform, problem, action, hours, by, why, return_state=True)
    return State(type=state.type, name=state.name, message=state.message)
