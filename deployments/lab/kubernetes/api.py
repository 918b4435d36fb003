"""The HTTP side of a cluster: who asks, what for, and the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any

from deployments.lab.kubernetes import discovery, logs, usage, writing
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.events import as_new
from deployments.lab.kubernetes.failures import (
    Cause,
    Failure,
    bad_request,
    expired,
    forbidden_path,
    invalid,
    method_not_allowed,
    no_such_path,
    not_acceptable,
    not_found,
    unauthorized,
    unsupported_media_type,
)
from deployments.lab.kubernetes.faults import writes_of
from deployments.lab.kubernetes.rbac import ANONYMOUS, Wish, allowed, require
from deployments.lab.kubernetes.resources import Resource, known
from deployments.lab.kubernetes.scaling import read_scale, write_scale
from deployments.lab.kubernetes.selectors import Object, Test, field_selector, label_selector
from deployments.lab.loopback import Answer, Request

_OPEN = {"version", "healthz", "livez", "readyz"}
_BODIES = ("application/json", "")
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LONGEST_WATCH = 300.0


@dataclass(frozen=True)
class Target:
    """What a path names."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    part: str = ""


def handle(cluster: Cluster, request: Request) -> Answer:
    """Answer one request as the API server would, dated by the cluster's clock."""
    answer = _answered(cluster, request)
    return replace(answer, headers={**answer.headers, "Date": format_datetime(cluster.now(), usegmt=True)})


def _answered(cluster: Cluster, request: Request) -> Answer:
    try:
        return _route(cluster, request)
    except Failure as failure:
        if failure.status["message"] == "404 page not found":
            return Answer.text("404 page not found\n", 404)
        return Answer.of(failure.status, failure.code)


def _route(cluster: Cluster, request: Request) -> Answer:
    user = _user(cluster, request.headers)
    path = tuple(part for part in request.path.split("/") if part)
    accept = request.headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("application/json", "*/*", "application/*", "text/plain")):
        raise not_acceptable()
    if not path or path[0] not in ("api", "apis"):
        return _plain(user, path, request)
    if user == ANONYMOUS:
        raise forbidden_path(user, _VERBS.get(request.method, "get"), request.path)
    described = discovery.describe(path, _offered(cluster))
    if described is not None:
        if request.method != "GET":
            raise method_not_allowed()
        return Answer.of(described)
    return _serve(cluster, user, _target(cluster, path), request)


def _offered(cluster: Cluster) -> list[Resource]:
    return discovery.offered(cluster.store, metrics=cluster.troubles.metrics)


