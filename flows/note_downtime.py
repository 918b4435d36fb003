"""Saying why nothing could run for a while."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.attesting import keep_downtime
from tasks.forms import Moment, PlatformName, Said


@flow(name="note-downtime", flow_run_name="{platform}", timeout_seconds=120)
def note_downtime(platform: PlatformName, begin: Moment, until: Moment, reason: Said, owner: Said) -> State[Any]:
    """Explain a gap in what was to run: it stays in the checklist, with the reason.

    Args:
        platform: Of which platform.
        begin: When nothing ran any more: 2026-11-20T06:00+05:00.
        until: When it ran again, with its offset too.
        reason: Why nothing ran.
        owner: Who says so, by name.
    """
    state: State[Any] = keep_downtime(platform, begin=begin, until=until, text=reason, by=owner, return_state=True)
    return State(type=state.type, name=state.name, message=state.message)
