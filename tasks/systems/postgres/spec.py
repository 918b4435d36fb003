"""What a spec says of a PostgreSQL database, and what can be measured there."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import SecretReference
from tasks.core.system import BackupPlan, ProtectedSpec
from tasks.core.units import Duration, Size, Unit

CATALOG = Catalog(
    Measure(
        name="query_time",
        words="response time of {system}",
        unit=Unit.SECONDS,
        help="Median time of several `SELECT 1` on one connection.",
        remedy="Look at the host's CPU and disks, and at what waits in pg_stat_activity.",
    ),
    Measure(
        name="connections_used",
        words="connections of {system}",
        share="those it takes",
        unit=Unit.RATIO,
        help="Client connections of others against max_connections without what is reserved.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="End idle connections, shrink the pools, or put a pooler in front of the server.",
    ),
    Measure(
        name="connections",
        words="connections of {system} that are {subject}",
        unit=Unit.COUNT,
        help="Client connections by state; the subject is pg_stat_activity.state.",
    ),
    Measure(
        name="max_connections",
        words="most connections of {system}",
        unit=Unit.COUNT,
        help="The setting max_connections.",
    ),
    Measure(
        name="idle_connections",
        words="idle connections of {system}",
        unit=Unit.COUNT,
        help="Client connections that have been idle for longer than `idle_after`.",
        remedy="Let the application's pool close them, or end them with pg_terminate_backend.",
    ),
    Measure(
        name="longest_query",
        words="longest query of {system}",
        unit=Unit.SECONDS,
        help="How long the oldest query that runs now has been running; the note shows its user and process.",
        remedy="Look at it in pg_stat_activity; cancel it with pg_cancel_backend where nobody waits for it.",
    ),
    Measure(
        name="longest_transaction",
        words="longest transaction of {system}",
        unit=Unit.SECONDS,
        help="Age of the oldest open transaction of a client.",
        remedy="An open transaction keeps VACUUM from cleaning: find its owner in pg_stat_activity.",
    ),
    Measure(
        name="longest_idle_transaction",
        words="longest idle transaction of {system}",
        unit=Unit.SECONDS,
        help="How long a client has been idle in an open transaction.",
        remedy="Fix the application that forgot it; idle_in_transaction_session_timeout ends such sessions.",
    ),
    Measure(
        name="blocked_queries",
        words="blocked queries of {system}",
        unit=Unit.COUNT,
        help="Client queries that wait for a lock that another one holds.",
        remedy="pg_blocking_pids(pid) names who holds the lock.",
    ),
    Measure(
        name="replication_lag",
        words="replication lag of {subject} of {system}",
        unit=Unit.SECONDS,
        help="Replay lag: of each standby by its name on a primary; of itself on a standby. Not measured without any.",
        remedy="Look at the standby's disks and at its longest query; see pg_stat_replication.",
    ),
    Measure(
        name="standbys",
        words="standbys of {system}",
        unit=Unit.COUNT,
        help="Standbys that stream from this server.",
        worse=Worse.BELOW,
    ),
    Measure(
        name="slot_retained",
        words="log kept for replication slot {subject} of {system}",
        unit=Unit.BYTES,
        help="Write-ahead log that a replication slot keeps; the subject is the slot.",
        remedy="Bring the slot's consumer back, or drop the slot before the disk is full.",
    ),
    Measure(
        name="archiver_ok",
        unit=Unit.YES_NO,
        help="Whether the last attempt to archive write-ahead log worked; only where archive_mode is on.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Run archive_command by hand; until it works there is no recovery to a point in time.",
    ),
    Measure(
        name="archive_age",
        words="time since {system} archived its log",
        unit=Unit.SECONDS,
        help="Time since write-ahead log was archived last; only where archive_mode is on.",
        remedy="Set archive_timeout to the recovery point objective; look at pg_stat_archiver.",
    ),
    Measure(
        name="transaction_ids_used",
        words="transaction ids of {system}",
        share="those there are",
        unit=Unit.RATIO,
        help="Age of the oldest unfrozen transaction id against the two billion at which the server stops writing.",
        limit=Limit(warn=Bound(0.5, Unit.RATIO), critical=Bound(0.8, Unit.RATIO)),
        remedy="Run VACUUM FREEZE on the oldest tables; look for what blocks it: open transactions, slots.",
    ),
    Measure(
        name="database_size",
        words="size of {system}",
        unit=Unit.BYTES,
        help="pg_database_size of the database of the dsn.",
    ),
    Measure(
        name="largest_table",
        words="largest table of {system}",
        unit=Unit.BYTES,
        help="The largest table with its indexes and TOAST; the note names it.",
    ),
    Measure(
        name="table_size",
        words="size of table {subject} in {system}",
        unit=Unit.BYTES,
        help="Each of the `tables` largest tables with indexes and TOAST; the subject is schema.table.",
    ),
    Measure(
        name="dead_rows",
        words="dead rows of the worst table of {system}",
        share="its rows",
        unit=Unit.RATIO,
        help="The largest share of dead rows in a table that has at least 1,000 of them; the note names the table and "
        "says when it was vacuumed. 0 where no table has so many.",
        remedy="Look for what keeps VACUUM away: long transactions, slots, autovacuum's settings of the table.",
    ),
    Measure(
        name="cache_hit_ratio",
        words="reads that {system} finds in its buffers",
        share="all reads",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="Blocks found in shared buffers against all blocks read, since the statistics' reset.",
        remedy="Give shared_buffers more memory, or find the query that reads whole tables.",
    ),
    Measure(
        name="slowest_query",
        words="slowest query of {system}",
        unit=Unit.SECONDS,
        help="The largest mean time in pg_stat_statements of a query seen at least `seen` times; the note shows it.",
        remedy="EXPLAIN (ANALYZE, BUFFERS) it; an index is the usual cure.",
    ),
    Measure(
        name="deadlocks",
        words="deadlocks of {system}",
        unit=Unit.COUNT,
        help="Deadlocks in this database since the statistics' reset.",
    ),
)


class Physical(Model):
    """Copies of the whole server's files, from which any moment can be had that the write-ahead log reaches."""

    wal: Literal["continuous", "included"] = Field(
        "included",
        description="`continuous`: the server archives its write-ahead log with `watchkeeper wal-push`, and any moment "
        "can be restored. `included`: each copy holds what it needs itself, and shows the moment of its end.",
    )
    full_every: int = Field(
        1,
        ge=1,
        description="Each so many-th copy is whole; those between hold what changed since the one before, which needs "
        "PostgreSQL 17 and `summarize_wal = on`. 1: all are whole.",
    )


