"""Restores objects into a bucket, or into a folder in which each lies under its key.

Scratch is such a folder: what is to be proven is that every byte is there, and a folder needs no server.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any

from tasks.core.errors import ConfigError, Garbled
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.system import Access
from tasks.core.tars import Member, members
from tasks.systems.s3.copying import XATTR
from tasks.systems.s3.index import part_name
from tasks.systems.s3.places import CONNECTIONS, Folder, Place, endpoints, open_place
from tasks.systems.s3.selection import Selection, holder, select
from tasks.systems.s3.spec import Spec

__all__ = ["endpoints", "restore"]

_WHOLE = 1 << 20
_AWS = "https://s3.amazonaws.com"


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Write every object, or those whose keys begin with one of `order.only`, with its headers and metadata.

    Into a bucket with a prefix, the prefix stands before the keys. A backup with versions can show any moment before.

    Raises:
        ConfigError: The place has objects or is the live bucket, there is no such moment, or nothing is asked for.
        Garbled: The backup, or an earlier one that it is made from, is damaged.
    """
    until = _moment(source, order)
    if order.into is not None and endpoints(order.into) & _live(access, spec):
        raise ConfigError("this is a bucket of the live platform", operation="restore", hint="name another bucket")
    address = order.into if order.into is not None else str(order.folder / "objects")
    place = open_place(address, access)
    try:
        with order.phase(Phase.PROVISION):
            if not place.is_empty():
                raise ConfigError("the place is not empty", hint="name an empty bucket, prefix or folder")
        with order.phase(Phase.FETCH):
            selection = select(source, order.only, until)
        if order.only and not selection.objects:
            raise ConfigError(f"the backup has nothing that begins with {', '.join(order.only)}")
        with order.phase(Phase.RESTORE):
            if isinstance(place, Folder):
                place.root.mkdir(parents=True, exist_ok=True)
            _Writing(source, place, selection, order).run()
        shows = min(until, source.manifest.consistent_as_of) if until else source.manifest.consistent_as_of
        yield Restored(
            address=address,
            recovered_to=shows,
            counts={"objects": selection.objects, "bytes": selection.size},
            details=_details(order, until, selection, place),
        )
    finally:
        place.close()


def _details(order: Order, until: datetime | None, selection: Selection, place: Place) -> dict[str, object]:
    told: dict[str, object] = {"into": "a folder" if isinstance(place, Folder) else "a bucket"}
    told |= {"only": list(order.only)} if order.only else {}
    told |= {"until": until.isoformat()} if until else {}
    return told | ({"newest_object": selection.newest.isoformat()} if selection.newest else {})


def _moment(source: Source, order: Order) -> datetime | None:
    """Return the moment to show, or None for that of the backup."""
    shown, has_versions = source.manifest.consistent_as_of, bool(source.manifest.details.get("versions"))
    if order.position is not None or (order.until is not None and order.until < shown and not has_versions):
        raise ConfigError(
            f"this backup shows {shown:%Y-%m-%d %H:%M:%S %Z} only",
            operation="restore",
            hint="choose an earlier backup; one with versions shows every moment before it",
        )
    return order.until if order.until is not None and order.until < shown else None


def _live(access: Access, spec: Spec) -> frozenset[str]:
    """Return every bucket that the platform lives in: this system's, and those of its other ones."""
    found: set[str] = set()
    for one in (spec, *(access.systems or {}).values()):
        if isinstance(one, Spec):
            endpoint = _AWS if one.endpoint is None else access.resolver.resolve(one.endpoint)
            found |= endpoints(f"{endpoint.rstrip('/')}/{one.bucket}")
    return frozenset(found)


@dataclass
class _Writing:
    """Objects on their way from tars to a place; several tars at once, and several objects of each."""

    source: Source
    place: Place
    selection: Selection
    order: Order
    _done: int = 0
    _failed: BaseException | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2 * CONNECTIONS))

    def run(self) -> None:
        with ThreadPoolExecutor(CONNECTIONS, "put") as puts, ThreadPoolExecutor(max(1, self.order.jobs), "tar") as tars:
            wanted = list(self.selection.members)
            futures = [tars.submit(self._tar, backup, part, puts) for backup, part in wanted]
            try:
                for future in futures:
                    future.result()
            except BaseException as error:
                self._failed = self._failed or error
                for future in futures:
                    future.cancel()
                raise
        if self._failed is not None:
            raise self._failed

    def _tar(self, backup: str, part: int, puts: ThreadPoolExecutor) -> None:
        found = 0
        for member in members(holder(self.source, backup).read(part_name(part))):
            if self._failed is not None:
                return
            if self.selection.has(backup, part, member.number):
                found += 1
                self._put(member, puts)
        if found != (wanted := self.selection.count(backup, part)):
            raise Garbled(f"it lacks {wanted - found} of {wanted} objects", operation=f"read {part_name(part)}")

    def _put(self, member: Member, puts: ThreadPoolExecutor) -> None:
        told, size = _told(member), member.info.size
        key, headers, metadata = told.get("key", member.info.name), told.get("headers", {}), told.get("metadata", {})
        if isinstance(self.place, Folder) or size > _WHOLE:
            self.place.put(key, member, size, headers, metadata)
            self._advance(size)
            return
        data = BytesIO(member.read())

        def put() -> None:
            self.place.put(key, data, size, headers, metadata)
            self._advance(size)

        self._room.acquire()
        puts.submit(self._guarded, put)

    def _guarded(self, put: Callable[[], None]) -> None:
        try:
            if self._failed is None:
                put()
        except BaseException as error:  # noqa: BLE001 - told by whoever waits
            self._failed = self._failed or error
        finally:
            self._room.release()

    def _advance(self, size: int) -> None:
        with self._lock:
            self._done += size
            done = self._done
        self.order.progress(done, self.selection.size)


def _told(member: Member) -> dict[str, Any]:
    """Return what a member says of its object.

    Raises:
        Garbled: It says nothing that can be read.
    """
    try:
        told = json.loads(member.info.pax_headers.get(XATTR, "{}"))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Garbled(f"what {member.info.name!a} says of its object is damaged", operation="read a tar")
    return told
