"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deployments.lab.kubernetes.failures import bad_request
from deployments.lab.kubernetes.resources import Resource

Object = dict[str, Any]
Test = Callable[[Object], bool]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*)?(?P<key>{_KEY})\s*"
    rf"(?:(?P<operator>==|=|!=|<|>)\s*(?P<value>{_VALUE})|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?\s*"
)
_FIELDS = {
    "pods": {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    },
    "events": {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    },
    "secrets": {"type"},
    "namespaces": {"status.phase"},
    "nodes": {"spec.unschedulable"},
    "replicasets": {"status.replicas"},
    "jobs": {"status.successful"},
}


def label_selector(text: str) -> Test:
    """Parse a label selector such as `app=api,tier in (a, b),!canary`.

    Raises:
        Failure: 400, it is none.
    """
    tests = [_requirement(part, text) for part in re.split(r",(?![^()]*\))", text)] if text.strip() else []
    return lambda item: all(test(item["metadata"].get("labels") or {}) for test in tests)


def _requirement(part: str, text: str) -> Callable[[Mapping[str, str]], bool]:
    match = _REQUIREMENT.fullmatch(part)
    if match is None or (match["absent"] and (match["operator"] or match["set"])):
        raise bad_request(f'unable to parse requirement: found "{part.strip()}" in "{text}"')
    key = match["key"]
    if match["set"]:
        values = {value.strip() for value in match["values"].split(",")}
        wanted = match["set"] == "in"
        return lambda labels: (labels.get(key) in values) is wanted
    value = match["value"]
    match match["operator"]:
        case "=" | "==":
            return lambda labels: labels.get(key) == value
        case "!=":
            return lambda labels: labels.get(key) != value
        case "<" | ">" as operator:
            return lambda labels: _compare(labels.get(key), operator, value)
        case _:
            wanted = not match["absent"]
            return lambda labels: (key in labels) is wanted


def _compare(label: str | None, operator: str, value: str) -> bool:
    if label is None or not re.fullmatch(r"-?\d+", label):
        return False
    return int(label) > int(value) if operator == ">" else int(label) < int(value)


def field_selector(text: str, resource: Resource) -> Test:
    """Parse a field selector such as `status.phase!=Running,metadata.name=x`.

    Raises:
        Failure: 400, it is none or the resource does not offer that field.
    """
    offered = {"metadata.name"} | ({"metadata.namespace"} if resource.namespaced else set())
    offered |= _FIELDS.get(resource.plural, set())
    tests: list[Test] = []
    for part in text.split(",") if text.strip() else []:
        match = re.fullmatch(r"\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = match.groups()
        if field not in offered:
            message = f'Unable to find "{resource.api_version}, Resource={resource.plural}" that match field selector'
            raise bad_request(f'{message} "{text}": field label not supported: {field}')
        tests.append(_field_test(field, value, wanted=operator != "!="))
    return lambda item: all(test(item) for test in tests)


def _field_test(field: str, value: str, *, wanted: bool) -> Test:
    def test(item: Object) -> bool:
        here: Any = item
        for part in field.split("."):
            here = here.get(part) if isinstance(here, dict) else None
        text = str(here).lower() if isinstance(here, bool) else "" if here is None else str(here)
        return (text == value) is wanted

    return test


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Tell whether an object's own selector (`matchLabels`, `matchExpressions`) selects these labels."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], expression.get("values") or []
        found = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not found[expression["operator"]]:
            return False
    return True
