"""How a namespace is set today, for advice: workloads, autoscalers, claims, nodes. Needs the rights of `role.yaml`.

What may not be read is named with the reason; everything else goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tasks.clients.cluster import Connection, Object, Place
from tasks.clients.threads import in_thread
from tasks.core.advice.facts import Autoscaler, Claim, Cluster, Container, Kill, Node, Target, Trigger, Workload
from tasks.core.errors import Garbled, NotOffered, Unreachable, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.kubernetes.pods import parse_time
from tasks.systems.kubernetes.quantities import metrics, quantity
from tasks.systems.kubernetes.spec import Spec
from tasks.systems.kubernetes.usage import replica_set_owners, workload_of

_THRESHOLDS = ("listLength", "queueLength", "lagThreshold", "threshold", "value", "targetValue", "messageCount")
_NAMES = ("listName", "queueName", "stream", "topic")
_OUT_OF_MEMORY = "OOMKilled"
_Found = TypeVar("_Found")


async def facts(spec: Spec, access: Access) -> Cluster:
    """Read how the namespace is set.

    Raises:
        WatchkeeperError: The cluster does not answer, or does not let its workloads be listed.
    """
    connection = await in_thread(Connection, Place.of(spec, access, spec.timeout.total_seconds()))
    try:
        return await in_thread(_read, connection, spec)
    finally:
        connection.close()


def _read(connection: Connection, spec: Spec) -> Cluster:
    missing: dict[str, str] = {}

    def part(what: str, read: Callable[[], _Found], otherwise: _Found) -> _Found:
        try:
            return read()
        except Unreachable:
            raise
        except WatchkeeperError as error:
            missing[what] = error.message
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            missing[what] = f"the answer lacks what the API promises: {type(error).__name__}: {error}"
        return otherwise

    try:
        nothing: dict[str, list[Kill]] = {}
        pods = part("kills for memory", lambda: _kills(connection, spec), nothing)
        workloads = tuple(_workloads(connection, spec, pods))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Garbled(f"a workload lacks what the API promises: {type(error).__name__}: {error}") from error
    return Cluster(
        namespace=spec.namespace,
        workloads=workloads,
        autoscalers=part("autoscalers", lambda: tuple(_autoscalers(connection, spec)), ()),
        claims=part("claims", lambda: tuple(_claims(connection, spec)), ()),
        nodes=part("nodes", lambda: tuple(_nodes(connection)), ()),
        missing=missing,
    )


def _workloads(connection: Connection, spec: Spec, kills: dict[str, list[Kill]]) -> Iterator[Workload]:
    for plural, kind in (("deployments", "Deployment"), ("statefulsets", "StatefulSet")):
        for item in connection.pages(f"/apis/apps/v1/namespaces/{spec.namespace}/{plural}"):
            meta, wanted = item["metadata"], item["spec"].get("replicas", 1)
            if not wanted:
                continue
            yield Workload(
                kind=kind,
                name=meta["name"],
                namespace=spec.namespace,
                replicas=wanted,
                created=parse_time(meta.get("creationTimestamp")),
                containers=tuple(_containers(item["spec"]["template"]["spec"])),
                kills=tuple(kills.get(f"{kind.lower()}/{meta['name']}", ())),
            )


def _containers(pod: Object) -> Iterator[Container]:
    for item in pod.get("initContainers") or ():
        sidecar = item.get("restartPolicy") == "Always"
        yield _container(item, starts=not sidecar, sidecar=sidecar)
    for item in pod["containers"]:
        yield _container(item)


def _container(item: Object, *, starts: bool = False, sidecar: bool = False) -> Container:
    given = item.get("resources") or {}
    asked, most = given.get("requests") or {}, given.get("limits") or {}

    def amount(resource: str) -> tuple[float | None, float | None]:
        limit = _amount(most.get(resource))
        asks = _amount(asked.get(resource))
        return (limit if asks is None else asks), limit  # a limit without a request is the request too

    (cpu, cpu_limit), (memory, memory_limit) = amount("cpu"), amount("memory")
    return Container(item["name"], cpu, cpu_limit, memory, memory_limit, starts, sidecar)


def _amount(text: Any) -> float | None:
    return None if text is None else quantity(str(text))


def _kills(connection: Connection, spec: Spec) -> dict[str, list[Kill]]:
    """Return by workload what its pods' states tell of memory that ran out, with the limit of that very pod."""
    owners = replica_set_owners(connection, spec)
    found: dict[str, list[Kill]] = {}
    for pod in connection.pages(f"/api/v1/namespaces/{spec.namespace}/pods"):
        limits = {one.name: one.memory_limit for one in _containers(pod["spec"])}
        status = pod.get("status") or {}
        for one in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            for state in ("lastState", "state"):
                ended = (one.get(state) or {}).get("terminated") or {}
                at = parse_time(ended.get("finishedAt"))
                if ended.get("reason") == _OUT_OF_MEMORY and at is not None:
                    kill = Kill(one["name"], at, limits.get(one["name"]))
                    found.setdefault(workload_of(pod, owners), []).append(kill)
    return found


