"""Resources of Kubernetes as the controls see them: their pods, their containers, and the line of each setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.core.control import Breach, Judgement

_CLUSTER_WIDE = frozenset({
    "Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass",
    "CustomResourceDefinition", "PriorityClass", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
    "APIService", "IngressClass", "RuntimeClass", "PodSecurityPolicy", "CSIDriver", "ClusterIssuer",
})  # fmt: skip
_RUNS_ON = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"})
_UNJUDGED = frozenset({"ConfigMap", "Secret"})


class Located(dict[str, Any]):
    """A mapping that knows its line and the line of each key."""

    line: int = 0
    lines: dict[str, int]


class Listed(list[Any]):
    """A list that knows its line and the line of each item."""

    line: int = 0
    lines: list[int]


def part(data: Any, *path: str) -> Located:
    """Return the mapping at a path, or an empty one where there is none."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, Located) else _EMPTY


def items(data: Any, name: str) -> list[Any]:
    """Return the list under a name, or an empty one."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, list) else []


def mappings(data: Any, name: str) -> list[Located]:
    """Return the mappings in the list under a name."""
    return [one for one in items(data, name) if isinstance(one, Located)]


_EMPTY = Located()
_EMPTY.lines = {}


@dataclass(frozen=True)
class Container:
    """A container of a pod.

    Attributes:
        data: As it is written.
        sort: `container`, `init` or `ephemeral`.
        pod: The pod that it is of.
    """

    data: Located
    sort: str
    pod: Pod

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.data.get("name", ""))

    @property
    def security(self) -> Located:
        """Its own security context."""
        return part(self.data, "securityContext")

    def effective(self, name: str) -> Any:
        """Return a setting of its security context, or else the pod's."""
        own = self.security.get(name)
        return own if own is not None else part(self.pod.spec, "securityContext").get(name)

    def line(self, *path: str) -> int:
        """Return the line of the deepest part of a path that is written."""
        found, at = self.data.line, self.data
        for name in path:
            if not isinstance(at, Located) or name not in at:
                break
            found, at = at.lines.get(name, found), at[name]
        return found


@dataclass(frozen=True)
class Pod:
    """The pod of a workload, or the template of one."""

    resource: Resource
    spec: Located
    metadata: Located

    @cached_property
    def containers(self) -> list[Container]:
        """All its containers, those that only begin it and those for debugging too."""
        kinds = (("containers", "container"), ("initContainers", "init"), ("ephemeralContainers", "ephemeral"))
        return [Container(data, sort, self) for name, sort in kinds for data in mappings(self.spec, name)]

    @property
    def windows(self) -> bool:
        """Whether it runs on Windows, where Linux's settings mean nothing."""
        chosen = part(self.spec, "nodeSelector").get("kubernetes.io/os")
        return part(self.spec, "os").get("name") == "windows" or chosen == "windows"


@dataclass(frozen=True)
class Resource:
    """One resource.

    Attributes:
        data: As it is written.
        file: Where it was read.
    """

    data: Located
    file: str

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.data["kind"])

    @property
    def group(self) -> str:
        """Its API group; empty for the core."""
        version = str(self.data.get("apiVersion", ""))
        return version.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name, or what it begins with."""
        metadata = part(self.data, "metadata")
        return str(metadata.get("name") or metadata.get("generateName") or "")

    @property
    def namespace(self) -> str:
        """Its namespace: `default` where it names none, and empty where it has none."""
        if self.kind in _CLUSTER_WIDE:
            return ""
        return str(part(self.data, "metadata").get("namespace") or "default")

    @property
    def key(self) -> dict[str, str]:
        """What tells it apart."""
        return {"kind": self.kind, "namespace": self.namespace, "name": self.name}

    @property
    def runs_on(self) -> bool:
        """Whether its pods are to run for ever, not to come to an end."""
        spec = self.pod.spec if self.pod else _EMPTY
        return self.kind in _RUNS_ON and spec.get("restartPolicy", "Always") == "Always"

    @cached_property
    def pod(self) -> Pod | None:
        """Its pod, or None where it has none. Kinds that are not known count where they hold a template of a pod."""
        spec = part(self.data, "spec")
        if self.kind == "Pod" and self.group == "":
            return Pod(self, spec, part(self.data, "metadata"))
        if self.kind == "CronJob":
            spec = part(spec, "jobTemplate", "spec")
        template = part(self.data, "template") if self.kind == "PodTemplate" else part(spec, "template")
        if not mappings(part(template, "spec"), "containers"):
            return None
        return Pod(self, part(template, "spec"), part(template, "metadata"))

    def line(self, *path: str) -> int:
        """Return the line of the deepest part of a path that is written."""
        found, at = self.data.line, self.data
        for name in path:
            if not isinstance(at, Located) or name not in at:
                break
            found, at = at.lines.get(name, found), at[name]
        return found

    def breach(self, what: str, line: int = 0, container: str = "") -> Breach:
        """Return a breach of this resource."""
        return Breach(what, self.key, container, self.file, line or self.data.line)

    def templated(self) -> int:
        """Return the line where a value that would be judged is left to a template; 0 where none is."""
        return 0 if self.kind in _UNJUDGED else _templated(self.data, set())


def _templated(data: Any, seen: set[int]) -> int:
    if not isinstance(data, Located | Listed) or id(data) in seen:
        return 0
    seen.add(id(data))
    pairs = data.items() if isinstance(data, Located) else enumerate(data)
    for name, value in pairs:
        if name in ("annotations", "args", "command"):
            continue
        if isinstance(value, str) and "{{" in value and "}}" in value:
            return data.lines[name]  # type: ignore[index]
        if found := _templated(value, seen):
            return found
    return 0


def pods(resources: list[Resource]) -> Iterator[Pod]:
    """Yield every pod."""
    for resource in resources:
        if resource.pod is not None:
            yield resource.pod


def over_pods(resources: list[Resource], check: Callable[[Pod], Iterator[tuple[str, int]]]) -> Judgement:
    """Judge every pod by a check that yields what is wrong and on which line."""
    judged = Judgement()
    for pod in pods(resources):
        judged.looked += 1
        judged.breaches += [pod.resource.breach(what, line) for what, line in check(pod)]
    return judged


def over_containers(resources: list[Resource], check: Callable[[Container], Iterator[tuple[str, int]]]) -> Judgement:
    """Judge every container by a check that yields what is wrong and on which line."""
    judged = Judgement()
    for pod in pods(resources):
        for container in pod.containers:
            judged.looked += 1
            found = [pod.resource.breach(what, line, container.name) for what, line in check(container)]
            judged.breaches += found
    return judged
