"""Logs in files: the end of each, and of those that were rotated away within the time looked back."""

from __future__ import annotations

import glob
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from tasks.clients.sockets import in_words
from tasks.core.results import Gap, Outcome
from tasks.core.units import format_bytes
from tasks.systems.logs.sources import Haul, Taken
from tasks.systems.logs.times import time_of

_CHUNK = 1 << 20
_MOST_UNPACKED = 256 << 20
_MOST_FILES = 200


@dataclass(frozen=True)
class Window:
    """Which lines are wanted.

    Attributes:
        start: Since when.
        now: Until when.
        zone: Of times that name none.
    """

    start: datetime
    now: datetime
    zone: ZoneInfo


def read_files(folder: Path, patterns: tuple[str, ...], window: Window) -> Haul:
    """Read the end of every file; blocks. A file that is missing or refuses is a gap, and the others go on."""
    haul, seen = Haul(), set[tuple[int, int]]()
    for pattern in patterns:
        # Path.glob takes no pattern that is absolute.
        names = sorted(glob.glob(str(folder / pattern)))[:_MOST_FILES]  # noqa: PTH207
        if not names:
            haul.gaps.append(_gap(pattern, "there is no such file"))
        for name in names:
            _read_with_rotated(Path(name), window, haul, seen)
    return haul


def _gap(name: str, reason: str) -> Gap:
    hint = "Check the path, and that Watchkeeper's user may read it."
    return Gap(outcome=Outcome.ERRORED, name="bytes_read", subject=name, reason=reason, hint=hint)


def _read_with_rotated(path: Path, window: Window, haul: Haul, seen: set[tuple[int, int]]) -> None:
    """Read a file, and go on with what was rotated away as long as the window may begin before it."""
    for number, one in enumerate([path, *_rotated(path, window.start)]):
        try:
            taken, reaches_back = _read(one, window, haul.room, seen)
        except FileNotFoundError:
            if number == 0:  # one that was rotated may be removed at any time
                haul.gaps.append(_gap(str(one), "it is gone"))
            continue
        except (OSError, EOFError, zlib.error) as error:
            haul.gaps.append(_gap(str(one), in_words(error) if isinstance(error, OSError) else "its gzip is broken"))
            continue
        if taken is not None:
            haul.taken.append(taken)
        if reaches_back:
            return


def _rotated(path: Path, start: datetime) -> list[Path]:
    """Return `name.1`, `name.2.gz`, `name-20261121`..., those written last first, that may hold what is wanted."""
    found = []
    for one in path.parent.glob(f"{glob.escape(path.name)}[.-]*"):
        try:
            changed = one.stat().st_mtime
        except FileNotFoundError:
            continue
        if changed >= start.timestamp():
            found.append((changed, one))
    return [one for _, one in sorted(found, reverse=True)][:_MOST_FILES]


def _read(path: Path, window: Window, room: int, seen: set[tuple[int, int]]) -> tuple[Taken | None, bool]:
    """Read one file once, by whatever name; tell also whether it reaches back to the window's beginning."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe among the files must not hold us up
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is no file")
        if (status.st_dev, status.st_ino) in seen:
            return None, False
        seen.add((status.st_dev, status.st_ino))
        text, size = _unpacked(file, room) if path.suffix == ".gz" else _tail(file, status.st_size, room)
    whole = len(text) == size
    if not whole:
        text = text.partition(b"\n")[2]
    kept, timed, reaches_back = _within(text, window, datetime.fromtimestamp(status.st_mtime, window.zone))
    remarks = [] if whole else [f"only the last {format_bytes(len(text))} of {format_bytes(size)} were read"]
    if kept and not timed:
        remarks.append("its lines have no time that is understood, so all were counted")
    cut_short = remarks if (not whole and not reaches_back) or (kept and not timed) else []
    return Taken(str(path), kept, "; ".join(cut_short)), reaches_back or not whole


def _tail(file: BinaryIO, size: int, room: int) -> tuple[bytes, int]:
    file.seek(max(size - room, 0))
    return file.read(room), size


def _unpacked(file: BinaryIO, room: int) -> tuple[bytes, int]:
    """Keep the end of what is unpacked; one that unpacks to more than anyone writes is left where it is."""
    kept, size = bytearray(), 0
    with gzip.GzipFile(fileobj=file) as unpacking:
        while chunk := unpacking.read(_CHUNK):
            size += len(chunk)
            kept += chunk
            del kept[: max(len(kept) - room, 0)]
            if size > _MOST_UNPACKED:
                break
    return bytes(kept), size


def _within(text: bytes, window: Window, changed: datetime) -> tuple[bytes, bool, bool]:
    """Return the lines of the window, whether any line had a time, and whether some were older than the window.

    A line without a time belongs to the one before it. Lines are in the order of time, so that the first one of the
    window is where it begins.
    """
    timed, older = False, False
    for begin, line in _lines(text):
        at = time_of(line, window.zone, window.now)
        if at is None:
            continue
        if at >= window.start:
            return text[begin:] if older else text, True, older
        timed = older = True
    if timed:
        return b"", True, True
    return (text if changed >= window.start else b""), False, changed < window.start


def _lines(text: bytes) -> Iterator[tuple[int, str]]:
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin)
        end = len(text) if end < 0 else end
        yield begin, text[begin : min(end, begin + 256)].decode("utf-8", "replace")
        begin = end + 1
