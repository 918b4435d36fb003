"""What becomes of a document on its way into another namespace, and into one that is only there for a drill.

A drill's namespace sleeps: nothing of it may start, as what starts would talk to the live databases with the live
passwords. Workloads have no replicas, CronJobs are suspended, services get no address outside; what cannot be put to
sleep, or reaches beyond the namespace, is only tried by a dry run.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from tasks.clients.cluster import Object
from tasks.systems.kubernetes.discovery import Resource


class Way(StrEnum):
    """How objects are restored."""

    NAMED = "applied to a named namespace"
    SCRATCH = "applied, asleep, to a namespace made for the purpose"
    DRY_RUN = "tried by a dry run against the live cluster; nothing was written"


@dataclass(frozen=True)
class Preparation:
    """Makes documents ready.

    Attributes:
        way: How they are restored.
        source: The namespace that they come from.
        target: The namespace that they go to.
    """

    way: Way
    source: str
    target: str

    def prepared(self, document: Object, resource: Resource) -> tuple[Object, bool]:
        """Return a document as it is applied, and whether it is only tried."""
        ready = copy.deepcopy(document) | {"apiVersion": resource.api_version}
        if resource.namespaced:
            ready["metadata"]["namespace"] = self.target
        elif resource.qualified == "namespaces" and ready["metadata"]["name"] == self.source:
            ready["metadata"]["name"] = self.target
        for subject in ready.get("subjects") or []:
            if subject.get("namespace") == self.source:
                subject["namespace"] = self.target
        if self.way is not Way.SCRATCH:
            return ready, self.way is Way.DRY_RUN
        lull = _ASLEEP.get(resource.qualified)
        if lull is None:
            return ready, True
        lull(ready)
        return ready, False


def _as_it_is(_: Object) -> None:
    """Leave what does nothing by itself."""


def _no_replicas(document: Object) -> None:
    document["spec"]["replicas"] = 0


def _suspended(document: Object) -> None:
    document["spec"]["suspend"] = True


def _inside_only(document: Object) -> None:
    spec = document.get("spec") or {}
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        spec["type"] = "ClusterIP"
    for name in ("externalIPs", "loadBalancerIP", "loadBalancerClass", "loadBalancerSourceRanges"):
        spec.pop(name, None)
    for name in ("externalTrafficPolicy", "allocateLoadBalancerNodePorts"):
        spec.pop(name, None)
    for port in spec.get("ports") or []:
        port.pop("nodePort", None)
    document["metadata"].pop("annotations", None)


_ASLEEP: dict[str, Callable[[Object], None]] = {
    "configmaps": _as_it_is,
    "secrets": _as_it_is,
    "serviceaccounts": _as_it_is,
    "limitranges": _as_it_is,
    "roles.rbac.authorization.k8s.io": _as_it_is,
    "rolebindings.rbac.authorization.k8s.io": _as_it_is,
    "networkpolicies.networking.k8s.io": _as_it_is,
    "poddisruptionbudgets.policy": _as_it_is,
    "services": _inside_only,
    "deployments.apps": _no_replicas,
    "statefulsets.apps": _no_replicas,
    "cronjobs.batch": _suspended,
    "jobs.batch": _suspended,
}


def is_wanted(document: Object, resource: Resource, only: tuple[str, ...]) -> bool:
    """Tell whether an object is among those that are asked for.

    Args:
        document: The object.
        resource: What it is.
        only: `Deployment`, `deployments/apex-*`, `*/apex-config`, or labels such as `app=api,tier=cache`; of kinds and
            names one must fit, of labels all; everything where there is nothing.
    """
    labels = [pair for entry in only if "=" in entry for pair in entry.split(",")]
    names = [entry for entry in only if "=" not in entry]
    own = document["metadata"].get("labels") or {}
    if any(own.get(pair.partition("=")[0]) != pair.partition("=")[2] for pair in labels):
        return False
    return not names or any(_fits(entry, document, resource) for entry in names)


def _fits(entry: str, document: Object, resource: Resource) -> bool:
    kind, _, pattern = entry.partition("/")
    return (kind == "*" or resource.is_called(kind)) and fnmatchcase(document["metadata"]["name"], pattern or "*")


def lacks(wanted: object, present: object, path: str = "") -> str:
    """Return the first field of a document that an object has otherwise, or nothing; what the server added is fine."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        for name, value in wanted.items():
            if path == "" and name == "apiVersion":
                continue
            if name not in present and value not in ({}, [], None, "", False, 0):
                return f"{path}.{name}"
            if found := lacks(value, present.get(name, value), f"{path}.{name}"):
                return found
        return ""
    if isinstance(wanted, list) and isinstance(present, list):
        if len(wanted) != len(present):
            return path
        pairs = enumerate(zip(wanted, present, strict=True))
        return next((found for at, (one, other) in pairs if (found := lacks(one, other, f"{path}[{at}]"))), "")
    return "" if wanted == present and isinstance(wanted, bool) == isinstance(present, bool) else path or "."
