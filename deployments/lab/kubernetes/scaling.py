"""The scale subresource of deployments, replica sets and stateful sets."""

from __future__ import annotations

from deployments.lab.kubernetes import writing
from deployments.lab.kubernetes.failures import bad_request
from deployments.lab.kubernetes.resources import Resource
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store
from deployments.lab.kubernetes.validation import decode
from deployments.lab.loopback import Request

_SCALE = Resource("autoscaling", "v1", "scales", "Scale")


def read_scale(item: Object) -> Object:
    """Show an object as a Scale."""
    meta = item["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    labels = item["spec"]["selector"].get("matchLabels") or {}
    status = {"replicas": (item.get("status") or {}).get("replicas", 0)}
    return {
        "kind": _SCALE.kind,
        "apiVersion": _SCALE.api_version,
        "metadata": kept,
        "spec": {"replicas": item["spec"]["replicas"]} if item["spec"]["replicas"] else {},
        "status": status | {"selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))},
    }


def write_scale(store: Store, resource: Resource, item: Object, request: Request) -> Object:
    """Scale an object by a Scale or by a patch of it.

    Raises:
        Failure: 400, 404, 409, 415, 422.
    """
    with store.lock:
        present = read_scale(item)
        if request.method == "PATCH":
            wanted = writing.patched(resource, present, request.body, request.content_type)
        else:
            try:
                wanted = decode(_SCALE, request.json(), item["metadata"]["namespace"], item["metadata"]["name"])
            except ValueError as error:
                raise bad_request(f"json parse error: {error}") from error
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        meta = {**item["metadata"], "resourceVersion": version}
        changed = {**item, "metadata": meta, "spec": {**item["spec"], "replicas": replicas}}
        where = (item["metadata"]["namespace"], item["metadata"]["name"])
        return read_scale(writing.replace(store, resource, *where, changed, request.query))
