"""Applying documents to a cluster, one by one, and keeping what each came to."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import Denied, Garbled, NotOffered, PermanentError, Unreachable, WatchkeeperError
from tasks.systems.kubernetes.discovery import Discovery, Resource, discover
from tasks.systems.kubernetes.manifests import label
from tasks.systems.kubernetes.preparing import Preparation, Way, lacks

MANAGER = "watchkeeper"
_APPLY = "application/apply-patch+yaml"
_ATTEMPTS = 3
_PAUSE = 0.5
_ESTABLISHED_WITHIN = 60.0
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class _Lost(Unreachable):
    """The server itself does not answer any more."""


@dataclass
class Outcome:
    """What became of the documents.

    Attributes:
        accepted: How many the server took, or said that it would take, by resource.
        refused: Those that it did not take, with its reason.
        differing: Those that it took and made something else of, with the field.
        kept: Those beyond the namespace that were there already, and were left as they are.
        tried: How many were only tried, by resource.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)


class Applying:
    """Applies documents by server-side apply, as the field manager `watchkeeper`."""

    def __init__(
        self,
        connection: Connection,
        preparation: Preparation,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection, self._preparation, self._sleep = connection, preparation, sleep
        self.outcome = Outcome()
        self.offered: Discovery = discover(connection)
        self._defined = False

    def resource(self, document: Object) -> Resource | None:
        """Return what a document is here; definitions that were just applied count."""
        found = self.offered.find(str(document["apiVersion"]), str(document["kind"]))
        if found is None and self._defined:
            self.offered, self._defined = discover(self._connection), False
            found = self.offered.find(str(document["apiVersion"]), str(document["kind"]))
        return found

    def apply(self, document: Object, resource: Resource) -> None:
        """Apply one document; what the server refuses is kept as its outcome.

        Raises:
            Unreachable: The server does not answer any more.
        """
        ready, only_tried = self._preparation.prepared(document, resource)
        if not resource.namespaced and not only_tried and self._is_there(resource, ready):
            self.outcome.kept.append(label(ready))
            return
        try:
            answer = self._send(resource, ready, only_tried=only_tried)
        except _Lost:
            raise
        except (PermanentError, Unreachable) as error:
            self.outcome.refused[label(ready)] = _reason(resource, error)
            return
        self.outcome.accepted[resource.qualified] += 1
        if only_tried:
            self.outcome.tried[resource.qualified] += 1
        if field_ := lacks(ready, answer):
            self.outcome.differing[label(ready)] = field_.lstrip(".")
        if resource.qualified == _DEFINITIONS and not only_tried:
            self._wait_for(resource, ready)

    def _is_there(self, resource: Resource, document: Object) -> bool:
        if resource.qualified == "namespaces" and document["metadata"]["name"] == self._preparation.target:
            return False  # made for this, and empty
        try:
            self._connection.get(resource.path(name=quote(document["metadata"]["name"], safe="")))
        except NotOffered:
            return False
        except Denied:
            return True  # what may not be seen is not overwritten
        return True

    def _send(self, resource: Resource, document: Object, *, only_tried: bool) -> Object:
        path = resource.path(self._preparation.target, quote(document["metadata"]["name"], safe=""))
        query = {"fieldManager": MANAGER, "force": "true"} | ({"dryRun": "All"} if only_tried else {})
        for attempt in range(_ATTEMPTS):
            try:
                return self._connection.send("PATCH", path, json.dumps(document), _APPLY, **query)
            except Unreachable:
                self._must_be_alive()  # the server is gone, or only a webhook of this resource
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._sleep(_PAUSE)
        raise Unreachable("it did not answer")

    def _must_be_alive(self) -> None:
        try:
            self._connection.get("/version")
        except Unreachable as error:
            raise _Lost(error.message, operation="restore") from error

    def _wait_for(self, resource: Resource, document: Object) -> None:
        """Wait until what a definition defines is served."""
        self._defined = True
        end = time.monotonic() + _ESTABLISHED_WITHIN
        while time.monotonic() < end:
            found = self._connection.get(resource.path(name=document["metadata"]["name"]))
            conditions = (found.get("status") or {}).get("conditions") or []
            if any(entry.get("type") == "Established" and entry.get("status") == "True" for entry in conditions):
                return
            self._sleep(0.05)
        self.outcome.refused[label(document)] = "it was not established in time"


def _reason(resource: Resource, error: WatchkeeperError) -> str:
    """Say why an object was refused. What the server says of a Secret may quote it, so only the sort is told."""
    kind = {"Conflicting": "409 conflict", "Rejected": "422 invalid", "Denied": "403 forbidden"}
    sort = kind.get(type(error).__name__, "no usable answer" if isinstance(error, Unreachable) else "refused")
    if isinstance(error, NotOffered):
        sort = "404 not found"
    return sort if resource.qualified == "secrets" or isinstance(error, Garbled) else f"{sort}: {error.message}"


def results(outcome: Outcome, way: Way, most: int = 100) -> dict[str, object]:
    """Return an outcome for the details of a restore."""
    return {
        "way": str(way),
        "accepted": dict(sorted(outcome.accepted.items())),
        "only_tried": dict(sorted(outcome.tried.items())),
        "refused_count": len(outcome.refused),
        "refused": dict(list(outcome.refused.items())[:most]),
        "differing_count": len(outcome.differing),
        "differing": dict(list(outcome.differing.items())[:most]),
        "left_as_they_are": outcome.kept[:most],
    }
