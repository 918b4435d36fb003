"""Backs a Redis or Valkey server up as one RDB, read over the replication protocol; none of its files is touched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import redis

from tasks.clients.redis_server import translated
from tasks.core.backup import Order, Sink, Taken
from tasks.core.errors import ConfigError, PermanentError, Unreachable
from tasks.core.system import Access
from tasks.systems.redis.rdb import Check
from tasks.systems.redis.replication import Position, Replication
from tasks.systems.redis.spec import Spec

PART = "dump.rdb"

_ANSWER_SECONDS = 20.0
_QUIET_SECONDS = 600.0


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:  # noqa: ARG001 - it knows one way
    """Write `dump.rdb`, the whole server as it was when the synchronisation began.

    Raises:
        Denied: The user may not do what `grant-backup.acl` grants.
        Garbled: The RDB is damaged.
        WatchkeeperError: As the server says.
    """
    url = access.resolver.resolve(spec.backup_url or spec.url)
    trust: dict[str, Any] = (
        {"ssl_ca_certs": str(access.ca_bundle)} if access.ca_bundle and url.startswith("rediss:") else {}
    )
    try:
        client = redis.Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, retry=None, protocol=2, **trust)
    except (ValueError, TypeError):
        raise ConfigError("the url is no Redis address", hint="write redis://[user:password@]host:port/db") from None
    try:
        with closing(client):
            return _taken(client, access, sink)
    except redis.RedisError as error:
        raise translated(error) from error


def _taken(client: redis.Redis, access: Access, sink: Sink) -> Taken:
    info: dict[str, Any] = client.info("everything")
    began, before = access.now(), _keys(client)
    check = Check()
    with sink.part(PART) as writer:
        position = _read(client, check, writer, sink, int(info.get("used_memory_dataset", 0)))
        has_checksum = check.finish()
    after = _keys(client)
    warnings = [] if has_checksum else ["the server keeps no checksum in its RDB (rdbchecksum no)"]
    return Taken(
        method="rdb",
        consistent_as_of=began if check.seconds is None else datetime.fromtimestamp(check.seconds, UTC),
        server_version=str(info.get("valkey_version") or info.get("redis_version", "")),
        position={"replication_id": position.replication_id, "offset": str(position.offset)},
        counts={f"keys/{name}": count for name, count in before.items()},
        details={"server": str(info.get("server_name", "redis")), "counts_are_exact": before == after},
        warnings=tuple(warnings),
        source_bytes=int(info["used_memory"]) if "used_memory" in info else None,
    )


def _read(client: redis.Redis, check: Check, writer: Any, sink: Sink, total: int) -> Position:
    connection: Any = client.connection_pool.get_connection()
    try:
        replication = Replication(connection._sock, _QUIET_SECONDS)  # noqa: SLF001 - redis-py lends its socket no other way
        position = replication.begin()
        for chunk in replication.chunks():
            check.take(chunk)
            writer.write(chunk)
            sink.progress(check.size, max(total, check.size))
    except OSError as error:
        raise Unreachable("the connection broke") from error
    else:
        return position
    finally:
        connection.disconnect()
        client.connection_pool.release(connection)


def _keys(client: redis.Redis) -> dict[str, int]:
    """Return how many keys each database has, of those that have any."""
    found: dict[str, Any] = client.info("keyspace")
    return {name: int(of["keys"]) for name, of in found.items() if re.fullmatch(r"db\d+", name)}


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that start a server with the keys. See `tasks.core.backup.Recovery`."""
    if PART not in parts:
        raise PermanentError(f"the backup has no part {PART}")
    program = "valkey" if taken.details["server"] == "valkey" else "redis"
    return f"""Put the file where the server starts, while it is stopped; it must not be there already. Switch AOF off
for the first start (`appendonly no`), or the server reads its empty log instead.

    set -o noclobber
    {{read:{PART}}} > {PART}

A server of version {taken.server_version} or newer reads it (add the port, the password and its other settings):

    {program}-server --dir "$PWD" --dbfilename {PART} --appendonly no --save '' --daemonize yes --port "${{PORT:-6379}}"

`{program}-check-rdb {PART}` checks the file, and `{program}-cli INFO keyspace` shows the keys: {_told(taken)}.
"""


def _told(taken: Taken) -> str:
    counts = ", ".join(f"{name.removeprefix('keys/')} {count}" for name, count in sorted(taken.counts.items()))
    return counts or "there were none"
