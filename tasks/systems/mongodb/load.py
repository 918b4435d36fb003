"""Loads a dump: collections side by side, memory bounded, each document just as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pymongo import errors
from pymongo.collection import Collection

from tasks.core.errors import Garbled
from tasks.core.restore import Order, Source
from tasks.systems.mongodb.layout import BUCKETS, collections_in, documents, is_metadata, raw, read_metadata
from tasks.systems.mongodb.made import Made
from tasks.systems.mongodb.sums import moved

_AT_ONCE, _BYTES_AT_ONCE = 1000, 4 << 20
_USERS = ("system.users", "system.roles")
_LARGEST_METADATA = 64 << 20


@dataclass
class _Meter:
    """Tells how many bytes all threads together have read."""

    tell: Callable[[int, int | None], None]
    total: int
    done: int = 0
    lock: Lock = field(default_factory=Lock)

    def read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on what is read, and tell of it."""
        for chunk in chunks:
            with self.lock:
                self.done += len(chunk)
                self.tell(self.done, self.total)
            yield chunk


def load(made: Made, source: Source, order: Order) -> None:
    """Make the collections of a dump and fill them; indexes and views are remembered.

    Raises:
        Garbled: It is damaged, or a collection has not as many documents as were counted when it was taken.
        PyMongoError: As the server says.
    """
    jobs = _prepared(made, source)
    meter = _Meter(order.progress, sum(job.size for job in jobs))
    pool = ThreadPoolExecutor(max(1, order.jobs), thread_name_prefix="watchkeeper-restore")
    try:
        for job, filled in zip(jobs, pool.map(lambda job: _fill(made, source, meter, job), jobs), strict=True):
            if filled is None:
                continue
            count, made.sums[job.space] = filled
            told = source.manifest.counts.get(job.space, count)
            if count != told:
                raise Garbled(f"{job.space} has {count} documents, and {told} were written")
            made.counts[job.space] = count
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Job:
    """A collection to be filled."""

    size: int
    part: str
    database: str
    name: str

    @property
    def space(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def is_of_users(self) -> bool:
        return self.database == "admin" and self.name in _USERS


def _prepared(made: Made, source: Source) -> list[_Job]:
    """Make the collections that are asked for, and return what they are filled from, the largest first."""
    sizes = {part.name: part.plain_bytes for part in source.manifest.parts}
    jobs = []
    for (database, name), parts in collections_in(sizes).items():
        wanted = made.wants(database, name.removeprefix(BUCKETS))
        for part in parts:
            job = _Job(sizes[part], part, database, name)
            if is_metadata(part):
                if wanted:
                    _prepare(made, database, read_metadata(_whole(source.read(part))))
            elif wanted or (made.with_users and job.is_of_users):
                jobs.append(job)
    return sorted(jobs, key=lambda job: (-job.size, job.part))


def _fill(made: Made, source: Source, meter: _Meter, job: _Job) -> tuple[int, int] | None:
    """Fill one collection; return how many documents it has and their sum, or None of users and roles."""
    collection, chunks = made.client[job.database][job.name], meter.read(source.read(job.part))
    if job.is_of_users:
        _users(made, collection, chunks)
        return None
    return _insert(collection, chunks)


def _prepare(made: Made, database: str, metadata: Mapping[str, Any]) -> None:
    name, options = metadata["collectionName"], dict(metadata.get("options", {}))
    options.pop("autoIndexId", None)
    add = made.add_series if metadata.get("type") == "timeseries" else made.add_collection
    add(database, name, options)
    made.add_indexes(f"{database}.{name}", metadata.get("indexes", []))


def _whole(chunks: Iterator[bytes]) -> bytes:
    data = b""
    for chunk in chunks:
        data += chunk
        if len(data) > _LARGEST_METADATA:
            raise Garbled("it is no metadata of a collection")
    return data


def _insert(collection: Collection[dict[str, Any]], chunks: Iterator[bytes]) -> tuple[int, int]:
    count = size = total = 0
    held: list[Any] = []
    for document in documents(chunks):
        held.append(raw(document))
        size += len(document)
        total = moved(total, come=(document,))
        if len(held) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            collection.insert_many(held, bypass_document_validation=True)
            count, size, held = count + len(held), 0, []
    if held:
        collection.insert_many(held, bypass_document_validation=True)
    return count + len(held), total


def _users(made: Made, collection: Collection[dict[str, Any]], chunks: Iterator[bytes]) -> None:
    """Put users or roles back where a server lets us; our own stays as it is."""
    try:
        for document in documents(chunks):
            collection.replace_one({"_id": raw(document)["_id"]}, raw(document), upsert=True)
    except errors.OperationFailure:
        made.warn("users and roles were not restored: mongorestore does it, see RECOVERY.md")
        for _ in chunks:
            pass
