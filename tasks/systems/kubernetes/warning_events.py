"""Events of type Warning: what the cluster itself complained of lately."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.pods import RECENT, parse_time
from tasks.systems.kubernetes.spec import CATALOG, Spec

_REASONS = 3


def read_warnings(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure the warnings of the namespace."""
    at, now = access.now(), access.now() + connection.ahead
    path = f"/api/v1/namespaces/{spec.namespace}/events"
    recent = [
        event
        for event in connection.pages(path, fieldSelector="type=Warning")
        if (seen := _last_seen(event)) is not None and now - seen <= RECENT
    ]
    counts = Counter(str(event.get("reason") or "no reason") for event in recent)
    note = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common(_REASONS))
    return [CATALOG.read("warnings", len(recent), at=at, note=note)]


def _last_seen(event: Object) -> datetime | None:
    """Find an event's newest time: old and new recorders fill different fields."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    written = next((time for time in times if time), event["metadata"].get("creationTimestamp"))
    return parse_time(written)
