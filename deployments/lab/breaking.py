"""The faults that are made through a system's own driver. Each function breaks a piece and returns how it is undone."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import redis
import trustme

from deployments.lab import certificates
from deployments.lab.catalog import Undo, Workshop
from deployments.lab.pieces import Piece
from deployments.lab.servers import nats, osmem, rabbitmq, seaweedfs
from tasks.core.errors import TransientError

_FILLER = "lab:filler"
_SOON = 0.5
_FULL_SERVER = re.compile("too many clients|connection slots are reserved")
_FULL = 0.965
_BACKLOG = 500
_SEEN_OFTEN = 5
_MESSAGES = 1200
_NOT_COPIED = 120


def crowd(piece: Piece, _workshop: Workshop) -> Undo:
    """Hold every connection that a server leaves to ordinary users, idle, and take what others give back."""
    held: list[psycopg.Connection[Any]] = []
    _take_all(piece, held)
    over = threading.Event()

    def keep_full() -> None:
        while not over.wait(_SOON):
            with contextlib.suppress(psycopg.Error):
                _take_all(piece, held)

    thread = threading.Thread(target=keep_full, name="crowd", daemon=True)
    thread.start()

    def undo() -> None:
        over.set()
        thread.join(10)
        for connection in held:
            connection.close()

    return undo


def _take_all(piece: Piece, held: list[psycopg.Connection[Any]]) -> None:
    """Connect until the server refuses; another error than that it is full is raised."""
    while True:
        try:
            held.append(psycopg.connect(piece.owner, autocommit=True, application_name="lab crowd", connect_timeout=5))
        except psycopg.OperationalError as error:
            if not _FULL_SERVER.search(str(error)):
                raise
            return


def long_query(piece: Piece, _workshop: Workshop) -> Undo:
    """Run a query that does not end."""
    connection = psycopg.connect(piece.address, autocommit=True, application_name="lab long query")

    def run() -> None:
        with contextlib.suppress(psycopg.Error):
            connection.execute("SELECT pg_sleep(86400) AS a_query_that_takes_too_long")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def undo() -> None:
        connection.cancel_safe(timeout=5)
        thread.join(5)
        connection.close()

    return undo


def slow_queries(piece: Piece, _workshop: Workshop) -> Undo:
    """Run a query that takes more than a second as often as a check wants to have seen it, all at once."""

    def run(_number: int) -> None:
        with psycopg.connect(piece.owner, autocommit=True, application_name="lab slow query") as connection:
            connection.execute("SELECT pg_sleep(1.1) AS a_query_that_is_slow")

    with ThreadPoolExecutor(_SEEN_OFTEN) as pool:
        list(pool.map(run, range(_SEEN_OFTEN)))

    def undo() -> None:
        address = f"{piece.address.rpartition('/')[0]}/{piece.details['database']}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_statements_reset()")

    return undo


def full(piece: Piece, _workshop: Workshop) -> Undo:
    """Fill the memory up to what is allowed."""
    with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
        for number in range(10_000):
            memory: Any = client.info("memory")
            left = memory["maxmemory"] * _FULL - memory["used_memory"]
            if left <= 0:
                break
            client.set(f"{_FILLER}:{number}", b"x" * max(1024, min(1 << 20, int(left * 0.7))))
    return lambda: _forget_filler(piece)


def _forget_filler(piece: Piece) -> None:
    with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
        for key in client.scan_iter(f"{_FILLER}:*"):
            client.delete(key)


def no_expiry(piece: Piece, _workshop: Workshop) -> Undo:
    """Let keys live forever that were to expire; mending gives each what it had left."""
    with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
        keys = list(client.scan_iter(count=1000))
        expiries: Any = _each(client, "PEXPIRETIME", keys)
        _each(client, "PERSIST", keys)

    def undo() -> None:
        with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
            pipeline = client.pipeline(transaction=False)
            for key, expiry in zip(keys, expiries, strict=True):
                if expiry > 0:
                    pipeline.pexpireat(key, expiry)
            pipeline.execute()

    return undo


def _each(client: redis.Redis, command: str, keys: list[Any]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command(command, key)  # type: ignore[no-untyped-call]
    answers: list[Any] = pipeline.execute()
    return answers


def read_only(piece: Piece, _workshop: Workshop) -> Undo:
    """Make it a replica of a master that is not there."""

    def replicate(*of: str) -> None:
        with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
            client.execute_command("REPLICAOF", *of)

    replicate("127.0.0.1", "1")
    return lambda: replicate("NO", "ONE")


def save_fails(piece: Piece, _workshop: Workshop) -> Undo:
    """Put a folder where the dump goes, and save."""
    in_the_way = Path(piece.details["folder"]) / "dump.rdb"
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    _save(piece)

    def undo() -> None:
        in_the_way.rmdir()
        _save(piece)

    return undo


def _save(piece: Piece) -> None:
    with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
        client.bgsave()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            persistence: Any = client.info("persistence")
            if not persistence["rdb_bgsave_in_progress"]:
                return
            time.sleep(0.02)
    raise TransientError("a background save did not end within 10 s")


def backlog(piece: Piece, _workshop: Workshop) -> Undo:
    """Put jobs into the queue that nobody takes."""
    name = piece.details["list"]
    with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
        client.rpush(name, *(json.dumps({"task": "lab.backlog", "number": number}) for number in range(_BACKLOG)))

    def undo() -> None:
        with redis.Redis.from_url(piece.address, socket_timeout=5) as client:
            client.ltrim(name, 0, -_BACKLOG - 1)

    return undo


def no_lifecycle(piece: Piece, _workshop: Workshop) -> Undo:
    """Take the bucket's lifecycle rules away."""
    bucket = piece.details["bucket"]
    store = seaweedfs.client(piece.address)
    rules = store.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    store.delete_bucket_lifecycle(Bucket=bucket)

    def undo() -> None:
        store.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
        store.close()

    return undo