def _user(cluster: Cluster, headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if not token:
        return ANONYMOUS
    if scheme.lower() != "bearer" or token not in cluster.tokens:
        raise unauthorized()
    return cluster.tokens[token]


def _plain(user: str, path: tuple[str, ...], request: Request) -> Answer:
    if not path or path[0] not in _OPEN:
        if user == ANONYMOUS:
            raise forbidden_path(user, "get", request.path)
        raise no_such_path()
    if path == ("version",):
        return Answer.of(discovery.VERSION)
    return Answer.text("ok")


def _target(cluster: Cluster, path: tuple[str, ...]) -> Target:
    group, parts = ("", path[1:]) if path[0] == "api" else (path[1] if len(path) > 1 else "", path[2:])
    if not parts:
        raise no_such_path()
    version, *rest = parts
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (rest[2] not in ("status", "finalize") or len(rest) > 3):  # noqa: PLR2004
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:  # noqa: PLR2004
        raise no_such_path()
    wanted = (group, version, rest[0])
    resource = next((r for r in _offered(cluster) if (r.group, r.version, r.plural) == wanted), None)
    if resource is None:
        raise no_such_path()
    name, part = (*rest[1:], "", "")[:2]
    if (namespace and not resource.namespaced) or (name and resource.namespaced and not namespace):
        raise no_such_path()
    if part and part not in resource.subresources:
        raise no_such_path()
    return Target(resource, namespace, name, part)


def _serve(cluster: Cluster, user: str, target: Target, request: Request) -> Answer:
    verb = _verb(target, request)
    if verb not in target.resource.verbs and not target.part:
        raise method_not_allowed()
    require(cluster.store, user, Wish(verb, target.resource, target.part, target.namespace, target.name))
    if target.resource.kind == "SelfSubjectAccessReview":
        return _access_review(cluster, user, request)
    if target.part:
        return _part(cluster, target, request)
    return _item(cluster, target, request) if target.name else _collection(cluster, target, request)


def _item(cluster: Cluster, target: Target, request: Request) -> Answer:
    match request.method:
        case "GET":
            return Answer.of(_shown(target.resource, _get(cluster, target)))
        case "PUT":
            return _replace(cluster, target, request)
        case "PATCH":
            return _patch(cluster, target, request)
        case "DELETE":
            return _delete(cluster, target, request)
    raise method_not_allowed()


def _collection(cluster: Cluster, target: Target, request: Request) -> Answer:
    match request.method:
        case "GET":
            return _list(cluster, target, request)
        case "POST" if target.namespace or not target.resource.namespaced:
            body = _json(request)
            item = writing.create(cluster.store, target.resource, target.namespace, body, request.query)
            return Answer.of(item, 201)
        case "DELETE":
            return _delete_all(cluster, target, request)
    raise method_not_allowed()


def _replace(cluster: Cluster, target: Target, request: Request) -> Answer:
    return Answer.of(
        writing.replace(
            cluster.store,
            target.resource,
            target.namespace,
            target.name,
            _json(request),
            request.query,
            target.part,
        )
    )


def _verb(target: Target, request: Request) -> str:
    if request.method == "GET" and not target.name:
        return "watch" if request.query.get("watch") in ("true", "1") else "list"
    if request.method == "DELETE" and not target.name:
        return "deletecollection"
    if request.method not in _VERBS:
        raise method_not_allowed()
    return _VERBS[request.method]


def _json(request: Request) -> Any:
    if request.content_type not in _BODIES:
        raise unsupported_media_type(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"])
    try:
        return request.json() if request.body else {}
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _get(cluster: Cluster, target: Target) -> Object:
    store = cluster.store
    if target.resource.group != "metrics.k8s.io":
        return store.get(target.resource, target.namespace, target.name)
    item = next((m for m in _metrics(cluster, target) if m["metadata"]["name"] == target.name), None)
    if item is None:
        raise not_found(target.resource, target.name)
    return item


def _metrics(cluster: Cluster, target: Target) -> list[Object]:
    store, troubles = cluster.store, cluster.troubles
    if target.resource.plural == "nodes":
        nodes = [node for node in store.all("nodes") if node["metadata"]["name"] not in troubles.lost_nodes]
        return [usage.node_metrics(store, node, troubles.busy_nodes) for node in nodes]
    pods = [pod for pod in store.all("pods", target.namespace, "") if _runs(pod, troubles.lost_nodes)]
    return [usage.pod_metrics(store, pod, troubles.busy) for pod in pods]


def _runs(pod: Object, lost_nodes: set[str]) -> bool:
    running = any("running" in item["state"] for item in pod["status"].get("containerStatuses") or [])
    return running and pod["spec"].get("nodeName") not in lost_nodes


def _selection(target: Target, query: Mapping[str, str]) -> Test:
    by_label = label_selector(query.get("labelSelector", ""))
    by_field = field_selector(query.get("fieldSelector", ""), target.resource)
    return lambda item: by_label(item) and by_field(item)


def _list(cluster: Cluster, target: Target, request: Request) -> Answer:
    query, resource = request.query, target.resource
    test = _selection(target, query)
    if query.get("watch") in ("true", "1"):
        return Answer(body=_watch(cluster, target, query, test))
    limit = query.get("limit", "0")
    if not limit.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{limit}": invalid syntax')
    meta: dict[str, Any] = {"resourceVersion": str(cluster.store.version)}
    if resource.group == "metrics.k8s.io":
        items = [item for item in _metrics(cluster, target) if test(item)]
    else:
        token = query.get("continue", "")
        at = _exact(query, token, int(limit))
        page = cluster.store.page(resource, target.namespace, test, int(limit), token, at=at)
        items, meta["resourceVersion"] = page.items, str(page.version)
        meta |= {"continue": page.token} if page.token else {}
        meta |= {"remainingItemCount": page.remaining} if page.remaining is not None else {}
    shown = [_bare(_shown(resource, item)) for item in items]
    if "as=PartialObjectMetadataList" in request.headers.get("accept", ""):
        return Answer.of(_metadata_alone(meta, items))
    body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": shown}
    return Answer.of(body)


def _metadata_alone(meta: Mapping[str, Any], items: Iterable[Any]) -> dict[str, Any]:
    """Return a list as a server does that is asked for metadata: with what manages its fields, and without them."""
    version = "meta.k8s.io/v1"
    shown = [{"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": item["metadata"]} for item in items]
    return {"kind": "PartialObjectMetadataList", "apiVersion": version, "metadata": meta, "items": shown}


def _exact(query: Mapping[str, str], token: str, limit: int) -> int:
    """Return the version that a list must show; 0 where any will do.

    Raises:
        Failure: 400 or 422, the parameters contradict each other.
    """
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    options = Resource("meta.k8s.io", "v1", "listoptions", "ListOptions")
    if match and token:
        why = "Forbidden: resourceVersionMatch is forbidden for continue"
        raise invalid(options, "", [Cause("resourceVersionMatch", why, "FieldValueForbidden")])
    if match and not version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid(options, "", [Cause("resourceVersionMatch", why, "FieldValueForbidden")])
    if match and match not in ("Exact", "NotOlderThan"):
        message = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise invalid(options, "", [Cause("resourceVersionMatch", message, "FieldValueNotSupported")])
    if version and not version.isdigit():
        raise bad_request(f"invalid resource version {version!r}")
    if version and token:
        raise bad_request("specifying resource version is not allowed when using continue")
    return int(version or 0) if match == "Exact" or (limit and not match) else 0


def _bare(item: Object) -> Object:
    """Items of a list carry no kind of their own."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


def _shown(resource: Resource, item: Object) -> Object:
    if resource.custom:
        return {**item, "apiVersion": resource.api_version}
    return as_new(item) if resource.group == "events.k8s.io" else item


def _watch(cluster: Cluster, target: Target, query: Mapping[str, str], test: Test) -> Iterator[bytes]:
    store, resource = cluster.store, target.resource
    seconds = float(query.get("timeoutSeconds", _LONGEST_WATCH))
    end = time.monotonic() + seconds
    since = int(query.get("resourceVersion") or 0)
    if not since:
        with store.lock:
            since = store.version
            present = [item for item in store.all(resource.plural, target.namespace, resource.group) if test(item)]
        for item in present:
            yield _line("ADDED", _shown(resource, item))
    if store.forgotten(since):
        yield _line("ERROR", expired().status)
        return
    for change in store.changes(resource, target.namespace, since, lambda: cluster.stopped or time.monotonic() >= end):
        if change is not None and test(change.item):
            yield _line(change.kind, _shown(resource, change.item))


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _patch(cluster: Cluster, target: Target, request: Request) -> Answer:
    item, new = writing.patch(
        cluster.store,
        target.resource,
        target.namespace,
        target.name,
        request.body,
        request.content_type,
        request.query,
        target.part,
    )
    return Answer.of(item, 201 if new else 200)


def _delete(cluster: Cluster, target: Target, request: Request) -> Answer:
    store, body = cluster.store, _json(request)
    item, lingers = writing.delete(store, target.resource, target.namespace, target.name, body, request.query)
    return Answer.of(item, 202 if lingers and target.resource.plural != "pods" else 200)


def _delete_all(cluster: Cluster, target: Target, request: Request) -> Answer:
    store, body, resource = cluster.store, _json(request), target.resource
    page = store.page(resource, target.namespace, _selection(target, request.query), 0, "")
    for item in page.items:
        meta = item["metadata"]
        writing.delete(store, resource, meta.get("namespace", ""), meta["name"], body, request.query)
    meta = {"resourceVersion": str(store.version)}
    body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": page.items}
    return Answer.of(body)


def _part(cluster: Cluster, target: Target, request: Request) -> Answer:
    if target.part == "status" and request.method in ("PUT", "PATCH"):
        return (_replace if request.method == "PUT" else _patch)(cluster, target, request)
    store, resource = cluster.store, target.resource
    present = store.get(resource, target.namespace, target.name)
    match target.part, request.method:
        case "log", "GET":
            return Answer.text(
                logs.read(store, present, request.query, writes_of(cluster, present)), content_type="text/plain"
            )
        case "scale", "GET":
            return Answer.of(read_scale(present))
        case "scale", ("PUT" | "PATCH"):
            return Answer.of(write_scale(store, resource, present, request))
        case "eviction", "POST":
            writing.delete(store, known("pods"), target.namespace, target.name, {}, request.query)
            return Answer.of({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)
        case "status", "GET":
            return Answer.of(present)
    raise method_not_allowed()


def _access_review(cluster: Cluster, user: str, request: Request) -> Answer:
    body = _json(request)
    asked = (body.get("spec") or {}).get("resourceAttributes") or {}
    wanted = (asked.get("group", ""), asked.get("resource", ""))
    resource = next((r for r in discovery.offered(cluster.store, metrics=True) if (r.group, r.plural) == wanted), None)
    granted = False
    if resource is not None:
        where = {key: asked.get(key, "") for key in ("verb", "subresource", "namespace", "name")}
        granted = allowed(cluster.store, user, Wish(resource=resource, **where))
    return Answer.of({**body, "metadata": {}, "status": {"allowed": granted}}, 201)
