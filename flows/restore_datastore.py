"""The restore of one system, into scratch or into a named place; never over a live one."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.forms import MomentOrNone, PlatformName, ProtectedName
from tasks.recoveries import moment_of, open_reading, restore_and_publish
from tasks.restoring import Wish


@flow(name="restore-datastore", flow_run_name="{platform} {system}", timeout_seconds=12 * 3600)
async def restore_datastore(
    platform: PlatformName,
    system: ProtectedName,
    into: str = "scratch",
    backup: str = "",
    at: MomentOrNone = "",
    position: str = "",
    latest: bool = False,  # noqa: FBT001, FBT002
    only: list[str] = [],  # noqa: B006
    vault: str = "",
    plan: bool = True,  # noqa: FBT001, FBT002
    tell: bool = True,  # noqa: FBT001, FBT002
) -> State[Any]:
    """Say what a restore would do, or do it: restore, compare, tell. A live system is refused as a target.

    Args:
        platform: Whose backup it is: one of deployments/platforms/.
        system: The system that was backed up; one that this platform has.
        into: "scratch", a server of its own that is gone afterwards and proves the backup; or where the address of an
            empty target is to be found: env:NAME, file:PATH. Never an address with a password.
        backup: Id of the backup, as watchkeeper backups list shows it; the newest that fits where this is empty.
        at: The moment to restore to, such as 2026-11-26T08:30:00+01:00; the backup's own where this is empty.
        position: The same as the system itself counts: an LSN or a named point of PostgreSQL.
        latest: As new as log or slices after the backup reach.
        only: Only these parts of it: a database, a collection, a key's prefix, a resource, a folder.
        vault: Only from this vault of the platform; the first that can be read where this is empty.
        plan: Only say what would be done, and whether it can be done here. Switch it off to do it.
        tell: Tell the platform's channel in Slack.
    """
    wish = Wish(
        backup=backup or None,
        until=moment_of(at),
        position=position or None,
        latest=latest,
        only=tuple(only),
        vault=vault or None,
    )
    return await restore_and_publish(open_reading(platform), system, wish, into, only_plan=plan, tell=tell)
