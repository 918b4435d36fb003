"""Attesting a control at any time: no machine can tell, and a person states it."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.attesting import keep_statement
from tasks.forms import AttestableName, End, Evidence, PlatformName, Said


@flow(name="attest-control", flow_run_name="{control} of {platform}", timeout_seconds=120)
def attest_control(
    platform: PlatformName,
    control: AttestableName,
    owner: Said,
    statement: Said,
    evidence: Evidence,
    valid_until: End,
) -> State[Any]:
    """State that a control holds of which no machine can tell. A machine's check of the same fact makes it void.

    Args:
        platform: Of which platform.
        control: Which control.
        owner: Who states it, by name.
        statement: What was done or seen, in a sentence.
        evidence: What shows it: https://..., or what `watchkeeper evidence attach FILE` printed (sha256:...).
        valid_until: With its time zone: 2027-01-31T18:00+05:00, or a whole day: 2027-01-31 Asia/Tashkent.
    """
    state: State[Any] = keep_statement(
        "attestation", platform, control, by=owner, text=statement, evidence=evidence, until=valid_until,
        return_state=True,
    )  # fmt: skip
    return State(type=state.type, name=state.name, message=state.message)
