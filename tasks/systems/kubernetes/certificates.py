"""cert-manager's Certificates: whether each is Ready, and how long it still lasts."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.clients.cluster import Connection, Object
from tasks.core.results import Reading
from tasks.core.system import Access
from tasks.systems.kubernetes.pods import parse_time
from tasks.systems.kubernetes.spec import CATALOG, Spec


def read_certificates(connection: Connection, spec: Spec, access: Access) -> list[Reading]:
    """Measure each Certificate that the spec names. Source: the API that cert-manager adds to the cluster."""
    if not spec.certificates:
        return []
    path = f"/apis/cert-manager.io/v1/namespaces/{spec.namespace}/certificates"
    found = {item["metadata"]["name"]: item for item in connection.pages(path)}
    return [reading for name in spec.certificates for reading in _certificate(name, found.get(name), spec, access)]


def _certificate(name: str, item: Object | None, spec: Spec, access: Access) -> Iterator[Reading]:
    at, subject = access.now(), f"certificate/{name}"
    if item is None:
        note = f"there is no Certificate {name} in the namespace {spec.namespace}"
        yield CATALOG.read("certificate_ready", value=False, at=at, subject=subject, note=note)
        return
    status = item.get("status") or {}
    ready = next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
    holds = ready is not None and ready["status"] == "True"
    note = "" if holds else str((ready or {}).get("message") or "it has not been issued yet")
    yield CATALOG.read("certificate_ready", holds, at=at, subject=subject, note=note)
    if (end := parse_time(status.get("notAfter"))) is not None:
        left = (end - at).total_seconds()
        yield CATALOG.read("certificate_expires_in", left, at=at, subject=subject, note=f"until {end:%Y-%m-%d %H:%M}")
