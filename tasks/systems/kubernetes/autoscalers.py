"""Horizontal pod autoscalers: whether they see anything, and whether they may still grow."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import CATALOG, Spec


def read_autoscalers(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure each autoscaler of the namespace."""
    path = f"/apis/autoscaling/v2/namespaces/{spec.namespace}/horizontalpodautoscalers"
    return [reading for item in connection.pages(path) for reading in _autoscaler(item, access)]


def _autoscaler(item: Object, access: Access) -> Iterator[Reading]:
    at, subject = access.now(), f"hpa/{item['metadata']['name']}"
    status, most = item.get("status") or {}, item["spec"]["maxReplicas"]
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    active = conditions.get("ScalingActive")
    if active is not None:
        blind = active["status"] == "False" and active.get("reason") != "ScalingDisabled"
        note = str(active.get("message", "")) if blind else ""
        yield CATALOG.read("hpa_active", not blind, at=at, subject=subject, note=note)
    replicas = max(status.get("currentReplicas") or 0, status.get("desiredReplicas") or 0)
    fixed = item["spec"].get("minReplicas", 1) == most
    note = f"{replicas} of at most {most} replicas"
    yield CATALOG.read("hpa_at_ceiling", replicas >= most and not fixed, at=at, subject=subject, note=note)
