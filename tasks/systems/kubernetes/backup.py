"""Backs a namespace up as YAML that kubectl applies: every object that a person wrote, a part for each resource."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.clients.cluster import Connection, Expired, Object, Place, TooLong
from tasks.core.backup import Order, Sink, Taken, safe_name
from tasks.core.errors import ConfigError, Denied, NotOffered, PermanentError, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.kubernetes.choosing import Choice, custom, of_cluster, of_namespace
from tasks.systems.kubernetes.discovery import Discovery, Resource, discover
from tasks.systems.kubernetes.index import PART as INDEX
from tasks.systems.kubernetes.index import Index, changes, index_of
from tasks.systems.kubernetes.manifests import dump, rank
from tasks.systems.kubernetes.reading import Reader
from tasks.systems.kubernetes.spec import Plan, Spec
from tasks.systems.kubernetes.stripping import left_out, stripped

_WHOLE_SECONDS = 6 * 3600.0
_ANSWER_SECONDS = 60.0
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


@dataclass
class _Tally:
    """What one reading of one resource brought."""

    counted: int = 0
    seen: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    marks: Index = field(default_factory=Index)
    services: set[str] = field(default_factory=set)


@dataclass
class _Copy:
    """What is read so far."""

    sink: Sink
    reader: Reader
    index: Index
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    denied: list[Denied] = field(default_factory=list)
    seen: int = 0
    done: int = 0

    def write(self, choice: Choice) -> None:
        """Read a resource into its part; what may not be read is told, or raised where the plan names it."""
        resource = choice.resource
        name, opened = part_name(resource), False
        for items in self.reader.attempts(resource):
            tally = _Tally(marks=Index(self.index.salt))
            try:
                with ExitStack() as stack:
                    writer = stack.enter_context(self.sink.part(name)) if opened else None
                    for item, document in self._kept(choice, items, tally):
                        if writer is None:
                            writer, opened = stack.enter_context(self.sink.part(name)), True
                        writer.write(document)
                        self.done += len(document)
                        self.sink.progress(self.done)
                        tally.marks.add(resource, item, document)
            except (Expired, TooLong):
                continue
            except (Denied, NotOffered) as error:
                if opened or choice.named:
                    raise
                self._cannot(resource, error)
                return
            self._take(resource, tally, name if opened else "")
            return

    def _kept(self, choice: Choice, items: Iterator[Object], tally: _Tally) -> Iterator[tuple[Object, bytes]]:
        resource = choice.resource
        for item in items:
            tally.seen += 1
            if not choice.takes(item["metadata"]["name"]):
                continue
            if resource.qualified == "services" and (item.get("spec") or {}).get("selector"):
                tally.services.add(item["metadata"]["name"])
            if reason := left_out(resource, item, self.services):
                tally.skipped[reason] += 1
                continue
            tally.counted += 1
            yield item, dump(stripped(resource, item))

    def write_named(self, resource: Resource, names: Sequence[str]) -> None:
        """Read single objects into a part, such as are there."""
        tally = _Tally(marks=Index(self.index.salt))
        items = [item for name in names if (item := self._get(resource, name)) is not None]
        if not items:
            return
        part = part_name(resource)
        with self.sink.part(part) as writer:
            for item in items:
                document = dump(stripped(resource, item))
                writer.write(document)
                tally.marks.add(resource, item, document)
        tally.counted = len(items)
        self._take(resource, tally, part)

    def _get(self, resource: Resource, name: str) -> Object | None:
        try:
            return self.reader.connection.get(resource.path(name=name))
        except NotOffered:
            return None

    def _take(self, resource: Resource, tally: _Tally, part: str) -> None:
        self.index.objects |= tally.marks.objects
        self.services |= tally.services
        self.skipped += tally.skipped
        self.seen += tally.seen
        if part:
            self.counts[resource.qualified] = tally.counted
            about = {"api_version": resource.api_version, "kind": resource.kind, "resource": resource.qualified}
            self.parts[part] = about | {"namespaced": resource.namespaced}

    def _cannot(self, resource: Resource, error: WatchkeeperError) -> None:
        if isinstance(error, Denied):
            self.denied.append(error)
        self.warnings.append(f"{resource.qualified} are not in it: {error.message}")


def part_name(resource: Resource) -> str:
    """Return the name of a resource's part."""
    return f"manifests/{safe_name(resource.qualified)}.yaml"


