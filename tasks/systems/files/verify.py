"""Holds an archive of files against its index, and a restored copy against both and against the spec."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.core.errors import Garbled
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.core.tars import Member, members
from tasks.core.units import format_duration
from tasks.systems.files.index import ARCHIVE, INDEX, Entry, content_hash, entries
from tasks.systems.files.restore import chosen
from tasks.systems.files.spec import CountCheck, NewestCheck, Spec
from tasks.systems.files.walking import pattern

_READ = 1 << 18
_NAMED = 3
_NANO = 1_000_000_000


def parse(source: Source) -> Iterator[Assertion]:
    """Walk the archive along with its index: each has what the other has, and every hash is right. Level 2."""
    wrong = _Wrong("the archive holds what its index says", 2)
    told = entries(source.read(INDEX))
    count = 0
    try:
        for member in members(source.read(ARCHIVE)):
            count += 1
            wrong.add(member.info.name, _differs(member, next(told, None)))
        for left in told:
            wrong.add(left.path, "it is in the index alone")
    except Garbled as error:
        yield Assertion(name=wrong.name, level=2, outcome=Outcome.FAILED, note=error.message)
        return
    yield wrong.told(count)
    yield _counted(source.manifest.counts, wrong.counts, 2)


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold every file, folder and link of a restored copy against the index, and it against the spec. Level 3."""
    wrong = _Wrong("every file, folder and link is there as it was", 3)
    checks = [_Check(check) for check in (spec.backup.verify if spec.backup else ())]
    place, count = Path(restored.address), 0
    for entry in entries(source.read(INDEX)):
        count += 1
        wrong.add(entry.path, _lacks(place, entry))
        for check in checks:
            check.take(place, entry)
    yield wrong.told(count)
    for check in checks:
        yield check.told(source)


def spoil(spec: Spec, restored: Restored) -> str:  # noqa: ARG001 - it needs no more than the copy
    """Cut the last byte of a file that has some, as a restore that ran out of room would leave it."""
    for folder, _, names in os.walk(restored.address):
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and (size := path.stat().st_size):
                os.truncate(path, size - 1)
                return f"cut the last byte of {str(path.relative_to(restored.address))!a}"
    return ""


def paths(source: Source, only: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the path of every file that a backup holds: what rows in a database may name."""
    for entry in entries(source.read(INDEX)):
        if entry.type in ("file", "hard link") and chosen(entry.path, only):
            yield entry.path


def _counted(expected: dict[str, int], observed: dict[str, int], level: int) -> Assertion:
    return Assertion(
        name="the archive's counts are those of the manifest",
        level=level,
        outcome=Outcome.PASSED if expected == observed else Outcome.FAILED,
        expected=_shown(expected),
        observed=_shown(observed),
    )


def _shown(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


@dataclass
class _Wrong:
    """What was found wrong, the first ones by name."""

    name: str
    level: int
    found: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("files", "folders", "links", "bytes"), 0))

    def add(self, path: str, difference: str | Entry) -> None:
        """Take in what is wrong with a path, or the entry that it agrees with."""
        if isinstance(difference, str):
            self.found.append(f"{path!a}: {difference}")
            return
        kind = {"file": "files", "folder": "folders"}.get(difference.type, "links")
        self.counts[kind] += 1
        self.counts["bytes"] += difference.size

    def told(self, count: int) -> Assertion:
        """Return it as one assertion."""
        more = f" and {len(self.found) - _NAMED} more" if len(self.found) > _NAMED else ""
        return Assertion(
            name=self.name,
            level=self.level,
            outcome=Outcome.FAILED if self.found else Outcome.PASSED,
            expected=f"{count} as in the index",
            observed=f"{count - len(self.found)} of them" if self.found else f"all {count}",
            note="; ".join(self.found[:_NAMED]) + more,
        )


def _differs(member: Member, entry: Entry | None) -> str | Entry:
    info = member.info
    if entry is None or entry.path != info.name:
        return "the index has something else in its place"
    kind = "folder" if info.isdir() else "link" if info.issym() else "hard link" if info.islnk() else "file"
    if (kind, info.linkname) != (entry.type, entry.target):
        return f"it is a {kind}, and a {entry.type} in the index"
    if kind == "file":
        digest = content_hash()
        for data in member.chunks():
            digest.update(data)
        if (info.size, digest.hexdigest()) != (entry.size, entry.hash):
            return "its content is another"
    return entry


def _lacks(place: Path, entry: Entry) -> str | Entry:
    """Return what a copy has otherwise than an entry, or the entry."""
    path = place / entry.path
    try:
        status = path.lstat()
        if entry.type == "link":
            right = stat.S_ISLNK(status.st_mode) and os.readlink(path) == entry.target  # noqa: PTH115 - bytes as they are
            return entry if right else "it is not the link that it was"
        if entry.type == "folder":
            return entry if stat.S_ISDIR(status.st_mode) else "it is no folder"
        if not stat.S_ISREG(status.st_mode):
            return "it is no file"
        if entry.type == "hard link":
            return entry if path.samefile(place / entry.target) else "it is another file than it was linked to"
        return _content(path, status, entry)
    except OSError as error:
        return str(error.strerror)


def _content(path: Path, status: os.stat_result, entry: Entry) -> str | Entry:
    if status.st_size != entry.size:
        return f"it has {status.st_size} bytes instead of {entry.size}"
    digest = content_hash()
    with path.open("rb") as file:
        while data := file.read(_READ):
            digest.update(data)
    if digest.hexdigest() != entry.hash:
        return "its content is another"
    if (status.st_mode & 0o777) != (entry.mode & 0o777):
        return f"its mode is {status.st_mode & 0o777:o} instead of {entry.mode & 0o777:o}"
    return entry


class _Check:
    """One check of the spec, as the copy is gone through."""

    def __init__(self, check: CountCheck | NewestCheck) -> None:
        self._check = check
        self._pattern = pattern(check.count if isinstance(check, CountCheck) else check.newest)
        self._count, self._newest = 0, 0

    def take(self, place: Path, entry: Entry) -> None:
        if entry.type not in ("file", "hard link") or not self._pattern.fullmatch(entry.path):
            return
        path = place / entry.path
        if path.is_file():
            self._count += 1
            self._newest = max(self._newest, path.lstat().st_mtime_ns)

    def told(self, source: Source) -> Assertion:
        if isinstance(self._check, CountCheck):
            return Assertion(
                name=f"files {self._check.count}",
                level=3,
                outcome=Outcome.PASSED if self._count >= self._check.at_least else Outcome.FAILED,
                expected=f"at least {self._check.at_least}",
                observed=str(self._count),
            )
        within = self._check.within.total_seconds()
        age = source.manifest.consistent_as_of.timestamp() - self._newest / _NANO
        return Assertion(
            name=f"newest of {self._check.newest}",
            level=3,
            outcome=Outcome.PASSED if self._count and age <= within else Outcome.FAILED,
            expected=f"changed within {format_duration(within)}",
            observed=f"{format_duration(max(age, 0.0))} before the backup" if self._count else "there is no such file",
        )
