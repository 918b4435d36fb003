"""Copies objects into tars: many small ones are read at once, large ones in ranges; memory is bounded either way."""

from __future__ import annotations

import json
import tarfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tasks.clients import s3
from tasks.clients.s3_objects import Fetched, Objects
from tasks.core.backup import Sink
from tasks.core.errors import Denied, PermanentError
from tasks.core.tars import TarWriter
from tasks.systems.s3.connection import patiently
from tasks.systems.s3.index import content_hash, part_name
from tasks.systems.s3.pages import Listed

XATTR = "SCHILY.xattr.user.s3"
"""The extended attribute that tells how an object is to be served; `tar --xattrs` shows it, any other reads over it."""

_MEBI = 1 << 20
_WHOLE = _MEBI
_RANGE = 2 * _MEBI
_RANGES = 3
_PART_BYTES = 256 * _MEBI
_WAITING_BYTES = 16 * _MEBI
_READ = "read an object"
_GONE = ("NoSuchKey", "NoSuchVersion", "404")
_OTHER_NOW = ("PreconditionFailed", "412", "InvalidRange", "416")


class Tars:
    """Tars of bounded size in a sink, one after the other; a block that fails leaves the last one unfinished."""

    def __init__(self, sink: Sink) -> None:
        self._sink, self._stack = sink, ExitStack()
        self._tar: TarWriter | None = None
        self.part, self.number = -1, -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
        else:
            self._stack.__exit__(kind, error, trace)

    def member(self) -> TarWriter:
        """Return the tar for the next member; `part` and `number` tell which that will be."""
        if self._tar is not None and self._tar.size >= _PART_BYTES:
            self._close()
        if self._tar is None:
            self.part, self.number = self.part + 1, -1
            self._tar = TarWriter(self._stack.enter_context(self._sink.part(part_name(self.part))))
        self.number += 1
        return self._tar

    def _close(self) -> None:
        if self._tar is not None:
            self._tar.end()
            self._tar = None
            self._stack.close()


@dataclass(frozen=True)
class Copied:
    """One object in a tar.

    Attributes:
        listed: As it was listed.
        member: The name of the member.
        part: Number of the tar.
        number: Of the member in it.
        fetched: What the store told with its bytes.
        hash: Of its bytes.
    """

    listed: Listed
    member: str
    part: int
    number: int
    fetched: Fetched
    hash: str


