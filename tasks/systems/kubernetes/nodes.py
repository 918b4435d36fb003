"""Nodes: whether their kubelets answer, and whether they have room."""

from __future__ import annotations

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import Garbled
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import CATALOG, Spec

_NAMED = 5


def read_nodes(connection: Connection, _: Spec, access: Access) -> list[Reading]:
    """Measure the nodes of the cluster."""
    nodes = list(connection.pages("/api/v1/nodes"))
    if not nodes:
        raise Garbled("the cluster has no nodes", hint="see that the credentials are of the right cluster")
    away = {node["metadata"]["name"]: why for node in nodes if (why := _why_not_ready(node))}
    pressed = {node["metadata"]["name"]: kinds for node in nodes if (kinds := _pressures(node))}
    at = access.now()
    return [
        CATALOG.read("nodes", len(nodes), at=at),
        CATALOG.read("nodes_ready", 1 - len(away) / len(nodes), at=at, note=_told(away)),
        CATALOG.read("nodes_under_pressure", len(pressed), at=at, note=_told(pressed)),
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


def _told(reasons: dict[str, str]) -> str:
    parts = [f"{name}: {why}" for name, why in sorted(reasons.items())]
    return ", ".join(parts[:_NAMED]) + (f", and {len(parts) - _NAMED} more" if len(parts) > _NAMED else "")
