"""Pods: which of them should take traffic and do not, and which were started again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.folding import NAMED, folded
from tasks.systems.kubernetes.spec import CATALOG, Spec

RECENT = timedelta(hours=1)
_STARTING = timedelta(minutes=1)
_ENDING = timedelta(minutes=1)
_HARMLESS = {"ContainerCreating", "PodInitializing", "not ready"}


_KEPT = {
    "metadata": ("name", "creationTimestamp", "deletionTimestamp", "ownerReferences"),
    "spec": ("containers",),
    "status": ("phase", "conditions", "initContainerStatuses", "containerStatuses"),
}


def survey(connection: Connection, namespace: str) -> list[Object]:
    """Return the pods of a namespace, read once a check and cut down to what is measured: there may be thousands."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    if path not in connection.seen:
        connection.seen[path] = [_cut_down(pod) for pod in connection.pages(path)]
    return connection.seen[path]


def _cut_down(pod: Object) -> Object:
    kept: Object = {
        part: {field: whole[field] for field in fields if field in whole}
        for part, fields in _KEPT.items()
        if (whole := pod.get(part)) is not None
    }
    containers = [{"resources": container.get("resources")} for container in kept["spec"]["containers"]]
    return {**kept, "spec": {"containers": containers}}


def read_pods(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure the pods of the namespace."""
    at, now = access.now(), access.now() + connection.ahead
    running, failed = 0, []
    sick: dict[str, str] = {}
    restarts: list[tuple[int, str]] = []
    recent: dict[str, str] = {}
    for pod in survey(connection, spec.namespace):
        name, phase = pod["metadata"]["name"], (pod.get("status") or {}).get("phase")
        if phase == "Failed":
            failed.append(name)
        if phase in ("Failed", "Succeeded"):
            continue
        running += not pod["metadata"].get("deletionTimestamp")
        if reason := _why_not_ready(pod, now):
            sick[name] = reason
        for status in _containers(pod):
            restarts.append((int(status.get("restartCount") or 0), name))
            if ended := _ended_recently(status, now):
                recent[f"{name}/{status['name']}"] = ended
    most, worst = max(restarts, default=(0, ""))
    return [
        CATALOG.read("pods", running, at=at),
        CATALOG.read("pods_not_ready", len(sick), at=at, note=folded(sick)),
        CATALOG.read("pods_failed", len(failed), at=at, note=", ".join(failed[:NAMED])),
        CATALOG.read("restarts", most, at=at, note=worst if most else ""),
        CATALOG.read("recent_restarts", len(recent), at=at, note=folded(recent)),
    ]


def parse_time(text: str | None) -> datetime | None:
    """Read a time of the API, or None where there is none."""
    return datetime.fromisoformat(text) if text else None


def _containers(pod: Object) -> Iterator[Object]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _why_not_ready(pod: Object, now: datetime) -> str:
    """Say why a pod that should run is not ready; nothing where it is, or may still be."""
    going = parse_time(pod["metadata"].get("deletionTimestamp"))
    if going is not None:
        return "does not end" if now - going > _ENDING else ""
    conditions = (pod.get("status") or {}).get("conditions") or []
    if any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions):
        return ""
    reason = _reason(pod, conditions)
    created = parse_time(pod["metadata"].get("creationTimestamp"))
    young = created is not None and now - created < _STARTING
    return "" if young and reason in _HARMLESS else reason


def _reason(pod: Object, conditions: list[Object]) -> str:
    for status in _containers(pod):
        state = status.get("state") or {}
        if waiting := state.get("waiting"):
            if (waiting.get("reason") or "") != "PodInitializing":
                return str(waiting.get("reason") or "waiting")
        elif (ended := state.get("terminated")) and ended.get("exitCode"):
            return f"{ended.get('reason') or 'ended'} with exit code {ended['exitCode']}"
    for condition in conditions:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("reason") or "not scheduled")
    return "not ready"


def _ended_recently(status: Object, now: datetime) -> str:
    ended = (status.get("lastState") or {}).get("terminated") or {}
    at = parse_time(ended.get("finishedAt"))
    if at is None or now - at > RECENT:
        return ""
    return f"{ended.get('reason') or 'ended'} with exit code {ended.get('exitCode')}"
