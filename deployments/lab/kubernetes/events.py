"""Events: one store, shown as `v1` and as `events.k8s.io/v1`."""

from __future__ import annotations

import secrets

from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, timestamp


def record(store: Store, about: Object, kind: str, reason: str, message: str, component: str) -> None:
    """Record an event, or count the same one up no more than once a second."""
    meta, now = about["metadata"], timestamp(store.now())
    namespace = meta.get("namespace", "default")
    reference = {"kind": about["kind"], "name": meta["name"], "uid": meta["uid"], "apiVersion": about["apiVersion"]}
    reference |= {"namespace": meta["namespace"]} if "namespace" in meta else {}
    resource = known("events")
    for event in store.all("events", namespace):
        if (event["involvedObject"]["uid"], event["reason"], event["message"]) == (meta["uid"], reason, message):
            if event["lastTimestamp"] != now:
                store.put(resource, {**event, "count": event["count"] + 1, "lastTimestamp": now})
            return
    name = f"{meta['name']}.{secrets.token_hex(8)}"
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": reference,
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": kind,
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": "",
    }
    store.add(resource, event)


def as_new(event: Object) -> Object:
    """Show a core event as `events.k8s.io/v1` does."""
    renamed = {
        "involvedObject": "regarding",
        "message": "note",
        "count": "deprecatedCount",
        "firstTimestamp": "deprecatedFirstTimestamp",
        "lastTimestamp": "deprecatedLastTimestamp",
        "source": "deprecatedSource",
        "reportingComponent": "reportingController",
    }
    shown = {renamed.get(key, key): value for key, value in event.items()}
    return shown | {"apiVersion": "events.k8s.io/v1"}
