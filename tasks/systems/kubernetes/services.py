"""Services: whether anything ready stands behind each."""

from __future__ import annotations

from collections import defaultdict

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.folding import folded
from tasks.systems.kubernetes.spec import CATALOG, Spec

_SERVICE = "kubernetes.io/service-name"


def read_services(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure the services that select pods; others have endpoints that somebody else keeps, or none at all."""
    services = {
        item["metadata"]["name"]: item
        for item in connection.pages(f"/api/v1/namespaces/{spec.namespace}/services")
        if item["spec"].get("selector") and item["spec"].get("type") != "ExternalName"
    }
    ready = _ready_endpoints(connection, spec)
    alone = {name: _selector(item) for name, item in services.items() if not ready[name] and name not in spec.services}
    readings = [CATALOG.read("services_without_endpoints", len(alone), at=access.now(), note=folded(alone))]
    for name in spec.services:
        note = f"selects {_selector(services[name])}" if name in services else f"there is no service {name}"
        count = len(ready[name]) if name in services else 0
        readings.append(CATALOG.read("endpoints", count, at=access.now(), subject=f"service/{name}", note=note))
    return list(readings)


def _ready_endpoints(connection: Connection, spec: Spec) -> dict[str, set[str]]:
    """Return who takes traffic for each service; one pod with two addresses counts once."""
    ready: dict[str, set[str]] = defaultdict(set)
    for item in connection.pages(f"/apis/discovery.k8s.io/v1/namespaces/{spec.namespace}/endpointslices"):
        service = (item["metadata"].get("labels") or {}).get(_SERVICE, "")
        for endpoint in item.get("endpoints") or []:
            # The API: "a nil value should be interpreted as true".
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                ready[service].add((endpoint.get("targetRef") or {}).get("name") or endpoint["addresses"][0])
    return ready


def _selector(item: Object) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(item["spec"]["selector"].items()))
