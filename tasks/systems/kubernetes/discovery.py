"""What an API server offers: every resource of every group, in the version that it prefers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.clients.cluster import Connection
from tasks.core.errors import Denied, Garbled, WatchkeeperError


@dataclass(frozen=True)
class Resource:
    """One kind of object with its place in the API.

    Attributes:
        names: Further names by which people call it: short ones, and its singular.
        has_status: Whether its status is a part of its own, which only its controller writes.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    has_status: bool = True

    @property
    def api_version(self) -> str:
        """As objects name it: `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As kubectl tells it from others of the same name: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return where its objects are, or one of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")

    def is_called(self, name: str) -> bool:
        """Tell whether people mean it by a name: `Deployment`, `deployments`, `deploy`, `deployments.apps`."""
        asked = name.lower()
        return asked in {self.kind.lower(), self.plural, self.qualified, *self.names}


@dataclass
class Discovery:
    """What was found.

    Attributes:
        resources: All of them, by group and name.
        gaps: Groups that did not tell of themselves, with the reason.
    """

    resources: list[Resource] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a document: in its own version, else in the one that is preferred here."""
        group = api_version.rpartition("/")[0]
        same = [resource for resource in self.resources if (resource.group, resource.kind) == (group, kind)]
        return next((resource for resource in same if resource.api_version == api_version), same[0] if same else None)


def discover(connection: Connection) -> Discovery:
    """Ask for every group. One that does not answer, as that of an extension that is down, is a gap.

    Raises:
        Unreachable: The server does not answer at all.
        Denied: It refuses the credentials.
    """
    found = Discovery()
    _add(found, "", "v1", connection.get("/api/v1"))
    for group in _list(connection.get("/apis"), "groups"):
        preferred = str((group.get("preferredVersion") or {}).get("version", ""))
        versions = [str(entry["version"]) for entry in _list(group, "versions")]
        for version in sorted(versions, key=lambda version: version != preferred):
            try:
                told = connection.get(f"/apis/{group['name']}/{version}")
            except Denied:
                raise
            except WatchkeeperError as error:
                found.gaps[f"{group['name']}/{version}"] = error.message
            else:
                _add(found, str(group["name"]), version, told)
    found.resources.sort(key=lambda resource: (resource.group, resource.plural))
    return found


def _add(found: Discovery, group: str, version: str, told: Mapping[str, Any]) -> None:
    """Add what is not there yet in a version that is preferred more."""
    known = {(resource.group, resource.plural) for resource in found.resources}
    entries = _list(told, "resources")
    with_status = {entry["name"].partition("/")[0] for entry in entries if entry["name"].endswith("/status")}
    for entry in entries:
        plural = str(entry["name"])
        if "/" in plural or (group, plural) in known:
            continue
        names = {str(name).lower() for name in (*(entry.get("shortNames") or ()), entry.get("singularName")) if name}
        found.resources.append(
            Resource(
                group,
                version,
                plural,
                str(entry["kind"]),
                bool(entry["namespaced"]),
                frozenset(entry.get("verbs") or ()),
                frozenset(names),
                plural in with_status,
            )
        )


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    entries = told.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Garbled(f"discovery has no list of {name}")
    return entries


def restorable(resources: Iterable[Resource]) -> list[Resource]:
    """Return those whose objects can be listed, read and made again."""
    return [resource for resource in resources if resource.verbs >= {"list", "get", "create"}]


def of_backup(about: Mapping[str, Any]) -> Resource:
    """Return a resource as a backup's manifest has it, for a cluster that may not know it.

    Args:
        about: One of the manifest's `details.parts`.
    """
    plural, _, group = str(about["resource"]).partition(".")
    version = str(about["api_version"]).rpartition("/")[2]
    return Resource(group, version, plural, str(about["kind"]), bool(about["namespaced"]))
