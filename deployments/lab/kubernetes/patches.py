"""The ways to change an object: merge patch (RFC 7386), JSON patch (RFC 6902) and strategic merge."""

from __future__ import annotations

import copy
from http import HTTPStatus
from typing import Any

import jsonpatch
import jsonpointer

from deployments.lab.kubernetes.failures import Failure, bad_request, unprocessable

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "secrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "topologySpreadConstraints": "topologyKey",
}
_MERGED_PRIMITIVES = {"finalizers"}
_ORDER, _DELETE_FROM, _RETAIN, _DIRECTIVE = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def merge_key(field: str, items: list[Any]) -> str | None:
    """Return the key by which a list's items are told apart, or None where the list is replaced as a whole."""
    if field == "ports":
        return "containerPort" if any(isinstance(item, dict) and "containerPort" in item for item in items) else "port"
    return _MERGE_KEYS.get(field)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch carried out: null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Return the target with a list of operations carried out.

    Raises:
        Failure: 400 for what is no JSON patch, 422 for one that does not fit the object.
    """
    if not isinstance(patch, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        result = jsonpatch.apply_patch(target, patch)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(str(error)) from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise unprocessable("the server rejected our request due to an error in our request") from error
    if not isinstance(result, dict):
        raise bad_request("the patch leaves no object")
    return result


def strategic_merge(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the target with a strategic merge patch carried out: known lists are merged by their key.

    Raises:
        Failure: 400 for an unknown directive, 500 where an item lacks its list's merge key, as the real server does.
    """
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"Unknown patch type found: {directive}")
    result = dict(target)
    if (kept := patch.get(_RETAIN)) is not None:
        result = {key: value for key, value in result.items() if key in kept}
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            field = key.removeprefix(_DELETE_FROM)
            result[field] = [item for item in result.get(field) or [] if item not in value]
        elif not key.startswith("$"):
            _merge_field(result, key, value, patch)
    for key, order in patch.items():
        if key.startswith(_ORDER):
            _reorder(result, key.removeprefix(_ORDER), order)
    return result


def _merge_field(result: dict[str, Any], key: str, value: Any, patch: dict[str, Any]) -> None:
    present = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = strategic_merge(present if isinstance(present, dict) else {}, value)
    elif isinstance(value, list) and key in _MERGED_PRIMITIVES:
        result[key] = [*(present or []), *(item for item in value if item not in (present or []))]
    elif isinstance(value, list) and (by := merge_key(key, [*(present or []), *value])) is not None:
        result[key] = _merge_list(present or [], value, by)
    else:
        result[key] = copy.deepcopy(value)
    if result.get(key) == [] and f"{_DELETE_FROM}{key}" in patch:
        del result[key]


def _merge_list(present: list[Any], patch: list[Any], by: str) -> list[Any]:
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
        return [copy.deepcopy(item) for item in patch if item.get(_DIRECTIVE) != "replace"]
    result = list(present)
    for item in patch:
        if not isinstance(item, dict) or by not in item:
            message = f"map: {item} does not contain declared merge key: {by}"
            raise Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", message)
        position = next((index for index, old in enumerate(result) if old.get(by) == item[by]), None)
        if item.get(_DIRECTIVE) == "delete":
            result = [old for old in result if old.get(by) != item[by]]
        elif position is None:
            result.append(strategic_merge({}, item))
        else:
            result[position] = strategic_merge(result[position], item)
    return result


def _reorder(result: dict[str, Any], field: str, order: list[Any]) -> None:
    items = result.get(field)
    if not isinstance(items, list):
        return
    by = merge_key(field, items)
    if by is None:
        wanted, names = list(order), list(items)
    else:
        wanted, names = [item.get(by) for item in order], [item.get(by) for item in items]
    last = len(wanted)
    rank = {id(item): wanted.index(name) if name in wanted else last for item, name in zip(items, names, strict=True)}
    result[field] = sorted(items, key=lambda item: rank[id(item)])
