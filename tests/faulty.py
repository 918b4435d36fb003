"""A store that wraps another and misbehaves at the n-th call, in every way that stores do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.clients.blobs import BlobStore, BlobWriter, Unfinished
from tasks.core.errors import Denied, PermanentError, Unreachable


class Fault(StrEnum):
    FAIL = "fails before anything is done"
    FAIL_AFTER = "does it, and says that it failed"
    REFUSE = "refuses for good"
    SHORT = "takes or returns less than all"
    CORRUPT = "changes a byte"
    LIE = "says that it was done, and does nothing"
    STALL = "does not come back until it is released"
    DOWN = "does not answer any more"
    REVOKED = "refuses everything from now on"
    FULL = "takes nothing more, and reads and deletes as ever"


LASTING = (Fault.DOWN, Fault.REVOKED, Fault.FULL)
"""Faults that stay from the call on at which they begin."""
ONCE = tuple(fault for fault in Fault if fault is not Fault.STALL)
"""Faults that need nobody to end them."""
_WRITES = ("put", "put_if_absent", "writing", "piece written", "end of writing")


@dataclass
class Ledger:
    """Counts what a suite of faults did, and what was lost by it."""

    faults: int = 0
    losses: list[str] = field(default_factory=list)
    false_successes: list[str] = field(default_factory=list)

    def saw(self, what: str, *, lost: bool = False, false: bool = False) -> None:
        """Count one fault."""
        self.faults += 1
        if lost:
            self.losses.append(what)
        if false:
            self.false_successes.append(what)

    @property
    def text(self) -> str:
        return f"{self.faults} faults, {len(self.losses)} losses, {len(self.false_successes)} false successes"


class FaultySource:
    """Pieces of a source that fails, or ends short without a word, at the n-th piece."""

    def __init__(self, pieces: list[bytes], error: BaseException | None, at: int) -> None:
        self._pieces, self._error, self._at = pieces, error, at

    def __iter__(self) -> Iterator[bytes]:
        for number, piece in enumerate(self._pieces, 1):
            if number == self._at and self._error is not None:
                raise self._error
            yield piece


class Faulty:
    """Misbehaves at one call, the first of which is number 1; `calls` tells how many there were.

    Reading and writing a stream are one call for the beginning, one for each piece, and one for the end.
    """

    def __init__(self, inner: BlobStore, fault: Fault | None = None, at: int = 0) -> None:
        self.inner, self.fault, self.at = inner, fault, at
        self.calls: list[str] = []
        self.hit: str | None = None
        self.released = threading.Event()
        self._lock = threading.Lock()

    def _next(self, name: str) -> Fault | None:
        with self._lock:
            self.calls.append(name)
            number = len(self.calls)
        if self.fault is None or number < self.at or (number > self.at and self.fault not in LASTING):
            return None
        self.hit = self.hit or name
        if self.fault is Fault.DOWN:
            raise Unreachable("injected: down", operation=name)
        if self.fault is Fault.REVOKED:
            raise Denied("injected: revoked", operation=name)
        if self.fault is Fault.FULL:
            if name in _WRITES:
                raise PermanentError("injected: no space left on device", operation=name)
            return None
        if self.fault is Fault.FAIL:
            raise Unreachable("injected", operation=name)
        if self.fault is Fault.REFUSE:
            raise PermanentError("injected", operation=name)
        if self.fault is Fault.STALL:
            self.released.wait(timeout=60)
        return self.fault

    def _after(self, fault: Fault | None, name: str) -> None:
        if fault is Fault.FAIL_AFTER:
            raise Unreachable("injected after", operation=name)

    def put(self, key: str, data: bytes) -> None:
        fault = self._next("put")
        if fault is not Fault.LIE:
            self.inner.put(key, damaged(data, fault))
        self._after(fault, "put")

    def put_if_absent(self, key: str, data: bytes) -> bool:
        fault = self._next("put_if_absent")
        done = True if fault is Fault.LIE else self.inner.put_if_absent(key, damaged(data, fault))
        self._after(fault, "put_if_absent")
        return done

    def get(self, key: str) -> bytes | None:
        fault = self._next("get")
        data = None if fault is Fault.LIE else self.inner.get(key)
        self._after(fault, "get")
        return None if data is None else damaged(data, fault)

    def list(self, prefix: str = ""):
        fault = self._next("list")
        found = self.inner.list(prefix)
        self._after(fault, "list")
        return found[:-1] if fault in (Fault.SHORT, Fault.LIE) else found

    def folders(self, prefix: str = ""):
        fault = self._next("folders")
        found = self.inner.folders(prefix)
        self._after(fault, "folders")
        return found[:-1] if fault in (Fault.SHORT, Fault.LIE) else found

    def delete(self, key: str) -> None:
        fault = self._next("delete")
        if fault is not Fault.LIE:
            self.inner.delete(key)
        self._after(fault, "delete")

    def where(self, key: str) -> str:
        return self.inner.where(key)

    @contextmanager
    def writing(self, key: str) -> Iterator[BlobWriter]:
        fault = self._next("writing")
        if fault is Fault.LIE:
            yield _Nowhere()
            return
        end = None
        with suppress(_Forgotten), self.inner.writing(key) as writer:
            yield _Writer(self, writer)
            end = self._next("end of writing")
            if end is Fault.LIE:
                raise _Forgotten
            if end in (Fault.SHORT, Fault.CORRUPT):
                writer.write(b"more than was written")
        self._after(end, "end of writing")

    def reading(self, key: str, start: int = 0) -> Iterator[bytes]:
        fault = self._next("reading")
        if fault is Fault.LIE:
            return
        for data in self.inner.reading(key, start):
            here = self._next("piece read")
            if here is not Fault.LIE:
                yield damaged(data, here or fault)
            self._after(here or fault, "piece read")

    def sizes(self, prefix: str = ""):
        fault = self._next("sizes")
        found = self.inner.sizes(prefix)
        self._after(fault, "sizes")
        return dict(list(found.items())[:-1]) if fault in (Fault.SHORT, Fault.LIE) else found

    def sizes_along(self, prefixes, scale):
        fault = self._next("sizes_along")
        found = self.inner.sizes_along(prefixes, scale)
        self._after(fault, "sizes_along")
        return dict(list(found.items())[:-1]) if fault in (Fault.SHORT, Fault.LIE) else found

    def sums(self, prefix: str = ""):
        self._next("sums")
        return self.inner.sums(prefix)

    def unfinished(self, prefix: str = ""):
        self._next("unfinished")
        return self.inner.unfinished(prefix)

    def abort(self, unfinished: Unfinished) -> None:
        self._next("abort")
        self.inner.abort(unfinished)

    def locked_until(self, key: str):
        fault = self._next("locked_until")
        until = self.inner.locked_until(key)
        self._after(fault, "locked_until")
        return until

    def require_lock(self, key: str = "") -> None:
        self._next("require_lock")
        self.inner.require_lock(key)


class _Forgotten(Exception):
    """Makes the wrapped store drop what the outer one says it has."""


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


class _Writer:
    def __init__(self, faulty: Faulty, writer: BlobWriter) -> None:
        self._faulty, self._writer = faulty, writer

    def write(self, data: bytes, /) -> int:
        fault = self._faulty._next("piece written")
        if fault is not Fault.LIE:
            self._writer.write(damaged(data, fault))
        self._faulty._after(fault, "piece written")
        return len(data)


def damaged(data: bytes, fault: Fault | None) -> bytes:
    """Return the bytes as the fault leaves them."""
    if fault is Fault.SHORT:
        return data[: len(data) // 2]
    if fault is Fault.CORRUPT and data:
        return bytes([data[0] ^ 1]) + data[1:]
    return data
