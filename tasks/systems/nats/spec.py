"""What a spec says of a NATS server, and what its monitoring port tells."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.references import Address
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(name="latency", words="response time of {system}", unit=Unit.SECONDS, help="Time of GET /healthz."),
    Measure(
        name="healthy",
        unit=Unit.YES_NO,
        help="What /healthz says, JetStream included.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Read the server's log; a full JetStream store and a lost quorum are the usual reasons.",
    ),
    Measure(
        name="stream_present",
        unit=Unit.YES_NO,
        help="Whether a stream that the spec names is there, by stream.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Create the stream again from the application's configuration, or restore it.",
    ),
    Measure(
        name="messages",
        words="messages in stream {subject} of {system}",
        unit=Unit.COUNT,
        help="Messages kept, by stream, of /jsz.",
    ),
    Measure(
        name="backlog",
        words="messages that wait for {subject} of {system}",
        unit=Unit.COUNT,
        help="Messages not yet delivered, num_pending of /jsz, by stream/consumer.",
        remedy="Scale the workers, or look for one that is stuck.",
    ),
    Measure(
        name="unacknowledged",
        words="messages that {subject} of {system} did not acknowledge",
        unit=Unit.COUNT,
        help="Messages delivered and not acknowledged, num_ack_pending of /jsz, by stream/consumer.",
    ),
    Measure(
        name="redelivered",
        words="messages delivered again to {subject} of {system}",
        unit=Unit.COUNT,
        help="num_redelivered of /jsz, by stream/consumer.",
    ),
    Measure(
        name="consumers",
        words="consumers of stream {subject} of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Consumers by stream, of /jsz.",
    ),
    Measure(
        name="stream_used",
        words="stream {subject} of {system}",
        share="its most",
        unit=Unit.RATIO,
        help="How full a stream is against the nearer of max_bytes and max_msgs; only where it has one.",
        remedy="At its bound a stream drops the oldest messages or refuses new ones: drain it, or raise the bound.",
    ),
    Measure(
        name="storage_used",
        words="storage of {system}",
        share="its most",
        unit=Unit.RATIO,
        help="JetStream's files against max_file_store, of /jsz.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="Purge or bound streams, or raise max_file_store: a full store refuses every message.",
    ),
    Measure(
        name="memory_store_used",
        words="memory store of {system}",
        share="its most",
        unit=Unit.RATIO,
        help="JetStream's memory against max_memory_store, of /jsz.",
    ),
    Measure(name="connections", words="connections of {system}", unit=Unit.COUNT, help="connections of /varz."),
    Measure(
        name="connections_used",
        words="connections of {system}",
        share="those it takes",
        unit=Unit.RATIO,
        help="connections against max_connections, of /varz.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="/connz shows who they are; raise max_connections, or find what does not close.",
    ),
    Measure(
        name="slow_consumers",
        words="slow consumers of {system}",
        unit=Unit.COUNT,
        help="slow_consumers of /varz since the server's start: clients that it cut off because they did not read.",
        remedy="/connz?state=closed names them; they process in the callback, or their network is slow.",
    ),
    Measure(
        name="memory", words="memory of {system}", unit=Unit.BYTES, help="mem of /varz: what the server's process uses."
    ),
)


class Spec(SystemSpec):
    """A NATS server, seen through its monitoring port."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["nats"]
    url: Address = Field(description="Base address of the monitoring port, such as `http://nats:8222`.")
    streams: tuple[str, ...] = Field(
        (), description="JetStream streams that must be there, and the only ones looked at; all where none is named."
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
