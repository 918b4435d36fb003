"""The write-ahead log by its names: segments, histories, what is missing, and how far each copy can be rolled on. Pure.

A segment's name is 24 hexadecimal digits: timeline, and the number of the segment in two halves. A history file tells
from which timeline another one branched off, and where.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tasks.core.backup import Taken
from tasks.core.errors import ConfigError, Garbled

SEGMENT_BYTES = 16 * 1024 * 1024

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_ARCHIVED = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_SWITCH = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]+/[0-9A-Fa-f]+)")
_MOST_NAMED = 5


class Segment(NamedTuple):
    """A segment of the log: its timeline, and its number since the beginning of all."""

    timeline: int
    number: int


class Switch(NamedTuple):
    """Where a timeline branched off from another."""

    parent: int
    lsn: int


@dataclass(frozen=True)
class Base:
    """A copy of the files: where on which timeline it begins, and where it becomes consistent."""

    id: str
    timeline: int
    start: int
    end: int
    at: datetime


@dataclass(frozen=True)
class Reach:
    """How far one copy can be rolled on along one timeline.

    Attributes:
        base: Id of the copy.
        timeline: On which it ends.
        until: The LSN at which the archived log without any gap ends; below the copy's own end where it is of no use.
        last: The last segment before the first gap; None where not even the first is there.
        missing: Segments that are not there although later ones are, or that the copy itself needs.
        until_time: When `last` was archived, where that is known: no later transaction is in it.
        consistent: Whether the copy can be used at all.
    """

    base: str
    timeline: int
    until: int
    last: str | None
    missing: tuple[str, ...]
    until_time: datetime | None
    consistent: bool


def parse_lsn(text: str) -> int:
    """Return a place in the log as a number of bytes.

    Raises:
        ConfigError: The text is no LSN such as `16/B374D848`.
    """
    found = _LSN.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text[:40]!r} is no LSN", hint="write it as PostgreSQL does: 16/B374D848")
    return (int(found[1], 16) << 32) | int(found[2], 16)


def format_lsn(lsn: int) -> str:
    """Write a place in the log as PostgreSQL does."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def is_archived_name(name: str) -> bool:
    """Tell whether PostgreSQL archives a file of that name: a segment, also a partial one, a label, a history."""
    return _ARCHIVED.fullmatch(name) is not None


def parse_segment(name: str, segment_bytes: int = SEGMENT_BYTES) -> Segment | None:
    """Return which segment a name is of, or None where it is of none."""
    if _SEGMENT.fullmatch(name) is None:
        return None
    timeline, high, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    return Segment(timeline, high * (0x1_0000_0000 // segment_bytes) + low)


def segment_name(segment: Segment, segment_bytes: int = SEGMENT_BYTES) -> str:
    """Return the name of a segment."""
    high, low = divmod(segment.number, 0x1_0000_0000 // segment_bytes)
    return f"{segment.timeline:08X}{high:08X}{low:08X}"


def segment_of(timeline: int, lsn: int, segment_bytes: int = SEGMENT_BYTES) -> Segment:
    """Return the segment in which a place of the log is."""
    return Segment(timeline, lsn // segment_bytes)


def parse_history(text: str) -> tuple[Switch, ...]:
    """Read a history file: the timelines that this one comes from, oldest first.

    Raises:
        Garbled: It is none.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _SWITCH.match(line)
        if match is None:
            raise Garbled("a timeline's history cannot be read", operation="read the write-ahead log")
        found.append(Switch(int(match[1]), parse_lsn(match[2])))
    return tuple(found)


def history_names(names: Collection[str]) -> dict[int, str]:
    """Return the history files among the archived names, by timeline."""
    return {int(match[1], 16): name for name in names if (match := _HISTORY.fullmatch(name))}


def base_of(identifier: str, taken: Taken) -> Base:
    """Return where a physical copy lies in the log.

    Raises:
        Garbled: What is known of it does not say so.
    """
    try:
        return Base(
            identifier,
            int(taken.position["timeline"]),
            parse_lsn(taken.position["start_lsn"]),
            parse_lsn(taken.position["lsn"]),
            taken.consistent_as_of,
        )
    except (KeyError, ValueError):
        raise Garbled(f"{identifier} does not say where in the log it lies", operation="read the manifest") from None


def reaches(
    names: Collection[str],
    bases: Sequence[Base],
    *,
    histories: Mapping[int, Sequence[Switch]] | None = None,
    archived_at: Mapping[str, datetime] | None = None,
    segment_bytes: int = SEGMENT_BYTES,
) -> tuple[Reach, ...]:
    """Tell how far each copy can be rolled on, along each timeline on which there is log that comes after it.

    Args:
        names: All that is archived.
        bases: Physical copies.
        histories: Of each timeline, the timelines that it comes from; without, a timeline comes from none.
        archived_at: When a name was archived, where that is known.
        segment_bytes: `wal_segment_size` of the server.
    """
    segments = {segment for name in names if (segment := parse_segment(name, segment_bytes)) is not None}
    newest: dict[int, int] = {}
    for segment in segments:
        newest[segment.timeline] = max(newest.get(segment.timeline, 0), segment.number)
    found = []
    for base in bases:
        for timeline in sorted({base.timeline, *newest}):
            switches = (histories or {}).get(timeline, ())
            if timeline == base.timeline or _comes_after(base, switches):
                way = _Way(base, timeline, switches, segment_bytes)
                found.append(_reach(way, segments, newest.get(timeline, 0), archived_at or {}))
    return tuple(found)


def gap_text(missing: Sequence[str]) -> str:
    """Name missing segments for a person: the first few, and how many more."""
    named = ", ".join(missing[:_MOST_NAMED])
    return named if len(missing) <= _MOST_NAMED else f"{named} and {len(missing) - _MOST_NAMED} more"


@dataclass(frozen=True)
class _Way:
    """The way from a copy to the end of a timeline."""

    base: Base
    timeline: int
    switches: Sequence[Switch]
    segment_bytes: int

    def segments(self, newest: int) -> Iterator[Segment]:
        """Yield the segments on the way up to a number, and at least those that the copy itself needs."""
        first = self.base.start // self.segment_bytes
        last = max(newest, (self.base.end - 1) // self.segment_bytes)
        legs = [switch for switch in self.switches if switch.lsn > self.base.start]
        for number in range(first, last + 1):
            parent = next((leg.parent for leg in legs if number < leg.lsn // self.segment_bytes), self.timeline)
            yield Segment(parent, number)


def _comes_after(base: Base, switches: Sequence[Switch]) -> bool:
    """Tell whether a timeline branched off from the copy's own, behind the copy's end."""
    return any(switch.parent == base.timeline and switch.lsn >= base.end for switch in switches)


def _reach(way: _Way, there: Collection[Segment], newest: int, archived_at: Mapping[str, datetime]) -> Reach:
    size, base = way.segment_bytes, way.base
    until, last = base.start // size * size, None
    missing = []
    for segment in way.segments(newest):
        if segment not in there:
            missing.append(segment_name(segment, size))
        elif not missing:
            until, last = (segment.number + 1) * size, segment_name(segment, size)
    return Reach(
        base=base.id,
        timeline=way.timeline,
        until=until,
        last=last,
        missing=tuple(missing),
        until_time=archived_at.get(last) if last is not None else None,
        consistent=until >= base.end,
    )
