"""Replays the oplog over a dump, so that it shows a later moment. To replay a part twice does no harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import bson
from bson import CodecOptions, DatetimeConversion, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, ReplaceOne

from tasks.systems.mongodb.chain import Limit, moment
from tasks.systems.mongodb.commands import carry_out
from tasks.systems.mongodb.diffs import is_replacement, patched
from tasks.systems.mongodb.layout import BUCKETS, RAW, documents, raw
from tasks.systems.mongodb.made import Made
from tasks.systems.mongodb.sums import moved

_AT_ONCE = 1000
# Dates that Python has none for stay what they are.
_EXACT: CodecOptions[Any] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_Operation = Mapping[str, Any]


@dataclass
class Replay:
    """Applies entries in their order, many documents at a step.

    Attributes:
        made: What the dump has made, and is changed.
        after: Commands up to here are in the dump already.
        newest: When the last entry that changed something was written.
        applied: How many operations were.
    """

    made: Made
    after: Timestamp | None = None
    newest: datetime | None = None
    applied: int = 0
    _held: dict[str, list[_Operation]] = field(default_factory=dict)
    _waiting: int = 0
    _transactions: dict[bytes, list[_Operation]] = field(default_factory=dict)

    def run(self, chunks: Iterable[bytes], limit: Limit) -> bool:
        """Apply a slice; return whether all of it was within the limit.

        Raises:
            Garbled: It is damaged, or has an update of an unknown form.
            PyMongoError: As the server says.
        """
        for document in documents(chunks):
            entry: Any = raw(document)
            if not limit.allows(entry):
                self.flush()
                return False
            for operation in self._settled(entry):
                self._apply(operation, entry)
        self.flush()
        return True

    def flush(self) -> None:
        """Write what is held."""
        held, self._held, self._waiting = self._held, {}, 0
        for space, operations in held.items():
            self._write(space, operations)

    def _settled(self, entry: Any) -> Iterator[_Operation]:
        """Yield what an entry makes certain: nothing while its transaction may still be aborted."""
        content = entry.get("o", {})
        if entry.get("op") != "c":
            yield entry
            return
        key = _transaction(entry)
        if "applyOps" in content:
            inner = list(_inner(content["applyOps"]))
            if key is None:
                yield from inner
            elif content.get("partialTxn") or content.get("prepare"):
                self._transactions.setdefault(key, []).extend(inner)
            else:
                yield from self._transactions.pop(key, [])
                yield from inner
        elif "commitTransaction" in content:
            yield from self._transactions.pop(key or b"", [])
        elif "abortTransaction" in content:
            self._transactions.pop(key or b"", None)
        else:
            yield entry

    def _apply(self, operation: _Operation, entry: Any) -> None:
        kind = operation.get("op")
        database, _, name = str(operation.get("ns", "")).partition(".")
        if kind == "c":
            if self.after is None or entry["ts"] > self.after:
                self.flush()
                if carry_out(self.made, database, bson.decode(operation["o"].raw, _EXACT)):
                    self._note(entry)
        elif kind in {"i", "u", "d"}:
            if name == "system.views":
                if not str(operation["o"].get("viewOn", "")).startswith(BUCKETS):
                    self.made.warn("views that were made or changed after the dump are as they were then")
            elif self.made.wants(database, name.removeprefix(BUCKETS)):
                self._held.setdefault(f"{database}.{name}", []).append(operation)
                self._waiting += 1
                self._note(entry)
                if self._waiting >= _AT_ONCE:
                    self.flush()

    def _note(self, entry: Any) -> None:
        self.applied += 1
        self.newest = moment(entry)

    def _write(self, space: str, operations: list[_Operation]) -> None:
        """Work out what becomes of each document, then write them all at once."""
        database, _, name = space.partition(".")
        collection = self.made.client[database].get_collection(name, codec_options=RAW)
        ids = {_key(identity): identity for identity in map(_identity, operations)}
        before: dict[bytes, Any] = {
            _key(found["_id"]): found for found in collection.find({"_id": {"$in": list(ids.values())}})
        }
        now = dict(before)
        for operation in operations:
            key = _key(_identity(operation))
            now[key] = _after(now.get(key), operation)
        changed = {key: document for key, document in now.items() if document is not before.get(key)}
        removed = [DeleteOne({"_id": ids[key]}) for key, document in changed.items() if document is None]
        written: list[Any] = [
            ReplaceOne({"_id": ids[key]}, document, upsert=True)
            for key, document in changed.items()
            if document is not None
        ]
        if removed or written:
            collection.bulk_write(removed + written, bypass_document_validation=True)
        count = self.made.counts.get(space, 0)
        there = sum(one is not None for one in now.values()) - len(before)
        self.made.counts[space] = count + there
        self.made.sums[space] = moved(
            self.made.sums.get(space, 0),
            gone=[_bytes(before[key]) for key in changed if key in before],
            come=[_bytes(document) for document in changed.values() if document is not None],
        )


def _after(document: Any, operation: _Operation) -> Any:
    content = operation["o"]
    if operation["op"] == "i":
        return content
    if operation["op"] == "d":
        return None
    if is_replacement(content):
        return content
    if document is None:
        return None  # it is removed later on
    plain = document if isinstance(document, dict) else bson.decode(document.raw, _EXACT)
    return patched(dict(plain), bson.decode(content.raw, _EXACT))


def _bytes(document: Any) -> bytes:
    return bytes(document.raw) if isinstance(document, RawBSONDocument) else bson.encode(document)


def _identity(operation: _Operation) -> Any:
    return operation["o2" if operation["op"] == "u" else "o"]["_id"]


def _key(identity: Any) -> bytes:
    return bson.encode({"": identity})


def _transaction(entry: Any) -> bytes | None:
    if "txnNumber" not in entry or "lsid" not in entry:
        return None
    return bson.encode({"lsid": entry["lsid"], "number": entry["txnNumber"]})


def _inner(operations: Any) -> Iterator[_Operation]:
    """Yield the operations of an `applyOps`, those of another one within it too."""
    for operation in operations:
        content = operation.get("o", {})
        if operation.get("op") == "c" and "applyOps" in content:
            yield from _inner(content["applyOps"])
        else:
            yield operation
