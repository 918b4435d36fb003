"""Tar archives as streams: written to a part of a backup, and read back from one; memory is flat at any size. Pure.

The format is POSIX.1-2001 (`pax`), which every `tar` reads.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from tasks.core.backup import PartWriter
from tasks.core.errors import Garbled

BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * BLOCK)
_READ = 1 << 18
_BROKEN = (tarfile.TarError, ValueError, OverflowError, EOFError)


class TarWriter:
    """Writes members one after the other; `end()` makes it an archive.

    Attributes:
        size: Bytes that are written so far.
    """

    def __init__(self, writer: PartWriter) -> None:
        self._writer = writer
        self.size = 0

    def head(self, info: tarfile.TarInfo) -> None:
        """Begin a member; its `info.size` bytes follow through `data`, then `pad`."""
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def data(self, data: bytes) -> None:
        """Write bytes of the member that was begun."""
        self._write(data)

    def zeros(self, size: int) -> None:
        """Write so many zero bytes in the place of data that cannot be had."""
        while size > 0:
            self._write(bytes(min(size, _READ)))
            size -= _READ

    def pad(self) -> None:
        """End the member."""
        self._write(bytes(-self.size % BLOCK))

    def whole(self, info: tarfile.TarInfo, data: bytes) -> None:
        """Write a member that is held in memory."""
        info.size = len(data)
        head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        self._write(b"".join((head, data, bytes(-len(data) % BLOCK))))

    def end(self) -> None:
        """Write the archive's end."""
        self._write(_END)

    def _write(self, data: bytes) -> None:
        if data:
            self._writer.write(data)
            self.size += len(data)


@dataclass(frozen=True)
class Member:
    """One member of an archive that is read; its data can be read until the next one is asked for."""

    info: tarfile.TarInfo
    number: int
    _file: IO[bytes] | None = field(repr=False, default=None)

    def read(self, size: int = -1) -> bytes:
        """Return some bytes of it, or none at its end.

        Raises:
            Garbled: The archive ends before its time.
        """
        if self._file is None:
            return b""
        try:
            return self._file.read(size)
        except _BROKEN as error:
            raise _garbled(error) from None

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes."""
        while data := self.read(_READ):
            yield data


def members(source: Iterable[bytes]) -> Iterator[Member]:
    """Yield the members of an archive; the source is read to its end, so that it can say whether it is whole.

    Raises:
        Garbled: It is no archive, is damaged, or has no end.
    """
    reader = _Reader(source)
    number = 0
    try:
        with tarfile.open(fileobj=reader, mode="r|", bufsize=_READ, errors="surrogateescape") as tar:  # type: ignore[call-overload]
            while (info := tar.next()) is not None:
                yield Member(info, number, tar.extractfile(info) if info.isreg() else None)
                number += 1
                tar.members.clear()
            end = tar.offset
    except _BROKEN as error:
        raise _garbled(error) from None
    while reader.read(_READ):
        continue
    if reader.data > end or reader.size < end + len(_END):
        raise Garbled("the archive has no end, or something stands behind it", operation="read a tar")


def _garbled(error: Exception) -> Garbled:
    return Garbled(f"the archive is damaged: {error}", operation="read a tar")


class _Reader:
    """An iterator of bytes as a file; it counts them, and knows where the last one is that is not zero."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source, self._left = iter(source), memoryview(b"")
        self.size = self.data = 0

    def read(self, size: int, /) -> bytes:
        pieces = []
        while size and (self._left or self._more()):
            taken = self._left[:size]
            self._left = self._left[len(taken) :]
            size -= len(taken)
            pieces.append(taken)
        return b"".join(pieces)

    def _more(self) -> bool:
        data = next(filter(None, self._source), b"")
        self._left = memoryview(data)
        if kept := len(data.rstrip(b"\0")):
            self.data = self.size + kept
        self.size += len(data)
        return bool(data)