def _autoscalers(connection: Connection, spec: Spec) -> Iterator[Autoscaler]:
    namespace = f"namespaces/{spec.namespace}"
    for item in connection.pages(f"/apis/autoscaling/v2/{namespace}/horizontalpodautoscalers"):
        if not any(owner.get("kind") == "ScaledObject" for owner in item["metadata"].get("ownerReferences") or ()):
            yield _autoscaler(item)
    try:
        yield from map(_scaled_object, connection.pages(f"/apis/keda.sh/v1alpha1/{namespace}/scaledobjects"))
    except NotOffered:
        return  # a cluster without KEDA


def _autoscaler(item: Object) -> Autoscaler:
    given, status = item["spec"], item.get("status") or {}
    active = next((one for one in status.get("conditions") or () if one["type"] == "ScalingActive"), None)
    return Autoscaler(
        name=item["metadata"]["name"],
        workload=_scaled(given["scaleTargetRef"]),
        minimum=given.get("minReplicas") or 1,
        maximum=given["maxReplicas"],
        targets=tuple(_target(one) for one in given.get("metrics") or ()),
        blind=str(active.get("message", "")) if active is not None and active["status"] == "False" else "",
    )


def _scaled(reference: Object) -> str:
    return f"{reference.get('kind', 'Deployment').lower()}/{reference['name']}"


def _target(metric: Object) -> Target:
    body = metric.get(metric["type"][0].lower() + metric["type"][1:]) or {}
    if metric["type"] == "Resource":
        aim = (body.get("target") or {}).get("averageUtilization")
        return Target(body["name"], aim / 100 if aim else None)
    return Target(str((body.get("metric") or {}).get("name") or body.get("name") or metric["type"]))


def _scaled_object(item: Object) -> Autoscaler:
    given = item["spec"]
    return Autoscaler(
        name=item["metadata"]["name"],
        workload=_scaled(given["scaleTargetRef"]),
        minimum=given.get("minReplicaCount") or 0,
        maximum=given.get("maxReplicaCount") or 100,
        triggers=tuple(_trigger(one, index) for index, one in enumerate(given.get("triggers") or ())),
    )


def _trigger(item: Object, index: int) -> Trigger:
    metadata = item.get("metadata") or {}
    field = next((name for name in _THRESHOLDS if name in metadata), "")
    queue = next((str(metadata[name]) for name in _NAMES if name in metadata), "")
    try:
        threshold = float(metadata[field]) if field else None
    except ValueError:
        threshold = None
    return Trigger(str(item.get("type", "")), field, threshold, index, queue)


def _claims(connection: Connection, spec: Spec) -> Iterator[Claim]:
    expandable = _expandable(connection)
    for item in connection.pages(f"/api/v1/namespaces/{spec.namespace}/persistentvolumeclaims"):
        asked = quantity(str(item["spec"]["resources"]["requests"]["storage"]))
        there = ((item.get("status") or {}).get("capacity") or {}).get("storage")
        name = item["spec"].get("storageClassName") or ""
        size = max(asked, quantity(str(there)) if there else 0.0)
        yield Claim(item["metadata"]["name"], spec.namespace, size, name, expandable.get(name))


def _expandable(connection: Connection) -> dict[str, bool]:
    """Return which storage classes let volumes grow; the default one under no name too. Nothing where it may not."""
    try:
        items = list(connection.pages("/apis/storage.k8s.io/v1/storageclasses"))
    except Unreachable:
        raise
    except WatchkeeperError:
        return {}
    found = {item["metadata"]["name"]: bool(item.get("allowVolumeExpansion")) for item in items}
    marked = "storageclass.kubernetes.io/is-default-class"
    default = [item for item in items if (item["metadata"].get("annotations") or {}).get(marked) == "true"]
    return found | ({"": found[default[0]["metadata"]["name"]]} if default else {})


def _nodes(connection: Connection) -> Iterator[Node]:
    used: dict[str, Object] = {}
    try:
        items = metrics(connection, "/apis/metrics.k8s.io/v1beta1/nodes")
        used = {item["metadata"]["name"]: item["usage"] for item in items}
    except Unreachable:
        raise
    except WatchkeeperError:
        used = {}
    for item in connection.pages("/api/v1/nodes"):
        room, name = (item.get("status") or {}).get("allocatable") or {}, item["metadata"]["name"]
        if (item.get("spec") or {}).get("unschedulable"):
            continue
        yield Node(
            name=name,
            cpu=quantity(str(room["cpu"])),
            memory=quantity(str(room["memory"])),
            cpu_used=_amount(used.get(name, {}).get("cpu")),
            memory_used=_amount(used.get(name, {}).get("memory")),
        )
