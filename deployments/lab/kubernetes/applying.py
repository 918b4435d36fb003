"""Server-side apply: a manager owns the fields that it applied, and may not take another's without force."""

from __future__ import annotations

import json
from typing import Any

from deployments.lab.kubernetes.failures import Cause, apply_conflict, bad_request, invalid
from deployments.lab.kubernetes.patches import merge_key, strategic_merge
from deployments.lab.kubernetes.resources import Resource
from deployments.lab.kubernetes.selectors import Object
from deployments.lab.kubernetes.store import Store, timestamp

Field = tuple[str, ...]
_IDENTITY = {"apiVersion", "kind"}
_SERVERS = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}


def apply(
    store: Store, resource: Resource, present: Object | None, wanted: Object, *, manager: str, force: bool
) -> Object:
    """Return the object with a manager's configuration applied.

    Raises:
        Failure: 400, 409 or 422, as the real server does.
    """
    if not manager:
        cause = Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
        raise invalid(
            Resource("meta.k8s.io", "v1", "patchoptions", "PatchOptions"), wanted["metadata"].get("name", ""), [cause]
        )
    if wanted["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    fields = set(_leaves(wanted))
    before = present or {"metadata": {}}
    owners = {entry["manager"]: entry for entry in before["metadata"].get("managedFields") or []}
    _no_conflict(before, wanted, owners, manager, force=force)
    result = strategic_merge(before, wanted)
    for field in sorted(_owned(owners.get(manager)) - fields, key=_is_key):
        if not any(field in _owned(entry) for name, entry in owners.items() if name != manager):
            result = _without(result, field)
    others = [
        _entry(store, resource, name, _owned(entry) - fields if force else _owned(entry), entry["operation"])
        for name, entry in owners.items()
        if name != manager
    ]
    entries = [*others, _entry(store, resource, manager, fields, "Apply")]
    kept = [entry for entry in entries if entry["fieldsV1"]]
    if present is not None and _same(result, present) and _fields_of(kept) == _fields_of(owners.values()):
        return present
    return {**result, "metadata": {**result["metadata"], "managedFields": kept}}


def _no_conflict(before: Object, wanted: Object, owners: dict[str, Any], manager: str, *, force: bool) -> None:
    if force:
        return
    new, old = dict(_values(wanted)), dict(_values(before))
    for name, entry in owners.items():
        if name == manager:
            continue
        taken = [f for f in sorted(_owned(entry)) if f in new and f in old and new[f] != old[f]]
        if taken:
            raise apply_conflict(name, [_written(field) for field in taken])


def _values(item: Any, path: Field = ()) -> list[tuple[Field, Any]]:
    """List the leaves of an object under the names that `managedFields` gives them: `f:spec`, `k:{"name":"api"}`."""
    if isinstance(item, dict) and item:
        found = []
        for name, value in item.items():
            if (path == () and name in _IDENTITY) or (path == ("f:metadata",) and name in _SERVERS):
                continue
            found += _values(value, (*path, f"f:{name}"))
        return found
    if isinstance(item, list) and (by := merge_key(path[-1][2:], item)) and all(by in entry for entry in item):
        return [leaf for entry in item for leaf in _values(entry, (*path, _item_name(by, entry[by])))]
    return [(path, item)] if path else []


def _item_name(by: str, value: Any) -> str:
    return "k:" + json.dumps({by: value}, separators=(",", ":"))


def _leaves(item: Object) -> list[Field]:
    return [path for path, _ in _values(item)]


def _is_key(field: Field) -> bool:
    """Tell whether a field is the name of its list's item: it goes last, and only when nothing else is left."""
    return len(field) > 1 and field[-2].startswith("k:") and field[-1][2:] in json.loads(field[-2][2:])


def _without(item: Any, field: Field) -> Any:
    """Return a copy without a field, and without what became empty by it."""
    head, *rest = field
    if isinstance(item, list):
        ((by, value),) = json.loads(head[2:]).items()
        pairs = [(entry, entry.get(by) == value and (rest != [f"f:{by}"] or len(entry) == 1)) for entry in item]
        result = [_without(entry, tuple(rest)) if hit and rest else entry for entry, hit in pairs]
        return [entry for entry in result if entry != {}]
    name = head[2:]
    if not isinstance(item, dict) or name not in item:
        return item
    shrunk = {key: value for key, value in item.items() if key != name}
    if rest and (inner := _without(item[name], tuple(rest))) not in ({}, []):
        shrunk[name] = inner
    return shrunk


def _entry(store: Store, resource: Resource, manager: str, fields: set[Field], operation: str) -> Object:
    tree: dict[str, Any] = {}
    for field in sorted(fields):
        here = tree
        for part in field:
            here = here.setdefault(part, {})
    entry = {"manager": manager, "operation": operation, "apiVersion": resource.api_version}
    return entry | {"time": timestamp(store.now()), "fieldsType": "FieldsV1", "fieldsV1": tree}


def _owned(entry: Object | None) -> set[Field]:
    def walk(tree: dict[str, Any], path: Field) -> set[Field]:
        if not tree:
            return {path} if path else set()
        return {field for key, inner in tree.items() for field in walk(inner, (*path, key))}

    return walk(entry["fieldsV1"], ()) if entry else set()


def _fields_of(entries: Any) -> dict[str, set[Field]]:
    return {entry["manager"]: _owned(entry) for entry in entries}


def _same(one: Object, other: Object) -> bool:
    def bare(item: Object) -> Object:
        meta = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
        return {**item, "metadata": meta}

    return bare(one) == bare(other)


def _written(field: Field) -> str:
    """Write a field as messages do: `.spec.containers[name="api"].image`."""

    def item(part: str) -> str:
        ((by, value),) = json.loads(part[2:]).items()
        return f"[{by}={json.dumps(value)}]"

    return "".join(item(part) if part.startswith("k:") else f".{part[2:]}" for part in field)
