"""Holds a backup of a namespace against its manifest, and a restored namespace against the backup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import Garbled, NotOffered, WatchkeeperError
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.systems.kubernetes.discovery import Discovery, Resource, discover, of_backup
from tasks.systems.kubernetes.manifests import documents, label
from tasks.systems.kubernetes.preparing import Preparation, Way, is_wanted, lacks
from tasks.systems.kubernetes.restore import parts_of, read
from tasks.systems.kubernetes.spec import Spec
from tasks.systems.kubernetes.targets import Target

_NAMED = 3


def parse(source: Source) -> Iterator[Assertion]:
    """Load every document: each has a kind and a name, is of its part, and they are as many as were taken. Level 2."""
    about = source.manifest.details.get("parts") or {}
    for part in parts_of(source):
        name = f"{part} is YAML of {about[part]['kind']} objects"
        expected = source.manifest.counts.get(about[part]["resource"], 0)
        try:
            kinds = Counter(str(document["kind"]) for document in documents(read(source, part), part))
        except Garbled as error:
            yield Assertion(name=name, level=2, outcome=Outcome.FAILED, expected=str(expected), note=error.message)
            continue
        right = kinds == Counter({about[part]["kind"]: expected})
        shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
        yield Assertion(
            name=name,
            level=2,
            outcome=Outcome.PASSED if right else Outcome.FAILED,
            expected=f"{expected} {about[part]['kind']}",
            observed=shown,
        )


@dataclass
class _Seen:
    """How many objects of one resource are right, and what is wrong with the first others."""

    expected: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def told(self, name: str) -> Assertion:
        more = f"; and {len(self.wrong) - _NAMED} more" if len(self.wrong) > _NAMED else ""
        return Assertion(
            name=name,
            level=3,
            outcome=Outcome.FAILED if self.wrong else Outcome.PASSED,
            expected=str(self.expected),
            observed=str(self.right),
            note="; ".join(self.wrong[:_NAMED]) + more,
        )


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:  # noqa: ARG001 - the details say how
    """Read every restored object again and hold it against the backup; of a dry run, what the server answered. Level 3.

    An object is right where it has every field that the backup has; what the server added is fine. What was only tried
    is right where the server took it.
    """
    way = Way(restored.details["way"])
    yield _all_taken(source, restored)
    if way is Way.DRY_RUN:
        yield _as_it_was(restored)
        return
    connection = Target.parse(restored.address).connect()
    try:
        comparing = _Comparing(connection, discover(connection), restored, way)
        for part in parts_of(source):
            known = of_backup(source.manifest.details["parts"][part])
            seen = comparing.part(documents(read(source, part), part), known)
            if seen.expected:
                yield seen.told(f"{part} is there again, field for field")
    except WatchkeeperError as error:
        yield Assertion(name="the restored objects", level=3, outcome=Outcome.ERRORED, note=error.message)
    finally:
        connection.close()


def _all_taken(source: Source, restored: Restored) -> Assertion:
    details = restored.details
    total = sum(restored.counts.values()) + len(details["left_as_they_are"])
    expected = sum(source.manifest.counts.values()) if not details["only"] else total + details["refused_count"]
    refused = "; ".join(f"{name}: {why}" for name, why in list(details["refused"].items())[:_NAMED])
    return Assertion(
        name=f"every object is accepted ({details['way']})",
        level=3,
        outcome=Outcome.PASSED if total == expected and not details["refused_count"] else Outcome.FAILED,
        expected=str(expected),
        observed=str(total),
        note=refused,
    )


def _as_it_was(restored: Restored) -> Assertion:
    details = restored.details
    total, differing = sum(restored.counts.values()), details["differing_count"]
    return Assertion(
        name="what the server would make of each object is what the backup says",
        level=3,
        outcome=Outcome.FAILED if differing else Outcome.PASSED,
        expected=str(total),
        observed=str(total - differing),
        note="; ".join(f"{name}: {where} would be another" for name, where in list(details["differing"].items())[:3]),
    )


class _Comparing:
    """Reads objects of a restored namespace and holds them against documents."""

    def __init__(self, connection: Connection, offered: Discovery, restored: Restored, way: Way) -> None:
        self._connection, self._offered = connection, offered
        self._only = tuple(restored.details["only"])
        self._kept = set(restored.details["left_as_they_are"])
        self._target = str(restored.details["namespace"])
        self._way = way

    def part(self, found: Iterator[Object], known: Resource) -> _Seen:
        seen = _Seen()
        for document in found:
            resource = self._offered.find(str(document["apiVersion"]), str(document["kind"]))
            if not is_wanted(document, resource or known, self._only):
                continue
            if resource is None:
                seen.expected += 1
                seen.wrong.append(f"{label(document)}: the cluster does not know its kind")
            else:
                self._one(document, resource, seen)
        return seen

    def _one(self, document: Object, resource: Resource, seen: _Seen) -> None:
        source = str(document["metadata"].get("namespace", self._target))
        preparation = Preparation(self._way, source if resource.namespaced else "", self._target)
        ready, only_tried = preparation.prepared(document, resource)
        if only_tried or label(ready) in self._kept or resource.qualified == "namespaces":
            return
        if self._way is Way.NAMED and isinstance(ready.get("spec"), dict):
            ready["spec"].pop("replicas", None)  # an autoscaler may have set another number since
        seen.expected += 1
        try:
            present = self._connection.get(resource.path(self._target, quote(ready["metadata"]["name"], safe="")))
        except NotOffered:
            seen.wrong.append(f"{label(ready)} is not there")
            return
        if where := lacks(ready, present):
            seen.wrong.append(f"{label(ready)}: {where.lstrip('.')} is another")
        else:
            seen.right += 1


def spoil(spec: Spec, restored: Restored) -> str:  # noqa: ARG001 - it needs no more than the copy
    """Delete one object of a scratch namespace. Of a dry run there is nothing to spoil.

    Returns:
        What was deleted.
    """
    if restored.details["way"] != Way.SCRATCH:
        return ""
    connection = Target.parse(restored.address).connect()
    try:
        offered = {resource.qualified: resource for resource in discover(connection).resources}
        for name in ("configmaps", "services", "deployments.apps", "secrets"):
            if not restored.counts.get(name):
                continue
            path = offered[name].path(restored.details["namespace"])
            for item in connection.get(path, limit="10").get("items") or []:
                if any(entry.get("manager") == "watchkeeper" for entry in item["metadata"].get("managedFields") or []):
                    connection.send("DELETE", f"{path}/{item['metadata']['name']}")
                    return f"deleted {name}/{item['metadata']['name']}"
    finally:
        connection.close()
    return ""
