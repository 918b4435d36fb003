"""Accepting for a time that a control is not kept."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.attesting import keep_statement
from tasks.forms import ControlName, End, Evidence, PlatformName, Said


@flow(name="waive-control", flow_run_name="{control} of {platform}", timeout_seconds=120)
def waive_control(
    platform: PlatformName,
    control: ControlName,
    reason: Said,
    owner: Said,
    approver: Said,
    until: End,
    evidence: Evidence | None = None,
) -> State[Any]:
    """Accept a breach until a date. It stays in every checklist as waived, and its end is a finding.

    Args:
        platform: Of which platform.
        control: Which control.
        reason: Why the breach is accepted.
        owner: Who answers for it, by name.
        approver: Who accepted it; somebody else than the owner.
        until: With its time zone: 2027-01-31T18:00+05:00, or a whole day: 2027-01-31 Asia/Tashkent.
        evidence: Where it was decided: https://...
    """
    state: State[Any] = keep_statement(
        "waiver", platform, control, by=owner, approver=approver, text=reason, evidence=evidence or "", until=until,
        return_state=True,
    )  # fmt: skip
    return State(type=state.type, name=state.name, message=state.message)
