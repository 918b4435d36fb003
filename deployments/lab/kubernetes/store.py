"""The objects of one cluster with their versions: what etcd and the registry do in a real one."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deployments.lab.kubernetes.failures import already_exists, bad_request, conflict, expired, not_found, too_large
from deployments.lab.kubernetes.resources import RESOURCES, Resource, defined, known
from deployments.lab.kubernetes.selectors import Object, Test

Key = tuple[str, str, str, str]
_PAGES_KEPT = 32
_CHANGES_KEPT = 20_000


def timestamp(at: datetime) -> str:
    """Write a time as objects do, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """Read a time of an object."""
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Change:
    """One entry of the history that watches read."""

    version: int
    kind: str
    key: Key
    item: Object


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    items: list[Object]
    version: int
    token: str = ""
    remaining: int | None = None


class Store:
    """Objects by resource, namespace and name. Stored objects are never changed in place; readers may keep them.

    Args:
        now: The clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1000
        self.history: deque[Change] = deque(maxlen=_CHANGES_KEPT)
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}
        self._pages: OrderedDict[str, list[Object]] = OrderedDict()

    def _shelf(self, resource: Resource) -> dict[tuple[str, str], Object]:
        group = "" if resource.plural == "events" else resource.group
        return self._objects.setdefault((group, resource.plural), {})

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return an object.

        Raises:
            Failure: 404.
        """
        found = self.peek(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def peek(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""
        return self._shelf(resource).get((namespace, name))

    def all(self, plural: str, namespace: str = "", group: str = "") -> list[Object]:
        """Return the objects of a resource by its plural, in a namespace or in all, sorted."""
        shelf = self._shelf(known(plural, group))
        return [item for (where, _), item in sorted(shelf.items()) if not namespace or where == namespace]

    def of(self, resource: Resource) -> list[Object]:
        """Return every object of a resource."""
        return list(self._shelf(resource).values())

    def resources(self) -> list[Resource]:
        """Return every resource whose objects are stored under its own name."""
        derived = ("metrics.k8s.io", "events.k8s.io", "authorization.k8s.io")
        own = [resource for item in self.all("customresourcedefinitions") for resource in defined(item)[:1]]
        return [resource for resource in RESOURCES if resource.group not in derived] + own

    def add(self, resource: Resource, item: Object, *, dry_run: bool = False) -> Object:
        """Store a new object and return it with its uid, version and times.

        Raises:
            Failure: 409, the name is taken.
        """
        with self.lock:
            meta = item["metadata"]
            key = (meta.get("namespace", ""), meta["name"])
            if key in self._shelf(resource):
                raise already_exists(resource, meta["name"])
            fresh: Object = {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(self.now())}
            if resource.has_generation:
                fresh["generation"] = 1
            stored = {**item, "metadata": {**meta, **fresh}}
            return self._write(resource, stored, "ADDED", dry_run=dry_run)

    def put(self, resource: Resource, item: Object, *, dry_run: bool = False) -> Object:
        """Store a changed object. A version in it must be the present one; nothing changed leaves the version as it is.

        Raises:
            Failure: 404, or 409 when somebody else was faster.
        """
        with self.lock:
            meta = item["metadata"]
            present = self.get(resource, meta.get("namespace", ""), meta["name"])
            claimed = meta.get("resourceVersion")
            if claimed and claimed != present["metadata"]["resourceVersion"]:
                raise conflict(resource, meta["name"])
            kept = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
            frozen = {field: present["metadata"][field] for field in kept if field in present["metadata"]}
            merged = {**item, "metadata": {**meta, **frozen}}
            merged["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
            if merged == present:
                return present
            if resource.has_generation and _desired(merged) != _desired(present):
                merged["metadata"]["generation"] = present["metadata"].get("generation", 0) + 1
            if merged["metadata"].get("deletionTimestamp") and not merged["metadata"].get("finalizers"):
                return self._remove(resource, merged, dry_run=dry_run)
            return self._write(resource, merged, "MODIFIED", dry_run=dry_run)

    def mark(self, resource: Resource, item: Object, **meta: Any) -> Object:
        """Set metadata that only the server may set, such as `deletionTimestamp`."""
        with self.lock:
            present = self.get(resource, item["metadata"].get("namespace", ""), item["metadata"]["name"])
            return self._write(resource, {**present, "metadata": {**present["metadata"], **meta}}, "MODIFIED")

    def remove(self, resource: Resource, namespace: str, name: str, *, dry_run: bool = False) -> Object:
        """Take an object out and return its last state."""
        with self.lock:
            return self._remove(resource, self.get(resource, namespace, name), dry_run=dry_run)

    def _remove(self, resource: Resource, item: Object, *, dry_run: bool) -> Object:
        if dry_run:
            return item
        stored = self._write(resource, item, "DELETED")
        del self._shelf(resource)[item["metadata"].get("namespace", ""), item["metadata"]["name"]]
        return stored

    def _write(self, resource: Resource, item: Object, kind: str, *, dry_run: bool = False) -> Object:
        stored = copy.deepcopy(item)
        if dry_run:
            return stored
        self.version += 1
        meta = stored["metadata"]
        meta["resourceVersion"] = str(self.version)
        self._shelf(resource)[meta.get("namespace", ""), meta["name"]] = stored
        group = "" if resource.plural == "events" else resource.group
        key = (group, resource.plural, meta.get("namespace", ""), meta["name"])
        self.history.append(Change(self.version, kind, key, stored))
        self.changed.notify_all()
        return stored

    def page(self, resource: Resource, namespace: str, test: Test, limit: int, token: str, *, at: int = 0) -> Page:
        """Return a page of a list; later pages show the state of the first one.

        Args:
            resource: What is listed.
            namespace: Where; in all of them where it is empty.
            test: Which.
            limit: How many; all of them where it is 0.
            token: Of the page before.
            at: The version that the list must show; the present one where it is 0.

        Raises:
            Failure: 400 for a token that is none, 410 for one whose list is no longer kept, 504 for a version to come.
        """
        with self.lock:
            version, start = _read_token(token) if token else (at or self.version, 0)
            if version > self.version:
                raise too_large(version, self.version)
            name = f"{resource.qualified}/{namespace}/{version}"
            if token:
                if name not in self._pages:
                    raise expired()
                everything = self._pages[name]
            else:
                shelf = self._as_of(resource, version)
                everything = sorted(
                    (item for (where, _), item in shelf.items() if not namespace or where == namespace),
                    key=lambda item: (item["metadata"].get("namespace", ""), item["metadata"]["name"]),
                )
        return self._cut([item for item in everything if test(item)], name, everything, version, start, limit)

    def _as_of(self, resource: Resource, version: int) -> dict[tuple[str, str], Object]:
        """Return a shelf as it was, by undoing what was written since.

        Raises:
            Failure: 410, that is no longer known.
        """
        if version == self.version:
            return self._shelf(resource)
        if self.history and version < self.history[0].version - 1:
            raise expired()
        shelf = dict(self._shelf(resource))
        group = "" if resource.plural == "events" else resource.group
        mine = [change for change in self.history if change.key[:2] == (group, resource.plural)]
        for key in {change.key[2:] for change in mine if change.version > version}:
            before = [change for change in mine if change.key[2:] == key and change.version <= version]
            first = next(change for change in mine if change.key[2:] == key and change.version > version)
            if not before and first.kind != "ADDED":
                raise expired()
            shelf.pop(key, None)
            if before and before[-1].kind != "DELETED":
                shelf[key] = before[-1].item
        return shelf

    def _cut(
        self, items: list[Object], name: str, everything: list[Object], version: int, start: int, limit: int
    ) -> Page:
        if not limit or start + limit >= len(items):
            return Page(items[start:], version)
        with self.lock:
            self._pages[name] = everything
            self._pages.move_to_end(name)
            while len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        end = start + limit
        remaining = len(items) - end if len(items) == len(everything) else None
        return Page(items[start:end], version, _write_token(version, end), remaining)

    def forgotten(self, version: int) -> bool:
        """Tell whether changes after a version are no longer known."""
        with self.lock:
            return bool(self.history) and version < self.history[0].version - 1

    def changes(
        self, resource: Resource, namespace: str, since: int, stop: Callable[[], bool]
    ) -> Iterator[Change | None]:
        """Yield the changes of a resource as they happen, and None every now and then, until told to stop."""
        group = "" if resource.plural == "events" else resource.group
        while not stop():
            with self.changed:
                news = [change for change in self.history if change.version > since]
                if not news:
                    self.changed.wait(0.2)
            for change in news:
                since = change.version
                if change.key[:2] == (group, resource.plural) and (not namespace or change.key[2] == namespace):
                    yield change
            yield None


def _desired(item: Object) -> Object:
    return {key: value for key, value in item.items() if key not in ("metadata", "status")}


def _write_token(version: int, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"v": "stand-in", "rv": version, "start": start}).encode()).decode()


def _read_token(token: str) -> tuple[int, int]:
    try:
        data = json.loads(base64.urlsafe_b64decode(token.encode()))
        return int(data["rv"]), int(data["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid") from error
