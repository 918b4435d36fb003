"""What the API says of itself: its version, `/api`, `/apis` and the lists of resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployments.lab.kubernetes.resources import RESOURCES, Resource, defined
from deployments.lab.kubernetes.store import Store

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0+lab",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}


_IN_ALL = {
    "pods",
    "services",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "horizontalpodautoscalers",
}


def offered(store: Store, *, metrics: bool) -> list[Resource]:
    """Return the resources of a cluster with or without metrics-server, those of its own definitions last."""
    own = [resource for item in store.all("customresourcedefinitions") for resource in defined(item)]
    return [resource for resource in RESOURCES if metrics or resource.group != "metrics.k8s.io"] + own


def describe(path: tuple[str, ...], resources: Iterable[Resource]) -> dict[str, Any] | None:
    """Answer a discovery path, or None where it is none."""
    resources = list(resources)
    groups = sorted({resource.group for resource in resources if resource.group})
    match path:
        case ("api",):
            addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}
        case ("apis",):
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, resources) for name in groups]}
        case ("api", "v1"):
            return _list("", "v1", resources)
        case ("apis", group) if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, resources)
        case ("apis", group, version) if any((r.group, r.version) == (group, version) for r in resources):
            return _list(group, version, resources)
    return None


def _group(name: str, resources: list[Resource]) -> dict[str, Any]:
    versions = dict.fromkeys(resource.version for resource in resources if resource.group == name)
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def _list(group: str, version: str, resources: list[Resource]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for resource in resources:
        if (resource.group, resource.version) == (group, version):
            entries.append(_entry(resource))
            entries += [_sub_entry(resource, name) for name in resource.subresources]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": entries}


def _entry(resource: Resource) -> dict[str, Any]:
    entry = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.plural in _IN_ALL and "watch" in resource.verbs:
        entry["categories"] = ["all"]
    return entry | ({"shortNames": list(resource.short)} if resource.short else {})


def _sub_entry(resource: Resource, name: str) -> dict[str, Any]:
    entry = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["get", "patch", "update"],
    }
    if name == "scale":
        return entry | {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    if name == "eviction":
        return entry | {"group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]}
    return entry | ({"verbs": ["get"]} if name == "log" else {})
