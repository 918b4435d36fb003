"""Deployments and stateful sets: are they all there, and are they on their way to something new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.pods import parse_time
from tasks.systems.kubernetes.spec import CATALOG, Spec

_REVISION = "deployment.kubernetes.io/revision"


def read_deployments(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure each named deployment."""
    items = _named(connection, f"/apis/apps/v1/namespaces/{spec.namespace}/deployments", spec.deployments)
    readings: list[Reading] = []
    for name, item in items.items():
        subject = f"deployment/{name}"
        readings.append(_available(item, subject, spec, access))
        if item is not None:
            readings += _rollout(item, subject, access, connection.ahead)
    return readings


def read_stateful_sets(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure each named stateful set."""
    items = _named(connection, f"/apis/apps/v1/namespaces/{spec.namespace}/statefulsets", spec.stateful_sets)
    readings: list[Reading] = []
    for name, item in items.items():
        subject = f"statefulset/{name}"
        readings.append(_available(item, subject, spec, access))
        if item is not None:
            readings.append(CATALOG.read("rollout_running", _moving(item), at=access.now(), subject=subject))
    return readings


def _named(connection: Connection, path: str, names: Iterable[str]) -> dict[str, Object | None]:
    wanted = list(names)
    if not wanted:
        return {}
    found = {item["metadata"]["name"]: item for item in connection.pages(path)}
    return {name: found.get(name) for name in wanted}


def _available(item: Object | None, subject: str, spec: Spec, access: Access) -> Reading:
    value, note = 0.0, f"there is no {subject} in the namespace {spec.namespace}"
    if item is not None:
        desired = item["spec"].get("replicas", 1)
        available = (item.get("status") or {}).get("availableReplicas") or 0
        value = min(available / desired, 1.0) if desired else 0.0
        note = f"{available} of {desired} replicas" if desired else "it is scaled to nothing"
    return CATALOG.read("available", value, at=access.now(), subject=subject, note=note)


def _rollout(item: Object, subject: str, access: Access, ahead: timedelta) -> Iterator[Reading]:
    status = item.get("status") or {}
    progressing = next((c for c in status.get("conditions") or [] if c["type"] == "Progressing"), None)
    stuck = progressing is not None and progressing["status"] == "False"
    note = str(progressing.get("message", "")) if stuck and progressing is not None else ""
    yield CATALOG.read("rollout_stuck", stuck, at=access.now(), subject=subject, note=note)
    yield CATALOG.read("rollout_running", _moving(item) and not stuck, at=access.now(), subject=subject)
    revision = (item["metadata"].get("annotations") or {}).get(_REVISION, "")
    if revision.isdigit():
        yield CATALOG.read("revision", int(revision), at=access.now(), subject=subject)
    moved = parse_time((progressing or {}).get("lastUpdateTime"))
    if moved is not None:
        age = (access.now() + ahead - moved).total_seconds()
        note = f"at {moved:%Y-%m-%d %H:%M} UTC"
        yield CATALOG.read("rolled_out", max(age, 0), at=access.now(), subject=subject, note=note)


def _moving(item: Object) -> bool:
    """Tell whether pods of an older template are left, or the controller has not yet seen the newest one."""
    status, desired = item.get("status") or {}, item["spec"].get("replicas", 1)
    if (status.get("observedGeneration") or 0) < item["metadata"].get("generation", 0):
        return True
    if item["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return False
    replicas, updated = status.get("replicas") or 0, status.get("updatedReplicas") or 0
    same = status.get("currentRevision") == status.get("updateRevision")
    if "updateRevision" in status and same:
        return bool(replicas != desired)
    return bool(updated < desired or replicas > updated)