@dataclass
class Copier:
    """Takes objects one after the other and yields them as they are in the tars; `rest` yields what is on its way.

    Attributes:
        gone: How many were deleted between the listing and the reading.
        changed: How many had other bytes when they were read than when they were listed; those were taken.
        refused: Objects that the store does not give, with the reason.
        unsteady: Objects that changed while they were read, and again the second time.
        tagged: How many have tags, which are not copied.
        done: Bytes that are copied.
    """

    objects: Objects
    tars: Tars
    pool: Executor
    sink: Sink
    window: int
    gone: int = 0
    changed: int = 0
    tagged: int = 0
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    unsteady: list[str] = field(default_factory=list)
    _waiting: deque[tuple[Listed, str, Future[Fetched | Exception] | None]] = field(default_factory=deque)
    _waiting_bytes: int = 0

    def take(self, listed: Listed, member: str) -> Iterator[Copied]:
        """Begin to read an object, and yield those that are done."""
        small = listed.size <= _WHOLE
        self._waiting.append((listed, member, self.pool.submit(self._whole, listed) if small else None))
        self._waiting_bytes += listed.size if small else 0
        while len(self._waiting) > self.window or self._waiting_bytes > _WAITING_BYTES:
            yield from self._next()

    def rest(self) -> Iterator[Copied]:
        """Yield all that was begun."""
        while self._waiting:
            yield from self._next()

    def _next(self) -> Iterator[Copied]:
        listed, member, future = self._waiting.popleft()
        if future is None:
            copied = self._large(listed, member)
        else:
            self._waiting_bytes -= listed.size
            copied = self._small(listed, member, future.result())
        if copied is not None:
            self.changed += copied.fetched.tag != listed.tag
            self.tagged += copied.fetched.tags > 0
            self.sink.progress(self.done)
            yield copied

    def _whole(self, listed: Listed) -> Fetched | Exception:
        try:
            return patiently(
                lambda: self.objects.get(listed.key, version=listed.version or None, at_most=_WHOLE), _READ
            )
        except s3.Failure as error:
            return error

    def _small(self, listed: Listed, member: str, fetched: Fetched | Exception) -> Copied | None:
        if isinstance(fetched, Exception):
            self._lost(listed, fetched)
            return None
        if fetched.body is None:
            return self._large(listed, member)
        self.tars.member().whole(_info(listed, member, fetched), fetched.body)
        self.done += fetched.size
        digest = content_hash()
        digest.update(fetched.body)
        return Copied(listed, member, self.tars.part, self.tars.number, fetched, digest.hexdigest())

    def _large(self, listed: Listed, member: str) -> Copied | None:
        """Copy an object in ranges, and once more from the beginning where it has changed meanwhile."""
        for _ in range(2):
            try:
                first = self._range(listed, (0, _RANGE - 1), None)
            except s3.Failure as error:
                if s3.error_code(error) in _OTHER_NOW:  # it is empty by now
                    return self._small(listed, member, self._whole(listed))
                self._lost(listed, error)
                return None
            hash_ = self._ranges(listed, member, first)
            if hash_ is not None:
                return Copied(listed, member, self.tars.part, self.tars.number, first, hash_)
        self.unsteady.append(listed.key)
        return None

    def _ranges(self, listed: Listed, member: str, first: Fetched) -> str | None:
        """Write an object whose first range is there; zeros, and None, where another was put in its place meanwhile."""
        tar = self.tars.member()
        tar.head(_info(listed, member, first))
        digest, spans = content_hash(), _spans(first.size)
        flying = deque([self._send(listed, first, span) for span in spans[:_RANGES]])
        left, piece = deque(spans[_RANGES:]), first.body
        missing = first.size
        while piece:
            tar.data(piece)
            digest.update(piece)
            missing -= len(piece)
            self.sink.progress(self.done + first.size - missing)
            piece = self._land(flying.popleft()) if flying else None
            if left:
                flying.append(self._send(listed, first, left.popleft()))
        for future in flying:
            future.cancel()
        tar.zeros(missing)
        tar.pad()
        if missing:
            return None
        self.done += first.size
        return digest.hexdigest()

    def _send(self, listed: Listed, first: Fetched, span: tuple[int, int]) -> Future[Fetched]:
        return self.pool.submit(self._range, listed, span, first.tag)

    def _land(self, future: Future[Fetched]) -> bytes | None:
        try:
            return future.result().body
        except s3.Failure as error:
            if s3.error_code(error) in (*_OTHER_NOW, *_GONE):
                return None
            raise

    def _range(self, listed: Listed, span: tuple[int, int], tag: str | None) -> Fetched:
        """Read a range; one of another object than the tag's is no bytes."""
        fetched = patiently(
            lambda: self.objects.get(listed.key, version=listed.version or None, span=span, tag=tag), _READ
        )
        same = tag is None or fetched.tag == tag
        wanted = min(span[1] + 1, fetched.size) - span[0]
        if same and len(fetched.body or b"") != wanted:
            raise PermanentError("the store gave another range than was asked for", operation=_READ)
        return fetched if same else Fetched(None, 0, fetched.tag, fetched.at, {}, {}, 0)

    def _lost(self, listed: Listed, error: Exception) -> None:
        """Count what cannot be had; what concerns all objects is raised."""
        if s3.error_code(error) in _GONE:
            self.gone += 1
            return
        ours = s3.translated(error, _READ)
        if s3.error_code(error) not in ("AccessDenied", "403", "InvalidObjectState"):
            raise ours from None
        self.refused[listed.key] = ours.message if isinstance(ours, Denied) else s3.error_code(error)


def _spans(size: int) -> list[tuple[int, int]]:
    """Return the ranges after the first one."""
    return [(start, min(start + _RANGE, size) - 1) for start in range(_RANGE, size, _RANGE)]


def _info(listed: Listed, member: str, fetched: Fetched) -> tarfile.TarInfo:
    info = tarfile.TarInfo(member)
    info.size, info.mtime, info.mode = fetched.size, int(listed.at.timestamp()), 0o644
    told = {"headers": dict(fetched.headers), "metadata": dict(fetched.metadata)}
    if member != listed.key:
        told["key"] = listed.key  # type: ignore[assignment]
    if kept := {name: value for name, value in told.items() if value}:
        info.pax_headers = {XATTR: json.dumps(kept, separators=(",", ":"))}
    return info
