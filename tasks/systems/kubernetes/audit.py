"""Tells how a cluster is guarded: its resources, where its nodes are, and when its Secrets were changed.

`role-audit.yaml` holds what that needs. Of Secrets the API is asked for metadata alone: their values never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatch

from tasks.clients.cluster import Connection, Object, Place
from tasks.clients.threads import in_thread
from tasks.core import audit as core
from tasks.core.audit import Audited, Part, Secret
from tasks.core.compliance_plan import CompliancePlan, Rotation
from tasks.core.errors import Garbled, NotOffered, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.kubernetes.spec import Spec

_REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_RBAC = "rbac.authorization.k8s.io/v1"
_LISTS = (
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("batch/v1", "Job", "jobs"),
    ("v1", "Pod", "pods"),
    ("v1", "Service", "services"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    (_RBAC, "Role", "roles"),
    (_RBAC, "RoleBinding", "rolebindings"),
    (_RBAC, "ClusterRole", "clusterroles"),
    (_RBAC, "ClusterRoleBinding", "clusterrolebindings"),
)
_WIDE = ("clusterroles", "clusterrolebindings")
_VALUES = ("f:data", "f:stringData")
_BUILT_IN = "kubernetes.io/bootstrapping"
_OWN_NAMES = ("system:", "kubeadm:")
_LEAST_SECONDS = 60.0
_OF_ACCOUNT = "kubernetes.io/service-account.name"


async def audit(spec: Spec, plan: CompliancePlan, access: Access) -> Audited:
    """Return the resources of the namespace that nothing else made, the nodes, and the Secrets without their values."""
    found = Audited()
    try:
        connection = await in_thread(
            Connection, Place.of(spec, access, max(spec.timeout.total_seconds(), _LEAST_SECONDS))
        )
    except WatchkeeperError as error:
        found.missed((Part.RESOURCES, Part.PLACES, Part.SECRETS), error)
        return found
    try:
        for part, look in _parts(spec, plan.rotation):
            await in_thread(_look, part, look, connection, found)
    finally:
        connection.close()
    return found


_Look = Callable[[Connection, Audited], None]


def _parts(spec: Spec, rotation: Rotation) -> tuple[tuple[Part, _Look], ...]:
    return (
        (Part.RESOURCES, lambda connection, found: _resources(connection, spec.namespace, found)),
        (Part.PLACES, _nodes),
        (Part.SECRETS, lambda connection, found: _secrets(connection, spec.namespace, rotation, found)),
    )


def _look(part: Part, look: _Look, connection: Connection, found: Audited) -> None:
    try:
        look(connection, found)
    except WatchkeeperError as error:
        found.missed([part], error)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found.missed([part], Garbled(f"the answer lacks what the API promises: {type(error).__name__}"))


def _resources(connection: Connection, namespace: str, found: Audited) -> None:
    for version, kind, plural in _LISTS:
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        path = f"{root}/{plural}" if plural in _WIDE else f"{root}/namespaces/{namespace}/{plural}"
        try:
            items = list(connection.pages(path))
        except NotOffered:
            continue  # a cluster that does not know such a thing has none of it
        found.resources += [{"apiVersion": version, "kind": kind} | item for item in items if not _made_by_others(item)]


def _made_by_others(item: Object) -> bool:
    """Tell what a workload has made, which is judged there, and what belongs to the cluster itself."""
    meta = item["metadata"]
    named = str(meta["name"]).startswith(_OWN_NAMES)
    return bool(meta.get("ownerReferences")) or _BUILT_IN in (meta.get("labels") or {}) or named


def _nodes(connection: Connection, found: Audited) -> None:
    for node in connection.pages("/api/v1/nodes"):
        labels = node["metadata"].get("labels") or {}
        region = next((labels[name] for name in _REGION if labels.get(name)), "")
        found.places.append(core.Place(f"node {node['metadata']['name']}", region, node["metadata"]["name"]))


def _secrets(connection: Connection, namespace: str, rotation: Rotation, found: Audited) -> None:
    for item in connection.metadata(f"/api/v1/namespaces/{namespace}/secrets"):
        meta = item["metadata"]
        renewed = any(fnmatch(meta["name"], pattern) for pattern in rotation.exempt)
        if renewed or _OF_ACCOUNT in (meta.get("annotations") or {}):
            continue
        changed, by = _changed(meta, rotation.annotation)
        found.secrets.append(Secret(f"Secret {meta['name']}", changed, by))


def _changed(meta: Object, annotation: str) -> tuple[datetime, str]:
    """Return when a Secret's value was written last: as its annotation, its managers, or its creation tells."""
    if stated := (meta.get("annotations") or {}).get(annotation):
        return datetime.fromisoformat(stated), f"its annotation {annotation}"
    written = [
        datetime.fromisoformat(entry["time"])
        for entry in meta.get("managedFields") or ()
        if entry.get("time") and any(field in (entry.get("fieldsV1") or {}) for field in _VALUES)
    ]
    if written:
        return max(written), "what manages its fields"
    return datetime.fromisoformat(meta["creationTimestamp"]), "its creation"
