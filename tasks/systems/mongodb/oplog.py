"""The oplog of a replica set: where it begins and ends, what an entry does, and a part of it as a backup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bson import Timestamp
from pymongo import ReadPreference, errors
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from tasks.core.errors import ConfigError, PermanentError
from tasks.systems.mongodb.connection import Blocking
from tasks.systems.mongodb.layout import documents_in

_Entry = Mapping[str, Any]


def written(moment: Timestamp) -> str:
    """Return a position as manifests have it, and mongorestore's `--oplogLimit` takes it: `1700000000:1`."""
    return f"{moment.time}:{moment.inc}"


def read_position(text: str) -> Timestamp:
    """Read a position.

    Raises:
        ConfigError: It is none.
    """
    if not (found := re.fullmatch(r"(\d{1,10}):(\d{1,10})", text)) or max(map(int, found.groups())) >= 1 << 32:
        raise ConfigError(
            f"{text[:40]!r} is no position in an oplog", hint="write seconds:number, as manifests have it"
        )
    return Timestamp(int(found[1]), int(found[2]))


def clock(moment: Timestamp) -> datetime:
    """Return a position's time; aware, UTC."""
    return datetime.fromtimestamp(moment.time, UTC)


def newest(client: Blocking) -> Timestamp | None:
    """Return the position up to which a majority has the oplog; None of a standalone server, and of a router."""
    told = client.admin.command("hello").get("lastWrite", {})
    found = (told.get("majorityOpTime") or told.get("opTime") or {}).get("ts")
    return found if isinstance(found, Timestamp) else None


def oldest(client: Blocking) -> Timestamp | None:
    """Return the position of the oplog's first entry, or None where there is none.

    Raises:
        PyMongoError: It may not be read.
    """
    entry = _oplog(client).find_one({}, {"ts": 1})
    return entry["ts"] if entry else None


def safe_start(client: Blocking, moment: Timestamp) -> Timestamp:
    """Return where replaying must begin so that nothing is missed of what was not yet committed at a moment.

    The entries of a large transaction stand in the oplog before it is committed, and are looked for there.
    """
    begun = client["config"]["transactions"].find(
        {"state": {"$in": ["prepared", "inProgress"]}, "startOpTime.ts": {"$type": "timestamp"}}, {"startOpTime": 1}
    )
    try:
        starts: list[Timestamp] = [told["startOpTime"]["ts"] for told in begun]
    except errors.OperationFailure:
        return moment
    return min([moment, *starts])


def read_slice(client: Blocking, start: Timestamp, end: Timestamp) -> Iterator[tuple[bytes, int]]:
    """Yield the entries from start to end, both included, as batches with the number of their documents.

    Raises:
        PermanentError: The oplog no longer held them all when the last was read.
    """
    batches: Any = _oplog(client).find_raw_batches({"ts": {"$gte": start, "$lte": end}})
    for batch in batches:
        yield batch, documents_in(batch)
    must_hold(oldest(client), start)


def must_hold(first: Timestamp | None, start: Timestamp) -> None:
    """See that the oplog still begins at or before a position.

    Args:
        first: Of the oplog's first entry, if any.
        start: From where it was, or is, to be read.

    Raises:
        PermanentError: It begins later; the message says what is lost.
    """
    if first is None:
        raise PermanentError("the server has no oplog", hint="make it a replica set, be it of one member")
    if first > start:
        raise PermanentError(
            f"the oplog begins at {clock(first):%Y-%m-%d %H:%M:%S} UTC and no longer holds "
            f"{clock(start):%Y-%m-%d %H:%M:%S} UTC, from where it was to be read",
            hint="take a new logical backup; take slices more often, or enlarge the oplog with replSetResizeOplog",
        )


def operations(entry: _Entry) -> Iterator[_Entry]:
    """Yield what an entry does: itself, or what the one transaction in it holds."""
    if entry.get("op") == "c" and isinstance(inner := entry["o"].get("applyOps"), list):
        for operation in inner:
            yield from operations(operation)
    else:
        yield entry


def changes(entries: Iterable[_Entry]) -> dict[str, int]:
    """Count by namespace the entries that may change the number of its documents."""
    found: dict[str, int] = {}
    for entry in entries:
        for operation in operations(entry):
            if operation.get("op") in {"i", "d", "c"}:
                found[operation["ns"]] = found.get(operation["ns"], 0) + 1
    return found


def _oplog(client: Blocking) -> Collection[dict[str, Any]]:
    return client["local"].get_collection(
        "oplog.rs", read_concern=ReadConcern("majority"), read_preference=ReadPreference.PRIMARY
    )
