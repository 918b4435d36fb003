"""What a backup keeps of an object: what people wrote. What the cluster gives by itself is left out.

Metadata keep name, namespace, labels and annotations. Owner references go: they name owners by uid, and the garbage
collector of another cluster would remove whatever names an owner that is not there. Finalizers go: the controllers
that answer for them set them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tasks.clients.cluster import Object
from tasks.systems.kubernetes.discovery import Resource

_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.daemonset.template.generation",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.beta.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/selected-node",
        "endpoints.kubernetes.io/last-change-trigger-time",
        "batch.kubernetes.io/cronjob-scheduled-timestamp",
    }
)
_JOB_LABELS = frozenset(
    {"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"}
)
_AUTOMATIC = frozenset({("configmaps", "kube-root-ca.crt"), ("configmaps", "openshift-service-ca.crt")})
_NEVER = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io", "controllerrevisions.apps"})
_TOKENS = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 - the name of a volume


def left_out(resource: Resource, item: Object, services: Collection[str] = ()) -> str:
    """Return why an object is not backed up, or nothing where it is.

    Secrets are kept whoever owns them: what an operator made up once, it would make up otherwise.

    Args:
        resource: What it is.
        item: As the API shows it.
        services: Names of the services whose endpoints are found by a selector.
    """
    meta = item["metadata"]
    if meta.get("deletionTimestamp"):
        return "being deleted"
    if resource.plural != "secrets" and any(owner.get("controller") for owner in meta.get("ownerReferences") or []):
        return "made by a controller"
    if (
        (resource.qualified, meta["name"]) in _AUTOMATIC
        or _is_of_the_server(resource, meta)
        or resource.qualified in _NEVER
    ):
        return "made by the cluster itself"
    rule = _RULES.get(resource.qualified)
    return rule(item, services) if rule is not None else ""


def _is_of_the_server(resource: Resource, meta: Mapping[str, Any]) -> bool:
    """Tell whether it is how pods find the API server, in every cluster's namespace `default`."""
    found_by = resource.plural in ("services", "endpoints", "endpointslices")
    return found_by and (meta.get("namespace"), meta["name"]) == ("default", "kubernetes")


def _secret(item: Object, _: Collection[str]) -> str:
    return "made by the cluster itself" if item.get("type") in _TOKENS else ""


def _endpoints(item: Object, services: Collection[str]) -> str:
    meta = item["metadata"]
    managed = "endpoints.kubernetes.io/managed-by" in (meta.get("labels") or {})
    leads = _LEADER in (meta.get("annotations") or {})
    return "made by a controller" if managed or leads or meta["name"] in services else ""


def _job(item: Object, _: Collection[str]) -> str:
    conditions = (item.get("status") or {}).get("conditions") or []
    ended = any(entry["type"] in ("Complete", "Failed") and entry["status"] == "True" for entry in conditions)
    return "finished: it would run again" if ended else ""


def _pod(item: Object, _: Collection[str]) -> str:
    ended = (item.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return "finished: it would run again" if ended else ""


def _service_account(item: Object, _: Collection[str]) -> str:
    meta = item["metadata"]
    said = meta.get("annotations") or meta.get("labels") or item.get("imagePullSecrets")
    return "" if meta["name"] != "default" or said else "made by the cluster itself"


def _cluster_role(item: Object, _: Collection[str]) -> str:
    labels = item["metadata"].get("labels") or {}
    return "made by the cluster itself" if "kubernetes.io/bootstrapping" in labels else ""


_RULES: dict[str, Callable[[Object, Collection[str]], str]] = {
    "secrets": _secret,
    "endpoints": _endpoints,
    "jobs.batch": _job,
    "pods": _pod,
    "serviceaccounts": _service_account,
    "clusterroles.rbac.authorization.k8s.io": _cluster_role,
    "clusterrolebindings.rbac.authorization.k8s.io": _cluster_role,
}


def stripped(resource: Resource, item: Object) -> Object:
    """Return an object as it is kept: what can be applied to an empty namespace, and nothing of the moment."""
    fields = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")}
    if resource.has_status:
        fields.pop("status", None)
    kept = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": _metadata(item["metadata"])}
    kept |= _without_nulls(fields)
    change = _CHANGES.get(resource.qualified)
    if change is not None:
        change(kept, item)
    return kept


def _metadata(meta: Mapping[str, Any]) -> Object:
    kept: Object = {"name": meta["name"]}
    if meta.get("namespace"):
        kept["namespace"] = meta["namespace"]
    if labels := meta.get("labels"):
        kept["labels"] = dict(labels)
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key not in _ANNOTATIONS}
    return kept | ({"annotations": annotations} if annotations else {})


