"""Backs a Redis or Valkey server up as one RDB, read over the replication protocol; none of its files is touched."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from tasks.core.backup import Order, Sink, Taken
from tasks.core.errors import ConfigError, Denied, NotOffered, PermanentError, Unreachable
from tasks.core.system import Access
from tasks.systems.redis.connection import connected
from tasks.systems.redis.counting import keys_by_database
from tasks.systems.redis.rdb import Check
from tasks.systems.redis.replication import Position, Replication
from tasks.systems.redis.spec import Spec
from tasks.systems.redis.values import checksum, is_small

PART = "dump.rdb"

_QUIET_SECONDS = 600.0
_SAVE_SECONDS = 3600.0
_OUR_OWN = 15  # commands that a backup sends itself
_CHUNK = 1 << 18
_AGAIN_SECONDS = 0.05
_BUILT_IN = {"lua"}  # Valkey's own, which it lists


@dataclass(frozen=True)
class _Look:
    """What a server says of itself at one moment."""

    info: dict[str, Any]
    keys: dict[str, int]

    def changes_until(self, later: _Look) -> int:
        """Return how many changes there may have been: commands of others, and keys that went by themselves."""
        names = ("total_commands_processed", "expired_keys", "evicted_keys")
        grown = sum(int(later.info.get(name, 0)) - int(self.info.get(name, 0)) for name in names)
        if grown <= _OUR_OWN and self.keys == later.keys:
            return 0
        return max(grown, 1)

    def is_as(self, later: _Look) -> bool:
        """Tell whether nobody wrote meanwhile."""
        names = ("rdb_changes_since_last_save", "rdb_last_save_time", "evicted_keys")
        return self.keys == later.keys and all(self.info.get(name) == later.info.get(name) for name in names)


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:  # noqa: ARG001 - it knows one way
    """Write `dump.rdb`, the whole server as it was when the synchronisation began.

    Where the server lets nobody replicate and the plan names its `rdb_file`, it is made to save, and the file is read.

    Raises:
        Denied: The user may not do what `grant-backup.acl` grants.
        Garbled: The RDB is damaged.
        WatchkeeperError: As the server says.
    """
    url = access.resolver.resolve(spec.backup_url or spec.url)
    rdb_file = spec.backup.rdb_file if spec.backup else None
    with connected(url, access.ca_bundle) as client:
        return _taken(client, access, sink, rdb_file)


def _taken(client: redis.Redis, access: Access, sink: Sink, rdb_file: str | None) -> Taken:
    values, before, check = *_valued(client), Check()
    began = access.now()
    total = int(before.info.get("used_memory_dataset", 0))
    with ExitStack() as opened:
        position, chunks = _rdb(client, rdb_file, opened)
        writer = opened.enter_context(sink.part(PART))
        for chunk in chunks:
            check.take(chunk)
            writer.write(chunk)
            sink.progress(check.size, max(total, check.size))
        has_checksum = check.finish()
    changes, info = before.changes_until(_look(client)), before.info
    return Taken(
        method="rdb",
        consistent_as_of=began if check.seconds is None else datetime.fromtimestamp(check.seconds, UTC),
        server_version=str(info.get("valkey_version") or info.get("redis_version", "")),
        position=position,
        counts=before.keys,
        details={
            "server": str(info.get("server_name", "redis")),
            "counts_are_exact": not changes,
            "changes": changes,
            **({"values": values} if values and not changes else {}),
        },
        warnings=tuple(_warnings(info, has_checksum=has_checksum)),
        source_bytes=int(info["used_memory"]) if "used_memory" in info else None,
    )


def _valued(client: redis.Redis) -> tuple[str, _Look]:
    """Return the checksum of what all keys hold, and a look; "" where it would cost much, or others wrote meanwhile."""
    before = _look(client)
    if not is_small(before.info, before.keys):
        return "", before
    try:
        values = checksum(client)
    except redis.exceptions.NoPermissionError:
        return "", before
    after = _look(client)
    return (values if before.is_as(after) else ""), after


def _look(client: redis.Redis) -> _Look:
    info: dict[str, Any] = client.info("everything")
    return _Look(info, keys_by_database(client))


def _warnings(info: dict[str, Any], *, has_checksum: bool) -> Iterator[str]:
    if not has_checksum:
        yield "the server keeps no checksum in its RDB (rdbchecksum no)"
    if info.get("role") == "slave":
        late = info.get("master_last_io_seconds_ago", -1)
        yield "it was taken from a replica" + (f", which heard of its primary {late} s before" if late >= 0 else "")
        if info.get("master_link_status") != "up":
            yield "that replica's link to its primary was down: what was written since is not in it"
    if info.get("cluster_enabled"):
        yield "keys of the cluster's other nodes are not in it: this is one node's share"
    if modules := sorted({str(one["name"]) for one in info.get("modules", [])} - _BUILT_IN):
        yield f"only a server with its modules reads it: {', '.join(modules)}"


def _rdb(client: redis.Redis, rdb_file: str | None, opened: ExitStack) -> tuple[dict[str, str], Iterator[bytes]]:
    """Return where the copy stands in the server's history, as far as it is known, and the RDB as it comes."""
    try:
        position, chunks = opened.enter_context(_replicated(client))
    except (Denied, NotOffered):
        if rdb_file is None:
            raise
        return {}, _saved(client, Path(rdb_file))
    return {"replication_id": position.replication_id, "offset": str(position.offset)}, chunks


@contextmanager
def _replicated(client: redis.Redis) -> Iterator[tuple[Position, Iterator[bytes]]]:
    connection: Any = client.connection_pool.get_connection()
    try:
        replication = Replication(connection._sock, _QUIET_SECONDS)  # noqa: SLF001 - redis-py lends its socket no other way
        yield replication.begin(), replication.chunks()
    except OSError as error:
        raise Unreachable("the connection broke") from error
    finally:
        connection.disconnect()
        client.connection_pool.release(connection)


def _saved(client: redis.Redis, path: Path) -> Iterator[bytes]:
    """Have the server save its RDB, wait until it has, and read the file.

    Raises:
        PermanentError: It could not be saved.
        ConfigError: The file is not there, or is not the one that the server saved.
    """
    _wait_for_save(client)  # one that runs already began too early
    asked: Any = client.time()
    client.bgsave()
    _wait_for_save(client)
    if client.info("persistence").get("rdb_last_bgsave_status") != "ok":
        raise PermanentError("the server could not save its RDB", hint="see its log: a full disk is the usual reason")
    check = Check()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                check.take(chunk)
                if check.seconds is not None and check.seconds < asked[0] - 1:
                    raise ConfigError(f"{path} is not what the server saved", hint="correct backup.rdb_file")
                yield chunk
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="correct backup.rdb_file") from None


def _wait_for_save(client: redis.Redis) -> None:
    deadline = time.monotonic() + _SAVE_SECONDS
    while client.info("persistence").get("rdb_bgsave_in_progress"):
        if time.monotonic() > deadline:
            raise Unreachable("the server did not end its save in time")
        time.sleep(_AGAIN_SECONDS)


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
