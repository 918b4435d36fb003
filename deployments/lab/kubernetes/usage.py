"""What pods and nodes use, as metrics-server would tell it. Made up, but the same from one look to the next."""

from __future__ import annotations

import hashlib
from typing import Any

from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, timestamp

_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_BUSY, _CALM = 0.97, (0.20, 0.45)


def quantity(text: str) -> float:
    """Read a Kubernetes quantity such as `250m` or `2Gi`."""
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * _SUFFIXES[suffix]
    return float(text)


def _share(name: str, *, busy: bool) -> float:
    low, high = _CALM
    return _BUSY if busy else low + (high - low) * hashlib.sha256(name.encode()).digest()[0] / 255


def pod_metrics(store: Store, pod: Object, busy: set[str]) -> Object:
    """Make the PodMetrics of a running pod from its containers' limits."""
    meta = pod["metadata"]
    share = _share(meta["name"], busy=(meta.get("labels") or {}).get("app") in busy)
    containers = []
    for container in pod["spec"]["containers"]:
        limits = (container.get("resources") or {}).get("limits") or {}
        cpu = round(quantity(limits.get("cpu", "1")) * share * 1e9)
        memory = round(quantity(limits.get("memory", "512Mi")) * share / 1024)
        containers.append({"name": container["name"], "usage": {"cpu": f"{cpu}n", "memory": f"{memory}Ki"}})
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}
    return _envelope(store, "PodMetrics", kept) | {"containers": containers}


def node_metrics(store: Store, node: Object, busy: set[str]) -> Object:
    """Make the NodeMetrics of a node from its capacity."""
    share, capacity = (
        _share(node["metadata"]["name"], busy=node["metadata"]["name"] in busy),
        node["status"]["capacity"],
    )
    cpu, memory = round(quantity(capacity["cpu"]) * share * 1e9), round(quantity(capacity["memory"]) * share / 1024)
    kept = {key: node["metadata"][key] for key in ("name", "labels") if key in node["metadata"]}
    return _envelope(store, "NodeMetrics", kept) | {"usage": {"cpu": f"{cpu}n", "memory": f"{memory}Ki"}}


def _envelope(store: Store, kind: str, meta: dict[str, Any]) -> Object:
    now = timestamp(store.now())
    body: Object = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": kind}
    return body | {"metadata": meta | {"creationTimestamp": now}, "timestamp": now, "window": "15s"}


def autoscaler_metrics(metrics: list[Object], *, busy: bool) -> list[Object]:
    """Fill in what an autoscaler reads for each of its metrics."""
    current = []
    for metric in metrics:
        if metric["type"] == "Resource":
            aim = metric["resource"]["target"].get("averageUtilization", 100)
            value = {"averageUtilization": round(aim * (1.3 if busy else 0.6)), "averageValue": "250m"}
            current.append({"type": "Resource", "resource": {"name": metric["resource"]["name"], "current": value}})
        elif metric["type"] == "Pods":
            name = {"name": metric["pods"]["metric"]["name"]}
            current.append({"type": "Pods", "pods": {"metric": name, "current": {"averageValue": "60"}}})
    return current
