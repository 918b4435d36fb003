"""The quarter's rehearsal of a disaster."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.forms import MomentOrNone, PlatformName, ProtectedName, ScenarioName
from tasks.recoveries import drill_each_and_publish, moment_of, open_reading, publish_crashed


@flow(
    name="dr-drill",
    flow_run_name="{platform} {scenario}",
    timeout_seconds=12 * 3600,
    on_crashed=[publish_crashed],
)
async def dr_drill(
    platform: PlatformName,
    scenario: ScenarioName = "all-of-the-spec",
    systems: list[ProtectedName] = [],  # noqa: B006
    restore_point: str = "",
    at: MomentOrNone = "",
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Restore a platform into scratch against the clock, prove it, tear it down, tell RTO and RPO.

    Args:
        platform: What is rehearsed: one of deployments/platforms/.
        scenario: The disaster; or those that the spec's drill.scenarios names, one after the other, each with a report.
        systems: Only these systems; those that the scenario takes away where none is chosen.
        restore_point: Only backups that were taken together under this id; the newest where this is empty.
        at: The moment to go back to, such as 2026-11-26T08:30:00+01:00; as new as possible where this is empty.
        tell: Tell the platform's channel in Slack.
    """
    return await drill_each_and_publish(
        open_reading(platform), scenario, systems, restore_point=restore_point, until=moment_of(at), tell=tell
    )