def stream_backlog(piece: Piece, _workshop: Workshop) -> Undo:
    """Put messages into each stream that no worker takes; mending removes the newest as many."""
    streams = [name for name in piece.details["streams"].split(",") if name]
    first: dict[str, int] = {}
    with nats.client(piece.address) as client:
        for name in streams:
            subject, _ = nats.names(name)
            numbers = [client.request(f"{subject}.new", {"number": number})["seq"] for number in range(_BACKLOG)]
            first[name] = numbers[0]

    def undo() -> None:
        with nats.client(piece.address) as client:
            for name, number in first.items():
                for seq in range(number, number + _BACKLOG):
                    client.request(f"$JS.API.STREAM.MSG.DELETE.{name}", {"seq": seq})

    return undo


def message_backlog(piece: Piece, _workshop: Workshop) -> Undo:
    """Put messages into a queue whose consumers take no more."""
    queue = rabbitmq.played(piece.details["queues"])[0]
    rabbitmq.publish(piece.address, queue, _MESSAGES)
    return lambda: rabbitmq.purge(piece.address, queue)


def yellow(piece: Piece, _workshop: Workshop) -> Undo:
    """Ask for a replica that no node can take."""
    return _setting(piece, {"index": {"number_of_replicas": 1}}, {"index": {"number_of_replicas": 0}})


def write_block(piece: Piece, _workshop: Workshop) -> Undo:
    """Block writes as a disk above the flood-stage watermark does."""
    block = "index.blocks.read_only_allow_delete"
    return _setting(piece, {block: True}, {block: None})


def _setting(piece: Piece, broken: dict[str, Any], mended: dict[str, Any]) -> Undo:
    path = f"/{_first_index(piece)}/_settings"
    osmem.ask(piece.address, "PUT", path, broken)
    return lambda: osmem.ask(piece.address, "PUT", path, mended)


def red(piece: Piece, _workshop: Workshop) -> Undo:
    """Close an index: this server then counts its shards as lost."""
    index = _first_index(piece)
    osmem.ask(piece.address, "POST", f"/{index}/_close")
    return lambda: osmem.ask(piece.address, "POST", f"/{index}/_open")


def _first_index(piece: Piece) -> str:
    found = osmem.ask(piece.address, "GET", "/_cat/indices?format=json")
    return min(str(one["index"]) for one in found)


def stale_uploads(piece: Piece, _workshop: Workshop) -> Undo:
    """Leave uploads behind."""
    bucket, prefix = piece.details["bucket"], piece.details["prefix"]
    keys = [f"{prefix}uploads/left-behind-{number}.jpg" for number in range(20)]
    store = seaweedfs.client(piece.address)
    for key in keys:
        store.put_object(Bucket=bucket, Key=key, Body=b"a face that should be gone")

    def undo() -> None:
        store.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        store.close()

    return undo


def replication_stopped(piece: Piece, _workshop: Workshop) -> Undo:
    """Write objects that no copy gets, more than may wait on a healthy day."""
    bucket, prefix = piece.details["bucket"], piece.details["prefix"]
    keys = [f"{prefix}generated/not-copied-{number:03}.json" for number in range(_NOT_COPIED)]
    store = seaweedfs.client(piece.address)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put_object(Bucket=bucket, Key=key, Body=b'{"story": "lab"}'), keys))

    def undo() -> None:
        store.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        store.close()

    return undo


def certificate(
    piece: Piece, workshop: Workshop, *, days: int = 75, name: str | None = None, trusted: bool = True
) -> Undo:
    """Serve another certificate: one that ends in so many days, is for another name, or is signed by a stranger."""
    ours = certificates.authority(workshop.state)
    files = Path(piece.details["certificate"]), Path(piece.details["key"])
    names = tuple(piece.details["names"].split(","))
    issuer = ours if trusted else trustme.CA(organization_name="Somebody else")
    certificates.issue(issuer, *files, (name,) if name else names, lasting=timedelta(days=days))
    return lambda: certificates.issue(ours, *files, names)
