"""What advice is made from besides series: how things are set today. Numbers are cores, bytes and seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Container:
    """What a container of a workload asks for and may use; None where nothing is said.

    Attributes:
        name: Of the container.
        cpu_request: Cores.
        cpu_limit: Cores.
        memory_request: Bytes.
        memory_limit: Bytes.
        starts: Whether it only runs before the others do: an init container that is no sidecar.
        sidecar: Whether it stands among the init containers and runs on.
    """

    name: str
    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None
    starts: bool = False
    sidecar: bool = False


@dataclass(frozen=True)
class Kill:
    """That a container was killed as it ran out of memory.

    Attributes:
        container: Its name.
        at: When.
        limit: What it was allowed then, as its own pod says; None where that is not known.
    """

    container: str
    at: datetime
    limit: float | None


@dataclass(frozen=True)
class Workload:
    """A deployment or a stateful set.

    Attributes:
        kind: `Deployment` or `StatefulSet`.
        name: Its name.
        namespace: Where it lives.
        replicas: How many are wanted now.
        created: Since when there is one of this name.
        containers: Init containers first.
        kills: What its pods' states tell of memory that ran out.
    """

    kind: str
    name: str
    namespace: str
    replicas: int
    created: datetime | None
    containers: tuple[Container, ...]
    kills: tuple[Kill, ...] = ()

    @property
    def subject(self) -> str:
        """How measurements name it: `deployment/api`."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def running(self) -> tuple[Container, ...]:
        """The containers that run as long as the pod does."""
        return tuple(one for one in self.containers if not one.starts)

    def reserved(self, resource: str) -> float:
        """Return what one pod reserves of a node: the sum of what runs, or the largest that only starts."""
        asked = {one.name: getattr(one, f"{resource}_request") or 0.0 for one in self.containers}
        starting = max((asked[one.name] for one in self.containers if one.starts), default=0.0)
        return max(sum(asked[one.name] for one in self.running), starting)


@dataclass(frozen=True)
class Target:
    """What an autoscaler aims at.

    Attributes:
        metric: `cpu`, `memory`, or the name of another metric.
        utilization: The share of the request, for CPU and memory; None where it aims at a value.
    """

    metric: str
    utilization: float | None = None


@dataclass(frozen=True)
class Trigger:
    """One trigger of a ScaledObject.

    Attributes:
        kind: `redis`, `rabbitmq`...
        field: The field of its metadata that holds its threshold: `listLength`.
        threshold: The jobs for each replica; None where it has none that is a number.
        index: Where it stands among the triggers.
        queue: The name of its queue; empty where it has none.
    """

    kind: str
    field: str
    threshold: float | None
    index: int
    queue: str = ""


@dataclass(frozen=True)
class Autoscaler:
    """A HorizontalPodAutoscaler, or a KEDA ScaledObject, which makes one of its own.

    Attributes:
        name: Its name.
        workload: The subject that it scales: `deployment/api`.
        minimum: Fewest replicas.
        maximum: Most replicas.
        targets: What it aims at.
        triggers: Of a ScaledObject; empty for a plain one.
        blind: Why it cannot compute a count, if so.
    """

    name: str
    workload: str
    minimum: int
    maximum: int
    targets: tuple[Target, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    blind: str = ""

    def utilization(self, metric: str) -> float | None:
        """Return the share of the request that it aims at, if any."""
        return next((one.utilization for one in self.targets if one.metric == metric and one.utilization), None)


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim; `expandable` is None where the StorageClass may not be read."""

    name: str
    namespace: str
    size: float
    storage_class: str = ""
    expandable: bool | None = None


@dataclass(frozen=True)
class Node:
    """What a node lets its pods have, and what they use of it; None where no metrics API tells."""

    name: str
    cpu: float
    memory: float
    cpu_used: float | None = None
    memory_used: float | None = None


@dataclass(frozen=True)
class Cluster:
    """A namespace as it is set today; what could not be read says why, by what is missing."""

    namespace: str
    workloads: tuple[Workload, ...] = ()
    autoscalers: tuple[Autoscaler, ...] = ()
    claims: tuple[Claim, ...] = ()
    nodes: tuple[Node, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """What a workload's pods used.

    Attributes:
        containers: By container a frame over time (UTC, ascending) with the columns `cpu` (cores of all pods together),
            `busiest` (cores of the busiest pod), `memory` (bytes of the fullest pod, the peak of each step),
            `throttled` (share of its periods in which the worst pod was held back). Any may be missing or have gaps.
        pods: How many pods there were, over time; None where that is not known.
        kills: How often memory ran out in history, with the limit of then.
        seen: The cores of all pods together as their autoscaler saw them: replicas x utilization x request of then.
        wanted: How many pods its other metrics asked for, over time, by metric.
        source: Where it comes from.
        reason: Why there is nothing.
    """

    containers: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    pods: pd.Series[float] | None = None
    kills: tuple[Kill, ...] = ()
    seen: pd.Series[float] | None = None
    wanted: Mapping[str, pd.Series[float]] = field(default_factory=dict)
    source: str = ""
    reason: str = ""
