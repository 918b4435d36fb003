"""Creating, replacing, patching and deleting, with everything that the real server does on the way."""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml

from deployments.lab.kubernetes import patches
from deployments.lab.kubernetes.applying import apply
from deployments.lab.kubernetes.failures import Cause, bad_request, conflict, invalid, not_found, unsupported_media_type
from deployments.lab.kubernetes.resources import Resource, defined, known
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, timestamp
from deployments.lab.kubernetes.validation import check, decode

_RETURNED_WHEN_DELETED = {"pods", "persistentvolumeclaims", "serviceaccounts", "services"}
_DEFAULT_GRACE = 30
_OPTIONS = Resource("meta.k8s.io", "v1", "options", "Options")


def dry(query: Mapping[str, Any]) -> bool:
    """Tell whether a request is only tried.

    Raises:
        Failure: 422, `dryRun` is something else than `All`.
    """
    given = query.get("dryRun")
    values = given if isinstance(given, list) else [given] if given else []
    for value in values:
        if value != "All":
            message = f'Unsupported value: "{value}": supported values: "All"'
            raise invalid(_OPTIONS, "", [Cause("dryRun", message, "FieldValueNotSupported")])
    return bool(values)


def create(store: Store, resource: Resource, namespace: str, body: Any, query: Mapping[str, str]) -> Object:
    """Store a new object.

    Raises:
        Failure: 400, 404 (no such namespace), 409, 422.
    """
    item = decode(resource, body, namespace)
    meta = item["metadata"]
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if namespace and store.peek(known("namespaces"), "", namespace) is None:
        raise not_found(known("namespaces"), namespace)
    if not meta.get("name") and meta.get("generateName"):
        meta = {**meta, "name": meta["generateName"] + secrets.token_hex(3)[:5]}
    kept = {key: value for key, value in meta.items() if key not in ("uid", "creationTimestamp", "generation")}
    return store.add(resource, _first(store, resource, {**item, "metadata": kept}), dry_run=dry(query))


