"""What an object must be before it is stored: the checks of the real server that a careless client trips over."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from deployments.lab.kubernetes.failures import Cause, bad_request, invalid
from deployments.lab.kubernetes.resources import Resource
from deployments.lab.kubernetes.selectors import Object, matches

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_QUANTITY = re.compile(r"[+-]?(\d+|\d+\.\d*|\.\d+)([KMGTPE]i|[mkMGTPEnu]|[eE][+-]?\d+)?")
_NAME_HELP = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com')"
)
_LONGEST_NAME, _LONGEST_LABEL, _LARGEST_SECRET = 253, 63, 1024 * 1024
_TOP = {
    "configmaps": {"data", "binaryData", "immutable"},
    "secrets": {"data", "stringData", "type", "immutable"},
}


def decode(resource: Resource, body: Any, namespace: str, name: str = "") -> Object:
    """Hold a body against the address that it was sent to, and return it with its namespace set.

    Raises:
        Failure: 400, it is of another kind, version, namespace or name.
    """
    if not isinstance(body, dict) or not body.get("kind"):
        raise bad_request("Object 'Kind' is missing in the body of the request")
    if body["kind"] != resource.kind or body.get("apiVersion") != resource.api_version:
        raise bad_request(
            f"{body['kind']} in version {body.get('apiVersion', '')!r} cannot be handled as a {resource.kind}: "
            f"the API version in the data ({body.get('apiVersion', '')}) does not match the expected API version "
            f"({resource.api_version})"
        )
    meta = body.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise bad_request("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
    meta = {key: value for key, value in (meta or {}).items() if value not in ({}, [], None)}
    if resource.namespaced:
        if meta.get("namespace") not in (None, "", namespace):
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = namespace
    if name and meta.get("name") not in (None, "", name):
        raise bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({name})",
        )
    if name:
        meta["name"] = name
    return {**body, "metadata": meta}


def check(resource: Resource, item: Object, before: Object | None = None) -> None:
    """Refuse what the real server would refuse.

    Args:
        resource: What it is.
        item: As it would be stored.
        before: As it was stored, for fields that must not change.

    Raises:
        Failure: 422 with every cause.
    """
    causes = [*_metadata(item["metadata"]), *_SPECIFIC.get(resource.plural, _nothing)(item)]
    if resource.plural in _TOP:
        allowed = _TOP[resource.plural] | {"apiVersion", "kind", "metadata"}
        causes += [Cause(field, "Unknown field") for field in sorted(item.keys() - allowed)]
    if before is not None:
        causes += _immutable(resource, item, before)
    if causes:
        raise invalid(resource, item["metadata"].get("name", ""), causes)


def _nothing(_: Object) -> Iterator[Cause]:
    return iter(())


def _required(field: str, what: str = "") -> Cause:
    return Cause(field, "Required value" + (f": {what}" if what else ""), "FieldValueRequired")


def _wrong(field: str, value: Any, why: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, f"Invalid value: {shown}: {why}")


def _metadata(meta: dict[str, Any]) -> Iterator[Cause]:
    name = meta.get("name", "")
    if not name:
        yield _required("metadata.name", "name or generateName is required")
    elif len(name) > _LONGEST_NAME or not _SUBDOMAIN.fullmatch(name.replace(":", "-")):
        yield _wrong("metadata.name", name, _NAME_HELP)
    for key, value in (meta.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > _LONGEST_LABEL or not _LABEL.fullmatch(value):
            yield _wrong("metadata.labels", value, f"a valid label must be 63 characters or less (label {key})")
    for key, value in (meta.get("annotations") or {}).items():
        if not isinstance(value, str):
            yield _wrong("metadata.annotations", key, "must be a string")


def _workload(item: Object) -> Iterator[Cause]:
    spec = item.get("spec") or {}
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        yield _wrong("spec.replicas", replicas, "must be greater than or equal to 0")
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        yield _required("spec.selector")
    elif not matches(selector, labels):
        yield _wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec")


def _pod(item: Object) -> Iterator[Cause]:
    yield from _pod_spec(item.get("spec") or {}, "spec")


def _cron_job(item: Object) -> Iterator[Cause]:
    spec = item.get("spec") or {}
    try:
        CronSim(spec.get("schedule", ""), datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        yield _wrong("spec.schedule", spec.get("schedule", ""), str(error))
    zone = spec.get("timeZone")
    if zone is not None and zone not in available_timezones():
        yield _wrong("spec.timeZone", zone, f"unknown time zone {zone}")
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy not in ("Allow", "Forbid", "Replace"):
        message = f'Unsupported value: "{policy}": supported values: "Allow", "Forbid", "Replace"'
        yield Cause("spec.concurrencyPolicy", message, "FieldValueNotSupported")
    within = _job({"metadata": {}, "spec": (spec.get("jobTemplate") or {}).get("spec") or {}})
    yield from (Cause(f"spec.jobTemplate.{cause.field}", cause.message, cause.reason) for cause in within)


def _scaled_object(item: Object) -> Iterator[Cause]:
    """As the schema of KEDA's custom resource has it."""
    spec = item.get("spec") or {}
    if not (spec.get("scaleTargetRef") or {}).get("name"):
        yield _required("spec.scaleTargetRef.name")
    if not spec.get("triggers"):
        yield _required("spec.triggers")
    for index, trigger in enumerate(spec.get("triggers") or []):
        if not trigger.get("type"):
            yield _required(f"spec.triggers[{index}].type")
        for key, value in (trigger.get("metadata") or {}).items():
            if not isinstance(value, str):
                yield _wrong(f"spec.triggers[{index}].metadata.{key}", value, "must be of type string")


