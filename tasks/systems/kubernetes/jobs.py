"""Jobs that gave up, and CronJobs that did not start when they should have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import WatchkeeperError
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.folding import folded
from tasks.systems.kubernetes.pods import parse_time
from tasks.systems.kubernetes.schedules import MOST, due
from tasks.systems.kubernetes.spec import CATALOG, Spec

_LATELY = timedelta(days=1)
_GRACE = timedelta(minutes=2)
_MOST_NAMED = 50


class _Ended(NamedTuple):
    """How a Job ended."""

    at: datetime
    name: str
    reason: str


def read_jobs(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Count the Jobs of the namespace that failed lately."""
    now = access.now() + connection.ahead
    newest: dict[str, _Ended] = {}
    for item in connection.pages(f"/apis/batch/v1/namespaces/{spec.namespace}/jobs"):
        if (ended := _ended(item)) is None:
            continue
        by = next((o["name"] for o in item["metadata"].get("ownerReferences") or [] if o["kind"] == "CronJob"), "")
        key = f"CronJob {by}" if by else f"Job {ended.name}"
        newest[key] = max(newest.get(key, ended), ended)
    failed = {one.name: one.reason for one in newest.values() if one.reason and now - one.at <= _LATELY}
    return [CATALOG.read("jobs_failed", len(failed), at=access.now(), note=folded(failed))]


def _ended(item: Object) -> _Ended | None:
    """Say when and how a Job ended; its reason is empty where it completed, and None stands for one that runs."""
    for condition in (item.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("Failed", "Complete") and condition["status"] == "True":
            at = parse_time(condition.get("lastTransitionTime") or item["metadata"]["creationTimestamp"])
            reason = str(condition.get("reason") or "Failed") if condition["type"] == "Failed" else ""
            return None if at is None else _Ended(at, item["metadata"]["name"], reason)
    return None


def read_cron_jobs(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure every CronJob of the namespace; of very many only the first, and the rest is said to be left out."""
    items = list(connection.pages(f"/apis/batch/v1/namespaces/{spec.namespace}/cronjobs"))
    now = access.now() + connection.ahead
    readings = [reading for item in items[:_MOST_NAMED] for reading in _cron_job(item, now, access)]
    if len(items) > _MOST_NAMED:
        reason = f"{len(items) - _MOST_NAMED:,} more CronJobs are not looked at"
        readings.append(Gap(outcome=Outcome.NOT_CHECKED, name="missed_runs", reason=reason))
    return readings


def _cron_job(item: Object, now: datetime, access: Access) -> Iterator[Reading]:
    subject = f"cronjob/{item['metadata']['name']}"
    suspended = bool(item["spec"].get("suspend"))
    yield CATALOG.read("suspended", suspended, at=access.now(), subject=subject)
    if suspended:
        yield Gap(outcome=Outcome.SKIPPED, name="missed_runs", subject=subject, reason="it is suspended")
        return
    try:
        missed = _missed(item, now)
    except WatchkeeperError as error:
        yield Gap.of(error, "missed_runs", subject)
        return
    note = _told(item, missed)
    yield CATALOG.read("missed_runs", len(missed), at=access.now(), subject=subject, note=note)


def _missed(item: Object, now: datetime) -> list[datetime]:
    last = parse_time((item.get("status") or {}).get("lastScheduleTime"))
    since = last or parse_time(item["metadata"]["creationTimestamp"]) or now
    return due(item["spec"]["schedule"], item["spec"].get("timeZone"), since, now - _GRACE)


def _told(item: Object, missed: Iterable[datetime]) -> str:
    status, first = item.get("status") or {}, next(iter(missed), None)
    if first is None:
        return ""
    parts = [
        f"it was due at {first:%Y-%m-%d %H:%M} UTC",
        f"it last started at {status.get('lastScheduleTime', 'no time')}",
    ]
    if status.get("active") and item["spec"].get("concurrencyPolicy") == "Forbid":
        parts.append("the run before has not ended, and two at once are forbidden")
    if len(list(missed)) >= MOST:
        parts.append(f"{MOST} or more")
    return "; ".join(parts)