def _without_nulls(value: Any) -> Any:
    """Drop `creationTimestamp: null` and its like: in what is applied, null means nothing."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _namespace(kept: Object, _: Object) -> None:
    kept.pop("spec", None)
    labels = {**kept["metadata"].get("labels", {})}
    labels.pop("kubernetes.io/metadata.name", None)
    kept["metadata"].pop("labels", None)
    if labels:
        kept["metadata"]["labels"] = labels


def _service(kept: Object, item: Object) -> None:
    spec = kept.get("spec") or {}
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    spec.pop("healthCheckNodePort", None)
    chosen = _chosen_ports(item)
    for port in spec.get("ports") or []:
        if (port.get("port"), port.get("protocol", "TCP")) not in chosen:
            port.pop("nodePort", None)


def _chosen_ports(item: Object) -> set[tuple[int, str]]:
    """Return the ports whose node port a person chose: a field manager owns it, and nobody what the server gave."""
    chosen = set()
    for entry in item["metadata"].get("managedFields") or []:
        ports = (((entry.get("fieldsV1") or {}).get("f:spec") or {}).get("f:ports")) or {}
        for key, fields in ports.items():
            if key.startswith("k:") and "f:nodePort" in fields:
                named = json.loads(key[2:])
                chosen.add((named.get("port"), named.get("protocol", "TCP")))
    return chosen


def _claim(kept: Object, _: Object) -> None:
    kept.get("spec", {}).pop("volumeName", None)


def _volume(kept: Object, _: Object) -> None:
    claim = kept.get("spec", {}).get("claimRef") or {}
    for name in ("uid", "resourceVersion"):
        claim.pop(name, None)


def _job_spec(kept: Object, _: Object) -> None:
    spec = kept.get("spec") or {}
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    for meta in (kept["metadata"], (spec.get("template") or {}).get("metadata") or {}):
        labels = {key: value for key, value in (meta.get("labels") or {}).items() if key not in _JOB_LABELS}
        meta.pop("labels", None)
        if labels:
            meta["labels"] = labels


def _pod_spec(kept: Object, _: Object) -> None:
    spec = kept.get("spec") or {}
    spec.pop("nodeName", None)
    tokens = {entry["name"] for entry in spec.get("volumes") or [] if entry["name"].startswith(_TOKEN_VOLUME)}
    _drop(spec, "volumes", tokens)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        _drop(container, "volumeMounts", tokens)


def _drop(holder: Object, field: str, names: set[str]) -> None:
    entries = [entry for entry in holder.get(field) or [] if entry["name"] not in names]
    holder.pop(field, None)
    if entries:
        holder[field] = entries


def _service_account_fields(kept: Object, _: Object) -> None:
    name = kept["metadata"]["name"]
    made = (f"{name}-token-", f"{name}-dockercfg-")
    entries = [entry for entry in kept.pop("secrets", None) or [] if not str(entry.get("name", "")).startswith(made)]
    if entries:
        kept["secrets"] = entries


def _role(kept: Object, _: Object) -> None:
    if kept.get("aggregationRule"):
        kept.pop("rules", None)


_CHANGES: dict[str, Callable[[Object, Object], None]] = {
    "namespaces": _namespace,
    "services": _service,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "jobs.batch": _job_spec,
    "pods": _pod_spec,
    "serviceaccounts": _service_account_fields,
    "clusterroles.rbac.authorization.k8s.io": _role,
}
