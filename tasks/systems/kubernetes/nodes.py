"""Nodes: whether their kubelets answer, and whether they have room."""

from __future__ import annotations

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import Garbled, NotOffered
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.folding import NAMED, folded
from tasks.systems.kubernetes.quantities import metrics, quantity
from tasks.systems.kubernetes.spec import CATALOG, Spec


def read_nodes(connection: Connection, _: Spec, access: Access) -> list[Reading]:
    """Measure the nodes of the cluster."""
    nodes = _nodes(connection)
    if not nodes:
        raise Garbled("the cluster has no nodes", hint="see that the credentials are of the right cluster")
    away = {node["metadata"]["name"]: why for node in nodes if (why := _why_not_ready(node))}
    pressed = {node["metadata"]["name"]: kinds for node in nodes if (kinds := _pressures(node))}
    at = access.now()
    return [
        CATALOG.read("nodes", len(nodes), at=at),
        CATALOG.read("nodes_ready", 1 - len(away) / len(nodes), at=at, note=folded(away)),
        CATALOG.read("nodes_under_pressure", len(pressed), at=at, note=folded(pressed)),
    ]


def _conditions(node: Object) -> list[Object]:
    return list((node.get("status") or {}).get("conditions") or [])


def _why_not_ready(node: Object) -> str:
    ready = next((condition for condition in _conditions(node) if condition["type"] == "Ready"), None)
    if ready is None:
        return "says nothing of itself"
    return "" if ready["status"] == "True" else str(ready.get("reason") or "not ready")


def _pressures(node: Object) -> str:
    kinds = [c["type"] for c in _conditions(node) if c["type"].endswith("Pressure") and c["status"] == "True"]
    return " and ".join(kinds)


def read_node_usage(connection: Connection, _: Spec, access: Access) -> list[Reading]:
    """Measure the busiest and the fullest node; the note names the next ones too."""
    room = {node["metadata"]["name"]: _room(node) for node in _nodes(connection)}
    items = metrics(connection, "/apis/metrics.k8s.io/v1beta1/nodes")
    used = {item["metadata"]["name"]: item["usage"] for item in items}
    readings: list[Reading] = []
    for resource in ("cpu", "memory"):
        shares = {
            name: quantity(usage[resource]) / room[name][resource]
            for name, usage in used.items()
            if room.get(name, {}).get(resource)
        }
        worst = sorted(shares, key=lambda name: -shares[name])[:NAMED]
        if worst:
            note = ", ".join(f"{name}: {shares[name]:.0%}" for name in worst)
            readings.append(CATALOG.read(f"node_{resource}", shares[worst[0]], at=access.now(), note=note))
    if not readings:
        raise NotOffered("metrics-server tells of no node yet")
    return readings


def _room(node: Object) -> dict[str, float]:
    given = (node.get("status") or {}).get("allocatable") or {}
    return {resource: quantity(str(given[resource])) for resource in ("cpu", "memory") if resource in given}


def _nodes(connection: Connection) -> list[Object]:
    """Return the nodes, read once a check."""
    path = "/api/v1/nodes"
    if path not in connection.seen:
        connection.seen[path] = list(connection.pages(path))
    return connection.seen[path]
