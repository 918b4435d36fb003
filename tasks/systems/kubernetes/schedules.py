"""The schedules of CronJobs: when one should have started."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tasks.core.errors import NotOffered, PermanentError

MOST = 100
"""More missed times than these are not counted; Kubernetes gives up at as many."""
_SHORT_FORMS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def due(schedule: str, zone: str | None, since: datetime, until: datetime) -> list[datetime]:
    """Return the times of a schedule after one time and up to another, aware, at most `MOST`.

    A time that a change of the clocks leaves out is none, as for Kubernetes; one that comes twice counts once.

    Args:
        schedule: Five fields, or a short form such as `@daily`.
        zone: The CronJob's `timeZone`; that of the controller where it names none, which is UTC on nearly all clusters.
        since: Aware.
        until: Aware.

    Raises:
        NotOffered: A schedule `@every`, which depends on when the controller began.
        PermanentError: It is no schedule, or no time zone.
    """
    if schedule.startswith("@every"):
        raise NotOffered("a schedule @every counts from when its controller began: when it is due is not known")
    try:
        local: tzinfo = ZoneInfo(zone) if zone else UTC
        times = CronSim(_SHORT_FORMS.get(schedule, schedule.replace("?", "*")), _wall(since, local))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise PermanentError(f"its schedule {schedule[:60]!r} in {zone or 'UTC'} cannot be read: {error}") from error
    return list(islice(_between(times, local, since, until), MOST))


def _between(times: CronSim, local: tzinfo, since: datetime, until: datetime) -> Iterator[datetime]:
    for wall in times:
        at = wall.replace(tzinfo=local).astimezone(UTC)
        if at > until:
            return
        if at > since and _wall(at, local) == wall:
            yield at


def _wall(at: datetime, local: tzinfo) -> datetime:
    return at.astimezone(local).replace(tzinfo=None)
