"""Fills the lab's stores with what the platforms keep in theirs, and makes Watchkeeper's own least-privilege users."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import product
from typing import Any

import psycopg
import pymongo
import redis
from psycopg import sql
from pymongo.collection import Collection

from deployments.lab import heartbeats, metrics, wear
from deployments.lab.blueprint import BACKUP, BACKUP_SQL, MONITOR
from deployments.lab.pieces import Piece
from deployments.lab.servers import nats, osmem, rabbitmq, seaweedfs

# What the probe documents that it needs.
_REDIS_GRANT = (
    "~* resetchannels -@all +@connection +ping +info +config|get +slowlog|get +slowlog|len +latency|latest "
    "+memory|stats +memory|usage +client|list +dbsize +lastsave +scan +type +ttl +pttl +llen +lindex +hlen +zrange "
    "+acl|users +acl|dryrun (~service_registry:* +getrange +hmget)"
)
_NAMED_BY_ROWS = 20
"""So many objects the rows in `data/` name."""


def seed(piece: Piece) -> None:
    """Fill the store behind a piece; kinds without one need nothing.

    Raises:
        Exception: The driver's own; the lab does not come up with a store that is half full.
    """
    if piece.address and piece.kind in _KINDS:
        _KINDS[piece.kind](piece)


def _grant(kind: str, name: str) -> str:
    """Return the file with which an administrator makes the user for backups."""
    return (files(f"tasks.systems.{kind}") / name).read_text(encoding="utf-8")


def _postgres(piece: Piece) -> None:
    database, password = piece.details["database"], piece.details["password"]
    name = sql.Identifier(database)
    with psycopg.connect(piece.address, autocommit=True) as connection:
        owner = sql.Identifier(database)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, piece.details["owner_password"]))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(MONITOR), password))
        grant = sql.SQL("GRANT pg_monitor, pg_use_reserved_connections TO {}")
        connection.execute(grant.format(sql.Identifier(MONITOR)))
        connection.execute(_grant("postgres", "grant-backup.sql").encode())
        words = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(BACKUP_SQL), piece.details["backup_password"]
        )
        connection.execute(words)
        for role in (owner, sql.Identifier(MONITOR), sql.Identifier(BACKUP_SQL)):
            connection.execute(sql.SQL("ALTER ROLE {} VALID UNTIL {}").format(role, _expiry()))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY file_copy").format(name, owner))
    with psycopg.connect(piece.address, dbname=database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute(sql.SQL("SET ROLE {}").format(owner))
        script = files("deployments.lab") / "data" / f"{piece.platform}.sql"
        if script.is_file():
            connection.execute(script.read_bytes())
        connection.execute("RESET ROLE")
        connection.execute("ANALYZE")
        connection.execute("SELECT pg_stat_statements_reset()")


def _expiry() -> sql.Literal:
    """Return when the passwords of the lab end."""
    return sql.Literal(f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}")


def _mongodb(piece: Piece) -> None:
    database, password = piece.details["database"], piece.details["password"]
    # clusterMonitor is all that MongoDB asks for; this server wants the four others for what it should cover.
    roles = [{"role": "clusterMonitor", "db": "admin"}, {"role": "read", "db": "admin"}]
    roles += [{"role": "read", "db": "local"}, {"role": "dbAdmin", "db": database}, {"role": "read", "db": database}]
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(piece.address, serverSelectionTimeoutMS=5000) as client:
        view = {"resource": {"db": "", "collection": ""}, "actions": ["viewUser"]}
        client.admin.command("createRole", "watchkeeperAudit", privileges=[view], roles=[])
        roles.append({"role": "watchkeeperAudit", "db": "admin"})
        client.admin.command("createUser", MONITOR, pwd=password, roles=roles)
        client.admin.command("createUser", BACKUP, pwd=piece.details["backup_password"], roles=["backup"])
        for name, documents in _eyewear(datetime.now(UTC)).items():
            collection: Collection[dict[str, Any]] = client[database][name]
            collection.insert_many(documents)
        client[database].users.create_index("email", unique=True)
        client[database].try_ons.create_index([("user", 1), ("at", -1)])


def _eyewear(now: datetime) -> dict[str, list[dict[str, Any]]]:
    shapes, brands = ("oval", "round", "square", "heart", "oblong"), ("Halo", "Kestrel", "Fjord", "Lumo")

    def ago(minutes: int) -> datetime:
        return now - timedelta(minutes=minutes)

    return {
        "users": [{"_id": n, "email": f"user{n}@example.com", "registered": ago(n * 97)} for n in range(300)],
        "frames": [
            {"_id": n, "brand": brands[n % 4], "model": f"M-{100 + n}", "width_mm": 128 + n % 20, "stock": n % 17}
            for n in range(150)
        ],
        "try_ons": [{"user": n % 300, "frame": n % 150, "success": n % 40 != 0, "at": ago(n * 3)} for n in range(1500)],
        "face_analyses": [
            {"user": n, "shape": shapes[n % 5], "confidence": 0.8 + n % 19 / 100, "at": ago(n * 7)} for n in range(300)
        ],
    }


def _redis(piece: Piece) -> None:
    with redis.Redis.from_url(piece.address, socket_timeout=10) as client:
        client.execute_command("ACL", "SETUSER", MONITOR, "on", f">{piece.details['password']}", *_REDIS_GRANT.split())
        _, name, *rules = _grant("redis", "grant-backup.acl").split()
        client.execute_command("ACL", "SETUSER", name, f">{piece.details['backup_password']}", *rules)
        pipeline = client.pipeline(transaction=False)
        for key, value, seconds in _KEYS.get(piece.platform, lambda: _cache("cache", 100))():
            pipeline.set(key, value, ex=seconds)
        for service in heartbeats.services(piece):
            pipeline.set(heartbeats.key(piece, service), heartbeats.entry(service, datetime.now(UTC)))
        for name, length in _QUEUES.get(piece.platform, {}).items():
            pipeline.rpush(name, *(json.dumps({"id": f"{name}-{number}"}) for number in range(length)))
        for number in range(400):
            pipeline.get(f"{_SAMPLES.get(piece.platform, 'cache')}:{number if number % 20 else 'missing'}")
        pipeline.execute()


Keys = Iterator[tuple[str, str, int | None]]


def _cache(prefix: str, count: int, seconds: int = 86_400) -> Keys:
    for number in range(count):
        yield f"{prefix}:{number}", json.dumps({"number": number, "body": "x" * 64}), seconds


def _stylesync_keys() -> Keys:
    yield from _cache("stylesync:l1:content_hash", 400, 604_800)
    yield from _cache("stylesync:l2:advice", 200, 7_200)


def _eyewear_keys() -> Keys:
    yield from _cache("session", 400, 3_600)


def _stario_keys() -> Keys:
    yield from _cache("session", 400, 3_600)
    yield from _cache("rate", 40, 60)


_KEYS: dict[str, Callable[[], Keys]] = {
    "apex": lambda: _cache("apex:envelope", 400),
    "stylesync": _stylesync_keys,
    "eyewear": _eyewear_keys,
    "stario": _stario_keys,
    "synesthesia": lambda: _cache("pack", 400, 300),
}
_SAMPLES = {
    "apex": "apex:envelope",
    "stylesync": "stylesync:l1:content_hash",
    "eyewear": "session",
    "stario": "session",
    "synesthesia": "pack",
}
_QUEUES = {
    "apex": {"celery": 4},
    "stario": {"video_generation_queue": 7, "ephemeral_deletion_queue": 1},
}


def _s3(piece: Piece) -> None:
    bucket, prefix = piece.details["bucket"], piece.details["prefix"]
    store = seaweedfs.client(piece.address)
    try:
        if bucket not in {known["Name"] for known in store.list_buckets()["Buckets"]}:
            store.create_bucket(Bucket=bucket)
        expiry = {"ID": "EphemeralAutoDelete", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
        if "ephemeral" in bucket or "uploads" in bucket:
            rule = expiry if "ephemeral" in bucket else expiry | {"ID": "OldUploads", "Expiration": {"Days": 90}}
            store.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
        default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        store.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [default]})
        if piece.details.get("versioned"):
            store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key, body in _objects(bucket, prefix):
            store.put_object(Bucket=bucket, Key=key, Body=body)
    finally:
        store.close()


def _vault(piece: Piece) -> None:
    """Make the bucket of a vault: one that may lock its objects cannot be made so later."""
    store = seaweedfs.client(piece.address)
    try:
        store.create_bucket(Bucket=piece.details["bucket"], ObjectLockEnabledForBucket=piece.details["lock"] == "yes")
    finally:
        store.close()


def _objects(bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    if "ephemeral" in bucket:
        return  # what is healthy there is that nothing stays
    stamp = datetime.now(UTC).strftime("%Y%m%d")
    if "backup" in bucket:
        yield f"{prefix}{bucket.split('-', maxsplit=1)[0]}_{stamp}_020000.sql.gz", b"\x1f\x8b" + bytes(50_000)
        yield f"{prefix}latest.sql.gz", b"\x1f\x8b" + bytes(50_000)
        return
    if "content" in bucket:
        for number, modality in product(range(_NAMED_BY_ROWS), ("text", "image", "audio")):
            yield f"{prefix}packs/{number:04}/{modality}", f"{modality} {number}".encode().ljust(4_000)
        return
    for number in range(_NAMED_BY_ROWS):
        yield f"{prefix}uploads/{number:04}.pdf", b"%PDF-1.7\n" + bytes(4_000 + 700 * number)


def _prometheus(piece: Piece) -> None:
    metrics.push(piece.address, metrics.history(wear.told(piece), time.time()))
    metrics.flush(piece.address)


def _opensearch(piece: Piece) -> None:
    for name in _INDICES.get(piece.platform, ("documents",)):
        osmem.ask(piece.address, "PUT", f"/{name}", {"settings": {"number_of_replicas": 0}})
        for number in range(20):
            osmem.ask(piece.address, "PUT", f"/{name}/_doc/{number}", {"number": number})


_INDICES = {"apex": ("signs", "projects"), "eyewear": ("frames",), "synesthesia": ("stories",)}


def _nats(piece: Piece) -> None:
    with nats.client(piece.address) as client:
        for name in filter(None, piece.details["streams"].split(",")):
            subject, consumer = nats.names(name)
            nats.stream(client, name, f"{subject}.*", consumer)
            for number in range(3):
                client.request(f"{subject}.new", {"number": number})


def _rabbitmq(piece: Piece) -> None:
    rabbitmq.monitoring_user(piece.address, piece.details["user"], piece.details["password"])
    for queue in rabbitmq.played(piece.details["queues"]):
        rabbitmq.declare(piece.address, queue)
        rabbitmq.publish(piece.address, queue, 3)


_KINDS: dict[str, Callable[[Piece], None]] = {
    "postgres": _postgres,
    "mongodb": _mongodb,
    "redis": _redis,
    "s3": _s3,
    "vault": _vault,
    "prometheus": _prometheus,
    "opensearch": _opensearch,
    "nats": _nats,
    "rabbitmq": _rabbitmq,
}
