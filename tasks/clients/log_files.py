"""Lines of log files, as they lie and packed, in flat memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from tasks.core.errors import ConfigError, Garbled

LONGEST_LINE = 1 << 18
"""No log writes a longer line; one that is longer is handed over as None."""

_CHUNK = 1 << 20
_PACKED = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a log: plain, gzip, bzip2, xz or zstd, told by how it begins, not by its name.

    Raises:
        ConfigError: There is no such file, it may not be read, or it is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold us up
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="check the path and who may read it"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path} is no file", hint="name files, not folders")
        yield _unpacking(file)


def _unpacking(file: BinaryIO) -> BinaryIO:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)  # type: ignore[return-value]
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file)  # type: ignore[return-value]
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file


def lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines without what ends them; None for one that is too long.

    Raises:
        Garbled: It is packed, and broken or cut off; the lines until there were handed over.
    """
    rest, skipping = b"", False
    while chunk := _read(file):
        *whole, rest = (rest + chunk).split(b"\n")
        if skipping and whole:
            skipping = False
            del whole[0]
        for line in whole:
            yield line.rstrip(b"\r") if len(line) <= LONGEST_LINE else None
        if len(rest) > LONGEST_LINE:
            if not skipping:
                yield None
            rest, skipping = b"", True
        elif skipping:
            rest = b""
    if rest and not skipping:
        yield rest.rstrip(b"\r")


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(_CHUNK)
    except _PACKED as error:
        raise Garbled(f"it is packed, and broken or cut off: {error}") from None
    except OSError as error:
        raise Garbled(f"it cannot be read to its end: {error.strerror or error}") from None