def place(spec: Spec, access: Access) -> Place:
    """Return where a system's cluster is, with the time that a backup or a restore may take."""
    return Place.of(spec, access, _WHOLE_SECONDS, _ANSWER_SECONDS)


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Write `manifests/<resource>.yaml` for each resource that has objects, and `index.json` unencrypted.

    Raises:
        ConfigError: There is no such namespace; Secrets would be written unencrypted; the plan names what is not there.
        Denied: The plan names what `role-backup.yaml` does not grant, or nothing at all may be read.
        WatchkeeperError: As the server says.
    """
    plan = spec.backup or Plan(to=("-",))
    connection = Connection(place(spec, access))
    try:
        return _taken(connection, spec, plan, access, sink, order)
    finally:
        connection.close()


def _taken(connection: Connection, spec: Spec, plan: Plan, access: Access, sink: Sink, order: Order) -> Taken:
    found = discover(connection)
    choices, beyond = of_namespace(plan, found), of_cluster(plan, found)
    _must_be_encrypted(choices, sink)
    before, why_not = index_of(order.parent)
    began = access.now()
    copy = _Copy(sink, Reader(connection, spec.namespace), Index(before.salt if before is not None else ""))
    copy.warnings += [f"{group} did not tell what it has: {reason}" for group, reason in sorted(found.gaps.items())]
    copy.warnings += [why_not] if why_not else []
    for choice in choices:
        copy.write(choice)
    if len(copy.denied) == len(choices) and copy.denied:
        raise copy.denied[0]
    there = [choice.resource for choice in choices if choice.resource.qualified in copy.counts]
    for choice in beyond:
        _beyond(copy, choice, spec.namespace, there)
    if not copy.seen:
        _must_exist(copy, found, spec)
    with sink.part(INDEX, encrypt=False) as writer:
        writer.write(copy.index.to_bytes())
    return _told(copy, spec, began, _version(connection), order, before)


def _must_be_encrypted(choices: Sequence[Choice], sink: Sink) -> None:
    if not sink.encrypts and any(choice.resource.qualified == "secrets" for choice in choices):
        raise ConfigError(
            "Secrets would be written unencrypted",
            hint="give the vault recipients, or write `secrets: omitted` in the backup's plan",
        )


def _must_exist(copy: _Copy, found: Discovery, spec: Spec) -> None:
    """Refuse an empty list that is that of a namespace which is not there: the API shows no difference."""
    namespaces = found.find("v1", "Namespace")
    if namespaces is not None:
        try:
            copy.reader.connection.get(namespaces.path(name=spec.namespace))
        except NotOffered:
            raise ConfigError(
                f"there is no namespace {spec.namespace}", hint="see that the spec names the right cluster"
            ) from None
        except Denied:
            copy.warnings.append(f"nothing was shown of namespace {spec.namespace}, and whether it exists neither")


def _beyond(copy: _Copy, choice: Choice, namespace: str, there: Sequence[Resource]) -> None:
    """Take what is chosen of the whole cluster."""
    resource = choice.resource
    try:
        if resource.qualified == "namespaces" and not choice.patterns:
            copy.write_named(resource, [namespace])
        elif resource.qualified == _DEFINITIONS and not choice.patterns:
            copy.write_named(resource, [item.qualified for item in there if custom(item)])
        else:
            copy.write(choice)
    except Denied as error:
        if choice.named:
            raise
        copy.warnings.append(f"{resource.qualified} are not in it: {error.message}")


def _version(connection: Connection) -> str:
    try:
        return str(connection.get("/version").get("gitVersion", ""))
    except Denied:
        return ""


def _told(copy: _Copy, spec: Spec, began: datetime, version: str, order: Order, before: Index | None) -> Taken:
    details: dict[str, Any] = {
        "namespace": spec.namespace,
        "parts": {name: copy.parts[name] for name in sorted(copy.parts)},
        "left_out": dict(sorted(copy.skipped.items())),
        "read_later": sorted(copy.reader.later),
    }
    if order.parent is not None and before is not None:
        details["changes"] = changes(order.parent.id, before.objects, copy.index.objects)
    return Taken(
        method="manifests",
        consistent_as_of=began,
        server_version=version,
        position={"resource_version": copy.reader.version},
        counts=dict(sorted(copy.counts.items())),
        details=details,
        warnings=tuple(copy.warnings),
    )


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that apply every part in the right order. See `tasks.core.backup.Recovery`."""
    about = taken.details["parts"]
    missing = [part for part in about if part not in parts]
    if missing:
        raise PermanentError(f"the backup has no part {missing[0]}")
    namespace = taken.details["namespace"]
    server = taken.server_version or "a server that did not tell its version"
    lines = [
        "Let kubectl reach the cluster: `export KUBECONFIG=...`; `kubectl version` shows which one it is.",
        f"The backup is of {server}. It brings back the objects of the namespace {namespace}, and starts what runs",
        "there; what volumes and databases held is not in it.",
        "",
    ]
    if "manifests/namespaces.yaml" not in about:
        lines.append(f"    kubectl create namespace {namespace}")
    for part in sorted(about, key=lambda part: rank(about[part]["resource"])):
        lines.append(f"    {{read:{part}}} | kubectl apply --server-side --force-conflicts -f -")
        if about[part]["resource"] == _DEFINITIONS:
            lines.append(f"    {{read:{part}}} | kubectl wait --for=condition=Established --timeout=60s -f -")
    lines += [
        "",
        "Whoever wants them in another namespace puts this between the two commands of each line, and OTHER in it:",
        f'`| sed "s/^  namespace: {namespace}\\$/  namespace: OTHER/" |`. Names of the namespace elsewhere stay.',
        "",
    ]
    return "\n".join(lines)
