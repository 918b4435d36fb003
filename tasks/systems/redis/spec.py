"""What a spec says of a Redis or Valkey server, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import SecretReference
from tasks.core.system import BackupPlan, ProtectedSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(
        name="latency",
        words="response time of {system}",
        unit=Unit.SECONDS,
        help="The fastest of several PINGs on one connection: what this host was busy with itself does not count.",
        remedy="Look at SLOWLOG GET and at the host's CPU.",
    ),
    Measure(
        name="memory_used",
        words="memory of {system}",
        share="its maxmemory",
        unit=Unit.RATIO,
        help="used_memory against maxmemory; not measured where maxmemory is 0.",
        remedy="Raise maxmemory, shorten TTLs, or find big keys.",
    ),
    Measure(name="memory", words="memory of {system}", unit=Unit.BYTES, help="used_memory of INFO memory."),
    Measure(
        name="evicted_keys",
        words="evicted keys of {system}",
        unit=Unit.COUNT,
        help="Keys evicted for want of memory since the server's start.",
        remedy="Raise maxmemory or shorten TTLs; look at maxmemory_policy.",
    ),
    Measure(
        name="eviction_rate",
        words="keys a second that {system} evicts",
        unit=Unit.RATE,
        help="Evicted keys against the time since the server's start: an average.",
        remedy="Raise maxmemory or shorten TTLs; look at maxmemory_policy.",
    ),
    Measure(
        name="hit_ratio",
        words="hits of {system}",
        share="all look-ups",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="keyspace_hits against all look-ups since the server's start; not measured before the first look-up.",
    ),
    Measure(
        name="keys",
        words="keys in {subject} of {system}",
        unit=Unit.COUNT,
        help="Keys by database; the subject is `db0`, `db1`... An empty one is not named.",
    ),
    Measure(
        name="clients",
        words="clients of {system}",
        unit=Unit.COUNT,
        help="connected_clients of INFO clients.",
        remedy="CLIENT LIST shows who they are; idle ones point at a pool that leaks.",
    ),
    Measure(
        name="clients_used",
        words="clients of {system}",
        share="those it takes",
        unit=Unit.RATIO,
        help="Connected clients against maxclients.",
        limit=Limit(warn=Bound(0.8, Unit.RATIO), critical=Bound(0.95, Unit.RATIO)),
        remedy="End idle clients (setting `timeout`), shrink the pools, or raise maxclients.",
    ),
    Measure(
        name="blocked_clients",
        words="blocked clients of {system}",
        unit=Unit.COUNT,
        help="Clients that wait in a blocking call such as BLPOP.",
    ),
    Measure(
        name="rejected_connections",
        words="connections that {system} refused",
        unit=Unit.COUNT,
        help="Connections refused because of maxclients since the server's start.",
    ),
    Measure(
        name="operations",
        words="operations a second of {system}",
        unit=Unit.RATE,
        help="instantaneous_ops_per_sec of INFO stats.",
    ),
    Measure(
        name="last_save_ok",
        unit=Unit.YES_NO,
        help="rdb_last_bgsave_status of INFO persistence.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="See the server's log; a full disk and overcommit_memory=0 are the usual reasons.",
    ),
    Measure(
        name="last_save_age",
        words="time since {system} was saved",
        unit=Unit.SECONDS,
        help="Time since the last RDB save: rdb_last_save_time against the server's own clock.",
        remedy="Run BGSAVE; look at the setting `save`.",
    ),
    Measure(
        name="unsaved_changes",
        words="unsaved changes of {system}",
        unit=Unit.COUNT,
        help="Changes since the last RDB save.",
    ),
    Measure(
        name="aof_ok",
        unit=Unit.YES_NO,
        help="Whether the append-only file's last write and last rewrite worked; only where it is on.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="See the server's log and the disk's free space; writes are refused until it works again.",
    ),
    Measure(
        name="replication_link_up",
        unit=Unit.YES_NO,
        help="master_link_status of INFO replication; only on a replica.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Look at the primary, the network and masterauth.",
    ),
    Measure(
        name="replicas",
        words="replicas of {system}",
        unit=Unit.COUNT,
        help="connected_slaves of a primary.",
        worse=Worse.BELOW,
    ),
    Measure(
        name="replication_lag",
        words="replication lag of {subject} of {system}",
        unit=Unit.SECONDS,
        help="Time since a replica acknowledged last (subject: its address), or since a replica heard of its primary.",
        remedy="Look at the replica's load and at the network.",
    ),
    Measure(
        name="uptime",
        words="time since {system} started",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="Time since the server started; a small one tells of a restart.",
    ),
    Measure(
        name="pattern_keys",
        words="keys that match {subject} in {system}",
        unit=Unit.COUNT,
        help="Keys by pattern of the `survey`; estimated from a sample where there are more keys than it looks at.",
    ),
    Measure(
        name="without_ttl",
        words="keys that match {subject} in {system} and never expire",
        share="them all",
        unit=Unit.RATIO,
        help="Share of a pattern's keys that never expire, of those that the survey looked at.",
        remedy="Find what writes them without a TTL: they stay until maxmemory evicts something else.",
    ),
    Measure(
        name="shortest_ttl",
        words="shortest time to live of keys that match {subject} in {system}",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="The least time that a key of a pattern has left, of those that the survey looked at.",
    ),
    Measure(
        name="median_ttl",
        words="median time to live of keys that match {subject} in {system}",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="Median time that keys of a pattern have left, of those that expire and that the survey looked at.",
        remedy="Hold it against the TTL in the application's settings; a cache that forgets too soon misses.",
    ),
    Measure(
        name="biggest_key",
        words="biggest key that matches {subject} in {system}",
        unit=Unit.BYTES,
        help="MEMORY USAGE of the biggest key of a pattern, of a part of the sample; the note names the three biggest.",
        remedy="Split it, or give it a TTL: a big key blocks the server while it is read or deleted.",
    ),
    Measure(
        name="services_registered",
        words="services registered in {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Services that the `registry` holds; the note names them.",
    ),
    Measure(
        name="service_registered",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether a service that the spec names is in the registry, by service.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Look at the service's log: it registers itself when it starts, and its entry ends with it.",
    ),
    Measure(
        name="service_healthy",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether a service says of itself in the registry that it is well, by service; the note shows its word.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Look at the service's own health path and its log.",
    ),
    Measure(
        name="heartbeat_age",
        words="time since {subject} renewed its entry in {system}",
        unit=Unit.SECONDS,
        help="Time since a service renewed its entry in the registry, by service.",
        remedy="The service hangs or is gone, and its entry was left behind: restart it.",
    ),
)


class Survey(Model):
    """A look at how keys are: their number, when they expire, how large they are. What they hold is never read."""

    patterns: dict[str, str] = Field(
        min_length=1,
        description="Globs of keys by a name of your own: `sessions: 'session:*'`. The first that fits counts.",
    )
    keys: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="At most so many keys are looked at, found by SCAN; then the note says so.",
    )


class Registry(Model):
    """A service registry: a key for each service, with JSON or a hash in it."""

    keys: str = Field(
        pattern=r"^[^*?\[\]\\]*\*$", description="Its keys, `service_registry:*`: the star is the service's name."
    )
    services: tuple[str, ...] = Field((), description="Services that must be in it.")
    status: str = Field("status", description="Where in an entry the service's state stands, by dotted path.")
    healthy: tuple[str, ...] = Field(
        ("healthy", "ok", "up", "ready", "running"), description="What stands there when it is well."
    )
    heartbeat: str | None = Field(
        "last_heartbeat",
        description="Where in an entry the time of its last renewal stands: seconds since 1970, or ISO 8601.",
    )

    def key(self, service: str) -> str:
        """Return a service's key."""
        return self.keys.removesuffix("*") + service

    def service(self, key: str) -> str:
        """Return the service of a key."""
        return key.removeprefix(self.keys.removesuffix("*"))


class KeysCheck(Model):
    """How many keys a restored copy must have."""

    keys: str = Field(min_length=1, description="A glob of keys, in any database: `session:*`.")
    at_least: int = Field(ge=1, description="So many of them must be there; those whose time is up do not count.")


class Plan(BackupPlan):
    """How a Redis or Valkey server is backed up."""

    rdb_file: str | None = Field(
        None,
        description="The server's own RDB where it is seen from here: it is saved by BGSAVE and read, where the server "
        "lets nobody replicate.",
    )

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken."""
        return ("rdb",)


class Spec(ProtectedSpec):
    """A Redis or Valkey server."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["redis"]
    url: SecretReference = Field(description="Where `redis://[user:password@]host:port/db` is to be found.")
    backup_url: SecretReference | None = Field(
        None, description="The same for the user of `grant-backup.acl`, who reads every key; `url` by default."
    )
    survey: Survey | None = Field(None, description="Which keys are looked at for their number, expiry and size.")
    registry: Registry | None = Field(None, description="The platform's service registry, where this server holds it.")
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    verify: tuple[KeysCheck, ...] = Field((), description="What a restored copy must show besides.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
