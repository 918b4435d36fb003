"""The restore of one system, into scratch or into a named place; never over a live one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.forms import PlatformName, SystemName
from tasks.recoveries import open_reading, restore_and_publish
from tasks.restoring import Wish


@flow(name="restore-datastore", flow_run_name="{platform} {system}", timeout_seconds=12 * 3600)
async def restore_datastore(
    platform: PlatformName,
    system: SystemName,
    into: str = "scratch",
    backup: str = "",
    at: datetime | None = None,
    latest: bool = False,  # noqa: FBT001, FBT002
    only: list[str] = [],  # noqa: B006
    plan: bool = True,  # noqa: FBT001, FBT002
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Say what a restore would do, or do it: restore, compare, tell. A live system is refused as a target.

    Args:
        platform: Whose backup it is.
        system: The system that was backed up.
        into: Scratch, which is gone afterwards; or where an empty target's address is: env:NAME, file:PATH.
        backup: Id of the backup; the newest that fits where this is empty.
        at: The moment to restore to, with its offset from UTC; the backup's own where this is empty.
        latest: As new as log or slices after the backup reach.
        only: Only these parts of it: a database, a collection, a prefix.
        plan: Only say what would be done.
        tell: Tell the platform's channel in Slack.
    """
    wish = Wish(backup=backup or None, until=at, latest=latest, only=tuple(only))
    return await restore_and_publish(open_reading(platform), system, wish, into, only_plan=plan, tell=tell)
