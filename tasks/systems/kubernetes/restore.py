"""Restores a namespace by server-side apply: into an empty one that people name, or into one that is made for a drill.

Without a cluster for drills every object is tried by a dry run against the live API server: it says whether it would
take the object, and what it would make of it; nothing is written.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, PermanentError, WatchkeeperError
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.system import Access
from tasks.systems.kubernetes.applying import Applying, results
from tasks.systems.kubernetes.discovery import Resource, discover, of_backup, restorable
from tasks.systems.kubernetes.manifests import documents, label, rank
from tasks.systems.kubernetes.preparing import Preparation, Way, is_wanted
from tasks.systems.kubernetes.spec import Spec
from tasks.systems.kubernetes.stripping import left_out
from tasks.systems.kubernetes.targets import Target, endpoints, identity, live, scratch

__all__ = ["address_of", "endpoints", "restore"]

PREFIX = "watchkeeper-drill-"
LABEL = "app.kubernetes.io/managed-by"
_NAMESPACES = "/api/v1/namespaces"
_GONE_WITHIN = 120.0
_PAGE = "200"


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Apply what a backup holds to `order.into`, to a scratch namespace, or as a dry run; see `Restored.details`.

    `order.into` is an address as `tasks.systems.kubernetes.targets` has it; without a namespace in it, and in the
    plan's `scratch` where nothing is named, a fresh namespace is made, kept asleep and deleted again. `order.only`
    names kinds, objects or labels. What a server refuses is told object by object.

    Raises:
        ConfigError: The place is the live one, or is not empty; or nothing is what was asked for.
        Garbled: The backup is damaged.
        PermanentError: Not one object was taken; or the scratch namespace cannot be deleted.
        WatchkeeperError: As the server says.
    """
    if order.until is not None and order.until < source.manifest.consistent_as_of:
        raise ConfigError(
            f"this backup shows {source.manifest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}",
            operation="restore",
            hint="choose an earlier backup",
        )
    way, target = _way(spec, access, order)
    with order.phase(Phase.FETCH):
        for part in parts_of(source):  # all of it is read once before anything is written
            for _ in documents(read(source, part), part):
                pass
    connection = target.connect()
    try:
        if way is Way.NAMED:
            _must_be_elsewhere(spec, access, target, connection)
        with order.phase(Phase.PROVISION):
            preparation = _prepared(way, target, connection, source)
        with _passing(way, preparation, connection):
            restored = _restored(preparation, replace(target, namespace=preparation.target), connection, source, order)
            yield restored
    finally:
        connection.close()


def _way(spec: Spec, access: Access, order: Order) -> tuple[Way, Target]:
    if order.into is not None:
        target = Target.parse(order.into)
        return (Way.NAMED if target.namespace else Way.SCRATCH), target
    drills = scratch(spec, access)
    return (Way.DRY_RUN, live(spec, access)) if drills is None else (Way.SCRATCH, drills)


def _must_be_elsewhere(spec: Spec, access: Access, target: Target, connection: Connection) -> None:
    """Refuse the live namespace: by its API server's addresses, and by what the cluster itself says who it is."""
    refused = ConfigError(
        "this is the live namespace", operation="restore", hint="name an empty one of another cluster, or another name"
    )
    here = live(spec, access)
    if endpoints(str(target)) & endpoints(str(here)):
        raise refused
    if target.namespace != here.namespace or not (who := identity(connection)):
        return
    original = here.connect()
    try:
        if identity(original) == who:
            raise refused
    finally:
        original.close()


def _prepared(way: Way, target: Target, connection: Connection, source: Source) -> Preparation:
    """See that the namespace is there, and empty."""
    original = str(source.manifest.details.get("namespace", ""))
    if way is Way.DRY_RUN:
        return Preparation(way, original, target.namespace)
    name = target.namespace or f"{PREFIX}{secrets.token_hex(4)}"
    if way is Way.NAMED and _exists(connection, name):
        _must_be_empty(connection, name)
    else:
        labels = {LABEL: "watchkeeper"} if way is Way.SCRATCH else {}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        connection.send("POST", _NAMESPACES, body)
    return Preparation(way, original, name)


def _exists(connection: Connection, namespace: str) -> bool:
    try:
        connection.get(f"{_NAMESPACES}/{namespace}")
    except NotOffered:
        return False
    return True


