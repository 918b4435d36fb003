"""CPU and memory of the named workloads, from metrics-server, against what their pods may use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.pods import survey
from tasks.systems.kubernetes.quantities import metrics, quantity
from tasks.systems.kubernetes.spec import CATALOG, Spec

_KINDS = {"Deployment": "deployment", "StatefulSet": "statefulset"}


def read_usage(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure the named workloads' CPU and memory."""
    wanted = spec.workloads()
    if not wanted:
        return []
    used = _used(connection, spec)
    owners = replica_set_owners(connection, spec)
    totals: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"cpu": [0.0, 0.0], "memory": [0.0, 0.0]})
    for pod in survey(connection, spec.namespace):
        subject = workload_of(pod, owners)
        measured = used.get(pod["metadata"]["name"])
        if subject in wanted and measured is not None:
            for resource, pair in totals[subject].items():
                pair[0] += measured[resource]
                pair[1] += _allowed(pod, resource)
    return [
        reading for subject in wanted if subject in totals for reading in _readings(subject, totals[subject], access)
    ]


def _used(connection: Connection, spec: Spec) -> dict[str, dict[str, float]]:
    items = metrics(connection, f"/apis/metrics.k8s.io/v1beta1/namespaces/{spec.namespace}/pods")
    return {item["metadata"]["name"]: _sums(item) for item in items}


def _sums(item: Object) -> dict[str, float]:
    return {
        resource: sum(quantity(container["usage"][resource]) for container in item["containers"])
        for resource in ("cpu", "memory")
    }


def replica_set_owners(connection: Connection, spec: Spec) -> dict[str, str]:
    """Map replica sets to their deployments: a pod names only the former."""
    items = connection.pages(f"/apis/apps/v1/namespaces/{spec.namespace}/replicasets")
    return {item["metadata"]["name"]: owner["name"] for item in items for owner in _owners(item)}


def _owners(item: Object) -> list[Object]:
    return [owner for owner in item["metadata"].get("ownerReferences") or [] if owner.get("controller")]


def workload_of(pod: Object, replica_sets: dict[str, str]) -> str:
    """Return the subject of the workload that a pod belongs to; empty where it belongs to none."""
    for owner in _owners(pod):
        if owner["kind"] == "ReplicaSet":
            return f"deployment/{replica_sets.get(owner['name'], '')}"
        if owner["kind"] in _KINDS:
            return f"{_KINDS[owner['kind']]}/{owner['name']}"
    return ""


def _allowed(pod: Object, resource: str) -> float:
    """Sum what a pod's containers may use; infinite where one has neither limit nor request."""
    total = 0.0
    for container in pod["spec"]["containers"]:
        given = container.get("resources") or {}
        amount = (given.get("limits") or {}).get(resource) or (given.get("requests") or {}).get(resource)
        total += quantity(str(amount)) if amount else float("inf")
    return total


def _readings(subject: str, totals: dict[str, list[float]], access: Access) -> Iterator[Reading]:
    at, names = access.now(), {"cpu": "cpu_cores", "memory": "memory_size"}
    for resource, (used, allowed) in totals.items():
        if 0 < allowed < float("inf"):
            yield CATALOG.read(resource, used / allowed, at=at, subject=subject)
        yield CATALOG.read(names[resource], used, at=at, subject=subject)
