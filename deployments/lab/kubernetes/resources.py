"""The resources that the stand-in serves, as discovery shows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_READ = ("get", "list")


@dataclass(frozen=True)
class Resource:
    """One kind of object with its place in the API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = _ALL
    custom: bool = False

    @property
    def api_version(self) -> str:
        """As objects name it: `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_generation(self) -> bool:
        """Whether the server counts changes of the desired state."""
        return "status" in self.subresources and self.plural not in ("nodes", "namespaces", "services")


def _core(plural: str, kind: str, *short: str, **more: object) -> Resource:
    return Resource("", "v1", plural, kind, short=short, **more)  # type: ignore[arg-type]


_SCALED = ("scale", "status")
_STATUS = ("status",)

RESOURCES = (
    _core("namespaces", "Namespace", "ns", namespaced=False, subresources=_STATUS),
    _core("nodes", "Node", "no", namespaced=False, subresources=_STATUS),
    _core("pods", "Pod", "po", subresources=("eviction", "log", "status")),
    _core("services", "Service", "svc", subresources=_STATUS),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret"),
    _core("serviceaccounts", "ServiceAccount", "sa"),
    _core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=_STATUS),
    _core("persistentvolumes", "PersistentVolume", "pv", namespaced=False, subresources=_STATUS),
    _core("events", "Event", "ev"),
    _core("resourcequotas", "ResourceQuota", "quota", subresources=_STATUS),
    _core("limitranges", "LimitRange", "limits"),
    Resource("apps", "v1", "deployments", "Deployment", short=("deploy",), subresources=_SCALED),
    Resource("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), subresources=_SCALED),
    Resource("apps", "v1", "statefulsets", "StatefulSet", short=("sts",), subresources=_SCALED),
    Resource("apps", "v1", "daemonsets", "DaemonSet", short=("ds",), subresources=_STATUS),
    Resource("apps", "v1", "controllerrevisions", "ControllerRevision"),
    Resource("batch", "v1", "jobs", "Job", subresources=_STATUS),
    Resource("batch", "v1", "cronjobs", "CronJob", short=("cj",), subresources=_STATUS),
    Resource(
        "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",), subresources=_STATUS
    ),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), subresources=_STATUS),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",), subresources=_STATUS),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short=("netpol",)),
    Resource("events.k8s.io", "v1", "events", "Event", short=("ev",)),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
    Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short=("crd", "crds"),
        subresources=_STATUS,
    ),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short=("sc",)),
    Resource(
        "cert-manager.io",
        "v1",
        "certificates",
        "Certificate",
        short=("cert", "certs"),
        subresources=_STATUS,
        custom=True,
    ),
    Resource("cert-manager.io", "v1", "issuers", "Issuer", subresources=_STATUS, custom=True),
    Resource(
        "cert-manager.io", "v1", "clusterissuers", "ClusterIssuer", namespaced=False, subresources=_STATUS, custom=True
    ),
    Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", short=("so",), subresources=_STATUS, custom=True),
    Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", verbs=_READ),
    Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False, verbs=_READ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
)


def known(plural: str, group: str = "") -> Resource:
    """Return a resource that must be there, by its plural (and its group where two share a plural)."""
    return next(r for r in RESOURCES if r.plural == plural and (not group or r.group == group))


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def defined(definition: dict[str, Any]) -> list[Resource]:
    """Return what a CustomResourceDefinition defines once it is established: one for each served version."""
    conditions = (definition.get("status") or {}).get("conditions") or []
    if not any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions):
        return []
    spec = definition["spec"]
    names = spec["names"]
    return [
        Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short=tuple(names.get("shortNames") or ()),
            subresources=_STATUS if "status" in (version.get("subresources") or {}) else (),
            custom=True,
        )
        for version in sorted(spec["versions"], key=lambda version: _priority(str(version["name"])))
        if version["served"]
    ]


def _priority(version: str) -> tuple[Any, ...]:
    """Sort versions as the API server does: stable ones first, then beta, then alpha, the higher number first."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), version)