class Logical(Model):
    """Dumps, each of one database, which newer versions read as well."""

    databases: tuple[str, ...] = Field((), description="Which; all that let clients in where none is named.")


class Plan(BackupPlan):
    """How a PostgreSQL server is backed up: by dumps where nothing else is said."""

    physical: Physical | None = Field(None, description="Copies of the whole server's files; not where missing.")
    logical: Logical | None = Field(None, description="Dumps of databases; not where only `physical` is given.")

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken."""
        found = [name for name in ("physical", "logical") if getattr(self, name) is not None]
        return tuple(found) or ("logical",)


_OF_THE_POINT = re.compile(r"\s+of the restore point$")


def _within(value: object) -> object:
    return _OF_THE_POINT.sub("", value) if isinstance(value, str) else value


class _Check(Model):
    database: str | None = Field(None, description="Where it is asked; the database of the dsn by default.")


class CountCheck(_Check):
    """At least so many rows in a restored table."""

    count: str = Field(description="A table: `projects` or `schema.table`.", pattern=r"^[^.]+(\.[^.]+)?$")
    at_least: int = Field(ge=0, description="So many rows must be there.")


class NewestCheck(_Check):
    """How new the newest row of a restored table must be."""

    newest: str = Field(
        description="A column with times: `projects.updated_at` or `schema.table.column`.",
        pattern=r"^[^.]+(\.[^.]+){1,2}$",
    )
    within: Annotated[Duration, BeforeValidator(_within)] = Field(
        description="At most so long before the moment that was restored: `15m`, or `15m of the restore point`."
    )


class QueryCheck(_Check):
    """What a query must answer in a restored database."""

    sql: str = Field(description="A query that reads and answers one value.", min_length=1)
    equals: str | int | float | bool | None = Field(None, description="Exactly this.")
    at_least: float | None = Field(None, description="At least this.")

    @model_validator(mode="after")
    def _one_bound(self) -> QueryCheck:
        if (self.equals is None) == (self.at_least is None):
            raise ValueError("a query is held to `equals` or to `at_least`, one of them")
        return self


Check = CountCheck | NewestCheck | QueryCheck


_SETTINGS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def _as_written(settings: object) -> object:
    """Take numbers and truths as PostgreSQL writes them."""
    if not isinstance(settings, dict):
        return settings
    return {name: _written(value) for name, value in settings.items()}


def _written(value: object) -> object:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value}" if isinstance(value, int | float) else value


class Pool(Model):
    """The connections that one application may open."""

    size: int = Field(ge=1, description="Connections of one process that stay open: `pool_size`.")
    overflow: int = Field(0, ge=0, description="Further ones that it opens under load: `max_overflow`.")
    processes: int = Field(1, ge=1, description="Processes of one replica, each with a pool of its own.")
    replicas: int | None = Field(None, ge=1, description="How many replicas run, where no cluster tells.")
    of: str | None = Field(
        None,
        description="The workload in one of the platform's clusters that tells how many: `deployment/apex-api`.",
        pattern=r"^(deployment|statefulset)/[a-z0-9.-]+$",
    )


class ReadReplicas(Model):
    """How the runbook adds a read replica; the capacity plan says when it is wanted."""

    add: str = Field(description="The command, with `{count}` for how many there will be.", min_length=1)
    processor: str | None = Field(
        None,
        description="What measures the use of its machine's processors: `metrics/cpu[db-1:9100]`, `machine/cpu`.",
        pattern=r"^[^/\[\]]+/[^/\[\]]+(\[.+\])?$",
    )


class Spec(ProtectedSpec):
    """A PostgreSQL database."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["postgres"]
    dsn: SecretReference = Field(
        description="Where `postgresql://user:password@host:port/database` or libpq's `key=value` text is to be found."
    )
    backup_dsn: SecretReference | None = Field(
        None, description="The same for the user of `grant-backup.sql`, who reads every row; `dsn` by default."
    )
    idle_after: Duration = Field(
        timedelta(minutes=10), description="A connection that is idle for longer counts in idle_connections."
    )
    tables: int = Field(5, ge=0, le=100, description="How many of the largest tables are measured.")
    seen: int = Field(5, ge=1, description="A query counts as slowest only when it ran at least this often.")
    settings: Annotated[dict[str, str], BeforeValidator(_as_written), WithJsonSchema(_SETTINGS)] = Field(
        default_factory=dict, description="What the runbook wants of its settings: `{shared_buffers: 2GB}`; for advice."
    )
    indexes: dict[str, str] = Field(
        default_factory=dict, description="Indexes that the runbook wants, with the statement that makes each."
    )
    memory: Size | None = Field(None, description="The memory of its machine: no server tells. For advice.")
    pools: dict[str, Pool] = Field(default_factory=dict, description="Who connects to it, by application; for advice.")
    read_replicas: ReadReplicas | None = Field(None, description="How read replicas are added; for advice.")
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    verify: tuple[Check, ...] = Field((), description="What must hold of a restored copy, besides its own counts.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