def _job(item: Object) -> Iterator[Cause]:
    spec = item.get("spec") or {}
    template = spec.get("template") or {}
    own = item["metadata"].get("uid")
    if not own and spec.get("selector") and not spec.get("manualSelector"):
        yield _wrong("spec.selector", spec["selector"], "`selector` not auto-generated")
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy not in ("OnFailure", "Never"):
        message = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield Cause("spec.template.spec.restartPolicy", message, "FieldValueNotSupported")


def _pod_spec(spec: dict[str, Any], path: str) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield _required(f"{path}.containers")
    seen: set[str] = set()
    for index, container in enumerate(containers):
        at = f"{path}.containers[{index}]"
        name = container.get("name", "")
        if not name:
            yield _required(f"{at}.name")
        elif name in seen:
            yield Cause(f"{at}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        seen.add(name)
        if not container.get("image"):
            yield _required(f"{at}.image")
        yield from _amounts(container, at)
        yield from _environment(container, at)


def _amounts(container: dict[str, Any], at: str) -> Iterator[Cause]:
    for side in ("requests", "limits"):
        for resource, amount in ((container.get("resources") or {}).get(side) or {}).items():
            if not _QUANTITY.fullmatch(str(amount)):
                why = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                yield _wrong(f"{at}.resources.{side}[{resource}]", str(amount), why)


def _environment(container: dict[str, Any], at: str) -> Iterator[Cause]:
    for position, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield _required(f"{at}.env[{position}].name")
        elif "value" in variable and not isinstance(variable["value"], str):
            raise bad_request("json: cannot unmarshal into Go struct field EnvVar.value of type string")


def _autoscaler(item: Object) -> Iterator[Cause]:
    spec = item.get("spec") or {}
    if not (spec.get("scaleTargetRef") or {}).get("name"):
        yield _required("spec.scaleTargetRef.name")
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if most < 1:
        yield _wrong("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield _wrong("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")


def _secret(item: Object) -> Iterator[Cause]:
    total = 0
    for key, value in (item.get("data") or {}).items():
        try:
            total += len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError, TypeError) as error:
            raise bad_request(f"illegal base64 data in Secret.data[{key}]") from error
    if total > _LARGEST_SECRET:
        yield Cause("data", "Too long: may not be more than 1048576 bytes", "FieldValueTooLong")


def _configmap(item: Object) -> Iterator[Cause]:
    for key, value in (item.get("data") or {}).items():
        if not isinstance(value, str):
            raise bad_request(f"json: cannot unmarshal into Go struct field ConfigMap.data[{key}] of type string")
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            yield _wrong(
                f"data[{key}]", key, "a valid config key must consist of alphanumeric characters, '-', '_', '.'"
            )


def _service(item: Object) -> Iterator[Cause]:
    spec = item.get("spec") or {}
    if not spec.get("ports") and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield _required("spec.ports")


def _immutable(resource: Resource, item: Object, before: Object) -> Iterator[Cause]:
    if before.get("immutable") and any(item.get(field) != before.get(field) for field in ("data", "binaryData")):
        yield Cause("data", "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")
    spec, old = item.get("spec") or {}, before.get("spec") or {}
    if resource.plural in ("deployments", "replicasets", "statefulsets") and spec.get("selector") != old.get(
        "selector"
    ):
        yield _wrong("spec.selector", spec.get("selector"), "field is immutable")
    if resource.plural == "services" and old.get("clusterIP") and spec.get("clusterIP") != old["clusterIP"]:
        yield _wrong("spec.clusterIPs[0]", spec.get("clusterIP"), "may not change once set")
    if resource.plural == "jobs" and spec.get("template") != old.get("template"):
        yield _wrong("spec.template", "...", "field is immutable")
    if resource.plural == "statefulsets":
        free = {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        }
        if any(spec.get(field) != old.get(field) for field in (spec.keys() | old.keys()) - free - {"selector"}):
            message = f"Forbidden: updates to statefulset spec for fields other than {sorted(free)} are forbidden"
            yield Cause("spec", message, "FieldValueForbidden")
    if resource.plural == "pods" and _fixed(spec) != _fixed(old):
        message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
        yield Cause("spec", message, "FieldValueForbidden")
    if resource.plural == "secrets" and item.get("type", "Opaque") != before.get("type", "Opaque"):
        yield _wrong("type", item.get("type"), "field is immutable")


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    containers = [{**container, "image": ""} for container in spec.get("containers") or []]
    free = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")
    return {key: value for key, value in spec.items() if key not in free} | {"containers": containers}


_SPECIFIC: dict[str, Callable[[Object], Iterator[Cause]]] = {
    "deployments": _workload,
    "replicasets": _workload,
    "statefulsets": _workload,
    "daemonsets": _workload,
    "pods": _pod,
    "jobs": _job,
    "cronjobs": _cron_job,
    "scaledobjects": _scaled_object,
    "horizontalpodautoscalers": _autoscaler,
    "secrets": _secret,
    "configmaps": _configmap,
    "services": _service,
}
