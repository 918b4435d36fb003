"""PersistentVolumeClaims: whether each has its volume.

How full a volume is, only the kubelets know. Their statistics need the right to nodes/proxy, which lets its holder run
commands in any pod: ask a Prometheus for `kubelet_volume_stats_used_bytes` instead.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.folding import folded
from tasks.systems.kubernetes.pods import parse_time
from tasks.systems.kubernetes.spec import CATALOG, Spec

_BINDING = timedelta(minutes=1)


def read_claims(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Count the claims of the namespace that have no volume."""
    now = access.now() + connection.ahead
    path = f"/api/v1/namespaces/{spec.namespace}/persistentvolumeclaims"
    without = {item["metadata"]["name"]: why for item in connection.pages(path) if (why := _why_not_bound(item, now))}
    return [CATALOG.read("claims_not_bound", len(without), at=access.now(), note=folded(without))]


def _why_not_bound(item: Object, now: datetime) -> str:
    phase = (item.get("status") or {}).get("phase") or "Pending"
    created = parse_time(item["metadata"].get("creationTimestamp"))
    young = created is not None and now - created < _BINDING
    if phase == "Bound" or (phase == "Pending" and young):
        return ""
    return f"{phase}, class {item['spec'].get('storageClassName') or 'of the cluster'}"
