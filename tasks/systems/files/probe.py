"""Measures folders and files of this machine. It reads their status alone, never what they hold.

It needs the right to list the folders; `unreadable` counts what a backup by the same user would lack.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from tasks.clients.threads import in_thread
from tasks.core.errors import PermanentError
from tasks.core.results import Gap, Outcome, Reading
from tasks.core.system import Access
from tasks.core.units import format_bytes
from tasks.systems.files.spec import CATALOG, Spec
from tasks.systems.files.walking import Found, Walk

_SHARE = 0.7  # of the system's time
_NAMED = 3
_LOOKS = 500  # between two looks at the clock


@dataclass
class _Seen:
    """What the walk has counted."""

    files: int = 0
    size: int = 0
    newest: tuple[float, str] | None = None
    largest: list[tuple[int, str]] = field(default_factory=list)
    cut: bool = False

    def add(self, found: Found) -> None:
        status = found.status
        self.files += 1
        self.size += status.st_size
        self.newest = max(filter(None, [self.newest, (status.st_mtime, found.path)]))
        self.largest = heapq.nlargest(_NAMED, [*self.largest, (status.st_size, found.path)])


async def probe(spec: Spec, access: Access) -> AsyncIterator[Reading]:
    """Yield what lies below the paths. Source: the file system, through `scandir` and `stat`."""
    walk = Walk(access.resolver.resolve(spec.root), spec.paths, spec.exclude)
    seen = await in_thread(_walk, walk, perf_counter() + spec.timeout.total_seconds() * _SHARE)
    for reading in _readings(spec, access, walk, seen):
        yield reading


def _walk(walk: Walk, until: float) -> _Seen:
    seen = _Seen()
    for number, found in enumerate(walk):
        if stat.S_ISREG(found.status.st_mode):
            seen.add(found)
            if not os.access(found.name, os.R_OK, dir_fd=found.folder, effective_ids=True):
                walk.unreadable[found.path] = "permission denied"
        if number % _LOOKS == 0 and perf_counter() > until:
            seen.cut = True
            break
    return seen


def _readings(spec: Spec, access: Access, walk: Walk, seen: _Seen) -> Iterator[Reading]:
    now = access.now()
    note = f"at least: the walk was cut after {seen.files:,} files" if seen.cut else ""
    yield CATALOG.read("missing", len(walk.missing), at=now, note=_names(walk.missing))
    yield CATALOG.read("files", seen.files, at=now, note=note)
    yield CATALOG.read("size", seen.size, at=now, note=note)
    yield CATALOG.read("unreadable", len(walk.unreadable), at=now, note=_names(walk.unreadable))
    if seen.largest:
        named = ", ".join(f"{_shown(path)} {format_bytes(size)}" for size, path in seen.largest)
        yield CATALOG.read("largest_file", seen.largest[0][0], at=now, note=named)
    if seen.newest is not None:
        age = max(0.0, now.timestamp() - seen.newest[0])
        yield CATALOG.read("newest_file", age, at=now, note=_shown(seen.newest[1]))
    elif "newest_file" in spec.limits:
        yield Gap.of(PermanentError("there is not a single file"), "newest_file")
    if seen.cut:
        yield Gap(
            outcome=Outcome.NOT_CHECKED,
            name="files",
            subject=f"beyond the first {seen.files:,}",
            reason="the walk was cut to end in time",
            hint="raise timeout, name fewer paths, or exclude what does not matter",
        )


def _names(paths: list[str] | dict[str, str]) -> str:
    return ", ".join(_shown(path) for path in list(paths)[:_NAMED])


def _shown(path: str) -> str:
    """Write a path for a person, whatever bytes its name has."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