def _must_be_empty(connection: Connection, namespace: str) -> None:
    for resource in restorable(discover(connection).resources):
        if not resource.namespaced:
            continue
        with suppress(Denied, NotOffered):
            for item in connection.get(resource.path(namespace), limit=_PAGE).get("items") or []:
                if not left_out(resource, item) or left_out(resource, item).startswith("finished"):
                    raise ConfigError(
                        f"namespace {namespace} is not empty: it has {resource.qualified}/{item['metadata']['name']}",
                        operation="restore",
                        hint="name an empty namespace, or one that is not there yet",
                    )


@contextmanager
def _passing(way: Way, preparation: Preparation, connection: Connection) -> Iterator[None]:
    """Delete the scratch namespace in the end, whatever happens."""
    try:
        yield
    finally:
        if way is Way.SCRATCH:
            failing = sys.exception()
            try:
                _delete(connection, preparation.target)
            except WatchkeeperError as error:
                if failing is None:
                    raise
                failing.add_note(f"namespace {preparation.target} is left behind: {error.message}")


def _delete(connection: Connection, namespace: str) -> None:
    path = f"{_NAMESPACES}/{namespace}"
    with suppress(NotOffered):
        connection.send("DELETE", path)
    end = time.monotonic() + _GONE_WITHIN
    while _exists(connection, namespace):
        if time.monotonic() > end:
            raise PermanentError(
                f"namespace {namespace} does not go",
                operation="tear down",
                hint=f"kubectl get namespace {namespace} -o yaml says what holds it",
            )
        time.sleep(0.2)


def _restored(
    preparation: Preparation, target: Target, connection: Connection, source: Source, order: Order
) -> Restored:
    applying = Applying(connection, preparation)
    wanted = done = 0
    with order.phase(Phase.RESTORE):
        for part in parts_of(source):
            data = read(source, part)
            known = of_backup(source.manifest.details["parts"][part])
            for document in documents(data, part):
                wanted += _one(applying, document, known, order.only)
            done += len(data)
            order.progress(done, source.manifest.plain_bytes)
    outcome = applying.outcome
    if not wanted:
        raise ConfigError(f"the backup has nothing of {', '.join(order.only) or 'a namespace'}", operation="restore")
    if outcome.refused and not outcome.accepted:
        name, why = next(iter(outcome.refused.items()))
        raise PermanentError(
            f"not one object was taken: {name}: {why}",
            operation="restore",
            hint="it needs the rights of role-restore.yaml: RBAC asks for those of a real change for a dry run too",
        )
    details: dict[str, Any] = results(outcome, preparation.way)
    details |= {"namespace": preparation.target, "only": list(order.only)}
    return Restored(
        address=str(target),
        recovered_to=source.manifest.consistent_as_of,
        server_version=str(connection.get("/version").get("gitVersion", "")),
        counts=dict(sorted(outcome.accepted.items())),
        details=details,
        warnings=tuple(_warnings(details)),
    )


def _one(applying: Applying, document: Object, known: Resource, only: tuple[str, ...]) -> bool:
    """Apply a document that is asked for, and tell whether it is."""
    resource = applying.resource(document)
    if not is_wanted(document, resource or known, only):
        return False
    if resource is None:
        why = f"the cluster has no resource {document['kind']} of {document['apiVersion']}"
        applying.outcome.refused[label(document)] = why
    else:
        applying.apply(document, resource)
    return True


def _warnings(details: dict[str, Any]) -> Iterator[str]:
    if details["way"] == Way.DRY_RUN:
        yield "tried by a dry run alone: nothing was written, and nothing was started"
    if refused := details["refused"]:
        named = "; ".join(f"{name}: {why}" for name, why in list(refused.items())[:3])
        yield f"{details['refused_count']} objects were refused: {named}"
    if kept := details["left_as_they_are"]:
        yield f"there already, and left as they are: {', '.join(kept[:5])}"


def parts_of(source: Source) -> list[str]:
    """Return the parts of a backup that hold manifests, in the order in which they are applied.

    Raises:
        Garbled: The manifest does not say what they are.
    """
    about = source.manifest.details.get("parts")
    if not isinstance(about, dict) or not all(isinstance(of, dict) and of.get("resource") for of in about.values()):
        raise Garbled("the manifest does not say what its parts are", operation=f"read {source.manifest.id}")
    return sorted(about, key=lambda part: rank(str(about[part]["resource"])))


def read(source: Source, part: str) -> bytes:
    """Return a part as a whole, once all of it was found right."""
    return b"".join(source.read(part))


def address_of(spec: Spec, access: Access) -> str:
    """Return where the live namespace is, as an address that `endpoints` reads."""
    return str(live(spec, access))