def _first(store: Store, resource: Resource, item: Object) -> Object:
    """Return a new object as it is stored: with defaults, a first status, and an address."""
    item = _defaulted(resource, item)
    if "status" in resource.subresources:
        item.pop("status", None)
        item |= {"status": _first_status(resource)} if resource.plural in ("pods", "namespaces") else {}
    check(resource, item)
    if resource.plural == "namespaces":
        labels = {**(item["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": item["metadata"]["name"]}
        item["metadata"] = {**item["metadata"], "labels": labels}
    return with_address(store, item) if resource.plural == "services" else item


def with_address(store: Store, service: Object) -> Object:
    """Give a service an address of the cluster, or hold the one that it asks for.

    Raises:
        Failure: 422, another service has it.
    """
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return service
    taken = {item["spec"].get("clusterIP") for item in store.all("services")} - {"None"}
    free = (f"10.96.{number >> 8}.{number & 255}" for number in range(10, 1 << 16))
    address = spec.get("clusterIP") or next(one for one in free if one not in taken)
    if address in taken:
        message = f'Invalid value: ["{address}"]: failed to allocate IP {address}: provided IP is already allocated'
        raise invalid(known("services"), service["metadata"]["name"], [Cause("spec.clusterIPs", message)])
    defaults = {"type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
    return {**service, "spec": {**defaults, **spec, "clusterIP": address, "clusterIPs": [address]}}


def _first_status(resource: Resource) -> Object:
    return {"phase": "Active"} if resource.plural == "namespaces" else {"phase": "Pending", "qosClass": "BestEffort"}


def _defaulted(resource: Resource, item: Object, before: Object | None = None) -> Object:
    """Fill in the defaults that readers rely on, and drop nulls where types are known, as decoding does."""
    item = copy.deepcopy(item) if resource.custom else _without_nulls(item)
    spec = item.setdefault("spec", {}) if resource.has_generation and not resource.custom else item.get("spec", {})
    if resource.plural in ("deployments", "statefulsets", "replicasets"):
        spec.setdefault("replicas", 1)
    if resource.plural == "deployments":
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", 10)
        strategy = spec.setdefault("strategy", {"type": "RollingUpdate"})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {"maxSurge": "25%", "maxUnavailable": "25%"})
    if resource.plural == "horizontalpodautoscalers":
        spec.setdefault("minReplicas", 1)
    if resource.plural == "services" and before is not None:
        for field in ("clusterIP", "clusterIPs"):
            if field in before["spec"]:
                spec.setdefault(field, before["spec"][field])
    if resource.plural == "secrets":
        item.setdefault("type", "Opaque")
        for key, value in (item.pop("stringData", None) or {}).items():
            item.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
    return item


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def replace(
    store: Store, resource: Resource, namespace: str, name: str, body: Any, query: Mapping[str, str], part: str = ""
) -> Object:
    """Replace an object, or only its status.

    Raises:
        Failure: 400, 404, 409, 422.
    """
    item = decode(resource, body, namespace, name)
    with store.lock:
        return _store(store, resource, store.get(resource, namespace, name), item, part=part, dry_run=dry(query))


def patch(
    store: Store,
    resource: Resource,
    namespace: str,
    name: str,
    body: bytes,
    content_type: str,
    query: Mapping[str, str],
    part: str = "",
) -> tuple[Object, bool]:
    """Patch an object, or its status; server-side apply may create it.

    Returns:
        The object and whether it is new.

    Raises:
        Failure: 400, 404, 409, 415, 422.
    """
    with store.lock:
        if content_type == patches.APPLY:
            return _apply(store, resource, namespace, name, body, query)
        present = store.get(resource, namespace, name)
        changed = patched(resource, present, body, content_type)
        return _store(store, resource, present, changed, part=part, dry_run=dry(query)), False


def patched(resource: Resource, present: Object, body: bytes, content_type: str) -> Object:
    """Return an object with a patch of any of the three types carried out."""
    accepted = [patches.JSON_PATCH, patches.MERGE_PATCH, patches.APPLY]
    accepted += [] if resource.custom else [patches.STRATEGIC_MERGE]
    if content_type not in accepted:
        raise unsupported_media_type(accepted)
    try:
        change = json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if content_type == patches.JSON_PATCH:
        return patches.json_patch(present, change)
    if not isinstance(change, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    merge = patches.strategic_merge if content_type == patches.STRATEGIC_MERGE else patches.merge_patch
    result: Object = merge(present, change)
    return result


def _apply(
    store: Store, resource: Resource, namespace: str, name: str, body: bytes, query: Mapping[str, str]
) -> tuple[Object, bool]:
    try:
        wanted = decode(resource, yaml.safe_load(body), namespace, name)
    except yaml.YAMLError as error:
        raise bad_request("error decoding YAML") from error
    present = store.peek(resource, namespace, name)
    manager, force = query.get("fieldManager", ""), query.get("force") == "true"
    item = apply(store, resource, present, wanted, manager=manager, force=force)
    if present is None:
        if namespace and store.peek(known("namespaces"), "", namespace) is None:
            raise not_found(known("namespaces"), namespace)
        managed = item["metadata"].pop("managedFields")
        created = _first(store, resource, item)
        created["metadata"]["managedFields"] = managed
        return store.add(resource, created, dry_run=dry(query)), True
    return _store(store, resource, present, item, part="", dry_run=dry(query)), False


def _store(store: Store, resource: Resource, present: Object, item: Object, *, part: str, dry_run: bool) -> Object:
    meta, old = item.get("metadata") or {}, present["metadata"]
    for field in ("name", "namespace", "uid"):
        if meta.get(field, old.get(field)) != old.get(field):
            raise conflict(resource, old["name"], f"Precondition failed: {field} in object meta: {meta.get(field)}")
    meta = {**meta, **{field: old[field] for field in ("name", "namespace", "uid") if field in old}}
    if part == "status":
        item = {**present, "status": item.get("status", {}), "metadata": {**old, "resourceVersion": _claim(meta)}}
    else:
        item = _defaulted(resource, {**item, "metadata": meta}, present)
        if "status" in resource.subresources:
            item.pop("status", None)
            item |= {"status": present["status"]} if "status" in present else {}
        check(resource, item, present)
    if not item["metadata"].get("resourceVersion"):
        item["metadata"].pop("resourceVersion", None)
    return store.put(resource, item, dry_run=dry_run)


def _claim(meta: dict[str, Any]) -> str:
    return str(meta.get("resourceVersion") or "")


def delete(
    store: Store, resource: Resource, namespace: str, name: str, body: Any, query: Mapping[str, str]
) -> tuple[Object, bool]:
    """Delete an object; a body's options count and then those of the query do not.

    Returns:
        What is answered, and whether it is still there for its grace period or finalizers.

    Raises:
        Failure: 400, 404, 409 (precondition).
    """
    options: Mapping[str, Any] = body if isinstance(body, dict) and body else query
    with store.lock:
        item = store.get(resource, namespace, name)
        _preconditions(resource, item, options.get("preconditions"))
        meta = item["metadata"]
        dry_run = dry(options)
        grace = options.get("gracePeriodSeconds", _DEFAULT_GRACE if resource.plural == "pods" else 0)
        if not str(grace).isdigit():
            raise bad_request(f"gracePeriodSeconds: Invalid value: {grace}")
        if not dry_run and options.get("propagationPolicy") == "Orphan":
            _orphan(store, item)
        if int(grace) or meta.get("finalizers"):
            if not dry_run and not meta.get("deletionTimestamp"):
                at = timestamp(store.now() + timedelta(seconds=int(grace)))
                item = store.mark(resource, item, deletionTimestamp=at, deletionGracePeriodSeconds=int(grace))
            return item, True
        removed = store.remove(resource, namespace, name, dry_run=dry_run)
        if resource.plural == "namespaces" and not dry_run:
            _empty(store, name)
        if resource.plural == "customresourcedefinitions" and not dry_run:
            for gone in defined(item)[:1]:
                for one in store.of(gone):
                    store.remove(gone, one["metadata"].get("namespace", ""), one["metadata"]["name"])
    if resource.plural in _RETURNED_WHEN_DELETED:
        return removed, False
    details = {"name": name, "group": resource.group, "kind": resource.plural, "uid": meta["uid"]}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return status | {"details": {key: value for key, value in details.items() if value}}, False


def _preconditions(resource: Resource, item: Object, wanted: Mapping[str, Any] | None) -> None:
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted and field in wanted and wanted[field] != item["metadata"][field]:
            why = f"Precondition failed: {label} in precondition: {wanted[field]}, "
            raise conflict(
                resource,
                item["metadata"]["name"],
                f"{why}{label} in object meta: {item['metadata'][field]}",
            )


def _orphan(store: Store, owner: Object) -> None:
    uid = owner["metadata"]["uid"]
    for plural in ("replicasets", "pods", "jobs", "controllerrevisions"):
        for item in store.all(plural, owner["metadata"].get("namespace", "")):
            owners = item["metadata"].get("ownerReferences") or []
            if any(entry["uid"] == uid for entry in owners):
                rest = [entry for entry in owners if entry["uid"] != uid]
                store.put(known(plural), {**item, "metadata": {**item["metadata"], "ownerReferences": rest}})


def _empty(store: Store, namespace: str) -> None:
    for resource in store.resources():
        if resource.namespaced:
            for item in store.all(resource.plural, namespace, resource.group):
                store.remove(resource, namespace, item["metadata"]["name"])
