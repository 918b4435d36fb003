"""What a spec says of a RabbitMQ broker, and what its management API tells."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.references import Address, SecretReference
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(name="latency", words="response time of {system}", unit=Unit.SECONDS, help="Time of GET /api/overview."),
    Measure(
        name="alarms",
        words="alarms of {system}",
        unit=Unit.COUNT,
        help="Memory and disk alarms in effect, of /api/nodes; publishers are blocked while there is one.",
        limit=Limit(critical=Bound(0, Unit.COUNT)),
        remedy="Free memory or disk on the broker; publishers are blocked until then.",
    ),
    Measure(
        name="nodes_running",
        words="running nodes of {system}",
        share="all nodes",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="Running nodes against all, of /api/nodes.",
        limit=Limit(critical=Bound(1, Unit.RATIO)),
        remedy="Start the node, or take it out with rabbitmqctl forget_cluster_node.",
    ),
    Measure(
        name="partitions",
        words="nodes of {system} that are cut off",
        unit=Unit.COUNT,
        help="Nodes that believe others to be gone, of /api/nodes.",
        limit=Limit(critical=Bound(0, Unit.COUNT)),
        remedy="Mend the network, choose the side to trust, and restart the nodes of the other.",
    ),
    Measure(
        name="queue_present",
        unit=Unit.YES_NO,
        help="Whether a queue that the spec names is there, by queue.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Declare the queue again: messages to it are lost until then.",
    ),
    Measure(
        name="queue_running",
        unit=Unit.YES_NO,
        help="Whether a queue's own state is neither down, crashed, stopped nor without its majority.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Bring back the node that leads the queue.",
    ),
    Measure(
        name="messages",
        words="messages that wait in queue {subject} of {system}",
        unit=Unit.COUNT,
        help="Messages ready, by queue, of /api/queues.",
        remedy="Scale the consumers, or see why they stopped.",
    ),
    Measure(
        name="unacknowledged",
        words="messages of queue {subject} of {system} that are not acknowledged",
        unit=Unit.COUNT,
        help="Messages delivered and not acknowledged, by queue.",
        remedy="A consumer hangs or takes too much at once: look at its prefetch.",
    ),
    Measure(
        name="oldest_message",
        words="age of the oldest message in queue {subject} of {system}",
        unit=Unit.SECONDS,
        help="Age of the message at a queue's head by its own timestamp; only where the publisher sets one.",
    ),
    Measure(
        name="consumers",
        words="consumers of queue {subject} of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Consumers, by queue, of /api/queues.",
        remedy="Start the consumers; see why they lost their connection.",
    ),
    Measure(
        name="connections", words="connections of {system}", unit=Unit.COUNT, help="Open connections, of /api/overview."
    ),
    Measure(name="channels", words="channels of {system}", unit=Unit.COUNT, help="Open channels, of /api/overview."),
    Measure(
        name="memory_used",
        words="memory of node {subject} of {system}",
        share="its watermark",
        unit=Unit.RATIO,
        help="Memory of each node against its watermark, at which publishers are blocked.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="Drain the queues, or raise vm_memory_high_watermark.",
    ),
    Measure(
        name="disk_free",
        words="free disk of node {subject} of {system}",
        unit=Unit.BYTES,
        worse=Worse.BELOW,
        help="disk_free of each node, of /api/nodes.",
    ),
    Measure(
        name="files_used",
        words="file descriptors of node {subject} of {system}",
        share="its limit",
        unit=Unit.RATIO,
        help="File descriptors of each node against its limit.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="Raise the limit of open files, or find the connections that do not close.",
    ),
)


class Spec(SystemSpec):
    """A RabbitMQ broker, seen through its management API."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["rabbitmq"]
    url: Address = Field(description="Base address of the management API, such as `http://rabbitmq:15672`.")
    user: str | None = Field(None, description="A user with the tag `monitoring`.")
    password: SecretReference | None = Field(None, description="Where the user's password is to be found.")
    virtual_host: str = Field("/", description="The virtual host to look at.")
    queues: tuple[str, ...] = Field((), description="Queues to look at; all of the virtual host where none is named.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    def length_of(self, queue: str) -> tuple[str, str] | None:
        """Return the measurement and the subject that tell how long a queue is, where it is looked at."""
        return ("messages", queue) if not self.queues or queue in self.queues else None
