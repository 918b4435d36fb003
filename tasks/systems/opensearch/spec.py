"""What a spec says of an OpenSearch or Elasticsearch cluster, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.references import Address, SecretReference
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(name="latency", words="response time of {system}", unit=Unit.SECONDS, help="Time of GET /_cluster/health."),
    Measure(name="status", unit=Unit.TEXT, help="green, yellow or red, of /_cluster/health."),
    Measure(
        name="primaries_assigned",
        unit=Unit.YES_NO,
        help="Whether every primary shard has a node: the status is not red.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="GET /_cluster/allocation/explain says why; data of the missing shards cannot be searched.",
    ),
    Measure(
        name="replicas_assigned",
        unit=Unit.YES_NO,
        help="Whether every replica shard has a node: the status is green.",
        worse=Worse.BELOW,
        limit=Limit(warn=Bound(0, Unit.YES_NO)),
        remedy="GET /_cluster/allocation/explain says why; one node alone can hold no replicas.",
    ),
    Measure(
        name="unassigned_shards",
        words="unassigned shards of {system}",
        unit=Unit.COUNT,
        help="unassigned_shards of /_cluster/health.",
    ),
    Measure(
        name="initializing_shards",
        words="initializing shards of {system}",
        unit=Unit.COUNT,
        help="initializing_shards of /_cluster/health.",
    ),
    Measure(
        name="relocating_shards",
        words="relocating shards of {system}",
        unit=Unit.COUNT,
        help="relocating_shards of /_cluster/health.",
    ),
    Measure(
        name="nodes",
        words="nodes of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="number_of_nodes of /_cluster/health.",
        remedy="Find the node that left: its log, its disk, its network.",
    ),
    Measure(
        name="data_nodes",
        words="data nodes of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="number_of_data_nodes of /_cluster/health.",
    ),
    Measure(
        name="pending_tasks",
        words="pending tasks of {system}",
        unit=Unit.COUNT,
        help="number_of_pending_tasks of /_cluster/health.",
        remedy="GET /_cluster/pending_tasks names them; too many shards are the usual reason.",
    ),
    Measure(
        name="oldest_pending_task",
        words="oldest pending task of {system}",
        unit=Unit.SECONDS,
        help="task_max_waiting_in_queue_millis of /_cluster/health.",
    ),
    Measure(
        name="disk_used",
        words="disk of node {subject} of {system}",
        share="its size",
        unit=Unit.RATIO,
        help="Disk of each node that holds data, of /_nodes/stats/fs. By default shards leave a node above 90 %, and "
        "indices become read-only above 95 %.",
        limit=Limit(warn=Bound(0.85, Unit.RATIO), critical=Bound(0.9, Unit.RATIO)),
        remedy="Remove old indices or add a node before the flood-stage watermark makes indices read-only.",
    ),
    Measure(
        name="heap_used",
        words="heap of node {subject} of {system}",
        share="its most",
        unit=Unit.RATIO,
        help="Heap of each node, heap_used_percent of /_nodes/stats/jvm.",
        limit=Limit(warn=Bound(0.85, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="Fewer shards, smaller aggregations, or a bigger heap; above 95 % requests are refused.",
    ),
    Measure(
        name="read_only_indices",
        words="read-only indices of {system}",
        unit=Unit.COUNT,
        help="Indices that refuse writes by index.blocks.read_only or read_only_allow_delete.",
        limit=Limit(critical=Bound(0, Unit.COUNT)),
        remedy="Make room on the disk, then set index.blocks.read_only_allow_delete to null.",
    ),
    Measure(
        name="red_indices",
        words="red indices of {system}",
        unit=Unit.COUNT,
        help="Indices that lack a primary shard, of /_cat/indices.",
    ),
    Measure(
        name="index_present",
        unit=Unit.YES_NO,
        help="Whether an index that the spec names is there, by index.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Re-index from the database, or restore a snapshot.",
    ),
    Measure(
        name="documents",
        words="documents in index {subject} of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Documents by index, of /_cat/indices.",
    ),
)


class Spec(SystemSpec):
    """An OpenSearch or Elasticsearch cluster."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["opensearch"]
    url: Address = Field(description="Base address, such as `http://search:9200`.")
    user: str | None = Field(None, description="Name for basic authentication.")
    password: SecretReference | None = Field(None, description="Where the password is to be found.")
    indices: tuple[str, ...] = Field(
        (), description="Indices that must be there, and whose documents are counted; all where none is named."
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
