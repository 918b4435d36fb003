"""What a spec says of a MongoDB deployment, and what can be measured there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import SecretReference
from tasks.core.system import BackupPlan, ProtectedSpec
from tasks.core.units import Duration, Unit

CATALOG = Catalog(
    Measure(
        name="latency",
        words="response time of {system}",
        unit=Unit.SECONDS,
        help="Median time of several `ping` commands.",
        remedy="Look at the host's CPU and disks, and at db.currentOp().",
    ),
    Measure(
        name="has_primary",
        unit=Unit.YES_NO,
        help="Whether some member takes writes; yes for a standalone server and for mongos.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Look at rs.status(): a majority of the voting members must see each other.",
    ),
    Measure(
        name="members_down",
        words="members of {system} that are down",
        unit=Unit.COUNT,
        help="Members of the replica set that are not healthy or in no working state; the note names them.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Start the member, or look at its log and at rs.status().",
    ),
    Measure(
        name="replication_lag",
        words="replication lag of {subject} of {system}",
        unit=Unit.SECONDS,
        help="How far a secondary's last operation is behind the primary's; the subject is the member.",
        remedy="Look at the secondary's disks and network; enlarge the oplog before it falls off.",
    ),
    Measure(
        name="oplog_window",
        words="time that the oplog of {system} covers",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="Time between the oldest and the newest entry of the oplog.",
        remedy="Enlarge the oplog with replSetResizeOplog.",
    ),
    Measure(
        name="connections_used",
        words="connections of {system}",
        share="those it takes",
        unit=Unit.RATIO,
        help="Current connections against current and available ones.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="Shrink the applications' pools (maxPoolSize), or raise net.maxIncomingConnections.",
    ),
    Measure(
        name="connections",
        words="connections of {system}",
        unit=Unit.COUNT,
        help="Current connections: connections.current of serverStatus.",
    ),
    Measure(
        name="queued_operations",
        words="operations of {system} that wait for a lock",
        unit=Unit.COUNT,
        help="Operations that wait for a lock: globalLock.currentQueue.total of serverStatus.",
        remedy="Find what holds the lock with db.currentOp({waitingForLock: true}).",
    ),
    Measure(
        name="longest_operation",
        words="longest operation of {system}",
        unit=Unit.SECONDS,
        help="How long the oldest client operation that runs now has been running; the note shows what it is.",
        remedy="Look at it with db.currentOp(); end it with db.killOp where nobody waits for it.",
    ),
    Measure(
        name="slowest_query",
        words="slowest query of {system}",
        unit=Unit.SECONDS,
        help="The slowest operation that the profiler holds; only where it is on. The note shows its plan.",
        remedy="Look at its plan with explain(); COLLSCAN asks for an index.",
    ),
    Measure(
        name="indexes",
        words="indexes of {system}",
        unit=Unit.COUNT,
        help="Indexes of the database, of $indexStats; only where the spec names one.",
    ),
    Measure(
        name="unused_indexes",
        words="unused indexes of {system}",
        unit=Unit.COUNT,
        help="Indexes that no operation has used since the member that was asked started, where that is at least "
        "`unused_after` ago; unique and expiring ones do their work unasked and do not count. The note names them.",
        remedy="See that no other member uses it, hide it with collMod, then drop it: it slows every write.",
    ),
    Measure(
        name="cache_used",
        words="cache of {system}",
        share="its maximum",
        unit=Unit.RATIO,
        help="WiredTiger's cache in use against its maximum; only where the server says so.",
        remedy="Above 95% the server makes clients evict: give the cache memory, or the queries indexes.",
    ),
    Measure(
        name="memory",
        words="memory of {system}",
        unit=Unit.BYTES,
        help="Resident memory of the server: mem.resident of serverStatus.",
    ),
    Measure(
        name="database_size",
        words="size of {system} with its indexes",
        unit=Unit.BYTES,
        help="Storage and indexes of the database, or of all of them where the spec names none.",
    ),
    Measure(
        name="index_size",
        words="size of the indexes of {system}",
        unit=Unit.BYTES,
        help="Indexes of the database: indexSize of dbStats; only where the spec names one.",
    ),
    Measure(
        name="collection_size",
        words="size of collection {subject} of {system}",
        unit=Unit.BYTES,
        help="Each of the five largest collections with its indexes, of collStats; only where a database is named.",
    ),
    Measure(
        name="data_size",
        words="uncompressed data of {system}",
        unit=Unit.BYTES,
        help="Uncompressed documents of the database or of all databases.",
    ),
    Measure(
        name="documents",
        words="documents of {system}",
        unit=Unit.COUNT,
        help="Documents in the database; only where the spec names one.",
    ),
    Measure(
        name="collections",
        words="collections of {system}",
        unit=Unit.COUNT,
        help="Collections of the database; only where the spec names one.",
    ),
    Measure(
        name="uptime",
        words="time since {system} started",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="Time since the server started; a small one tells of a restart.",
    ),
)


class CountCheck(Model):
    """How many documents a restored copy must have."""

    count: str = Field(min_length=1, description="A collection: `orders` of the spec's database, or `shop.orders`.")
    at_least: int = Field(ge=1, description="So many documents must be there.")


class NewestCheck(Model):
    """How new the newest document of a restored copy must be."""

    newest: str = Field(
        pattern=r".\..", description="A collection and a field with a date in it: `orders.created_at`, `orders._id`."
    )
    within: Duration = Field(description="It is at most so much older than the moment that is restored.")


class Aggregate(Model):
    """What a restored copy is asked, and must answer."""

    collection: str = Field(min_length=1, description="As in `count`.")
    pipeline: tuple[dict[str, Any], ...] = Field(
        description="Its first document is the answer: the value beside `_id`, or `value` where there are several."
    )
    equals: float | str | bool | None = Field(None, description="The answer must be this.")
    at_least: float | None = Field(None, description="The answer must be this or more.")


class AggregateCheck(Model):
    """An aggregation over a restored copy."""

    aggregate: Aggregate = Field(description="What is asked, and what must be answered.")


Check = CountCheck | NewestCheck | AggregateCheck


class Plan(BackupPlan):
    """How a MongoDB is backed up."""

    databases: tuple[str, ...] = Field((), description="Only these databases; all but `local` and `config` by default.")
    oplog: Literal["continuous", "none"] = Field(
        "none", description="Whether slices of the oplog are kept, so that any moment can be restored."
    )

    tool: Literal["watchkeeper", "mongodump"] = Field(
        "watchkeeper",
        description="What reads the collections: Watchkeeper itself, or `mongodump` from PATH; the layout is the same.",
    )

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken: `logical` a dump, `oplog` a slice of what happened since."""
        return ("logical", "oplog") if self.oplog == "continuous" else ("logical",)

    def base(self, method: str) -> str | None:
        """Name what a slice goes on from."""
        return "logical" if method == "oplog" else None


class Spec(ProtectedSpec):
    """A MongoDB server, replica set or cluster."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["mongodb"]
    uri: SecretReference = Field(description="Where `mongodb://[user:password@]host:port/[database]` is to be found.")
    backup_uri: SecretReference | None = Field(
        None, description="The same for the user of `grant-backup.js`, who reads every document; `uri` by default."
    )
    database: str | None = Field(None, description="The database whose size is measured; the uri's own by default.")
    unused_after: Duration = Field(
        timedelta(days=7), description="Only an index that was not used for at least this long counts as unused."
    )
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    verify: tuple[Check, ...] = Field((), description="What a restored copy must show besides.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
