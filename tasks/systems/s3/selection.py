"""Which members of which tars make up what is asked of a backup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tasks.core.restore import Source
from tasks.systems.s3.index import INDEX, Entry, entries


@dataclass
class Selection:
    """The objects of a backup, or some of them, as they were at its moment or before.

    Attributes:
        objects: How many they are.
        size: Their bytes.
        newest: When the newest was written.
        members: The numbers of the members by backup (empty for this one) and tar, as bits.
    """

    objects: int = 0
    size: int = 0
    newest: datetime | None = None
    members: dict[tuple[str, int], bytearray] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Take an object in."""
        self.objects += 1
        self.size += entry.size
        self.newest = max(filter(None, [self.newest, entry.at]))
        bits = self.members.setdefault((entry.backup, entry.part), bytearray())
        place, bit = divmod(entry.number, 8)
        if place >= len(bits):
            bits.extend(bytes(place + 1 - len(bits)))
        bits[place] |= 1 << bit

    def has(self, backup: str, part: int, number: int) -> bool:
        """Tell whether a member is wanted."""
        bits, (place, bit) = self.members.get((backup, part), b""), divmod(number, 8)
        return place < len(bits) and bool(bits[place] >> bit & 1)

    def count(self, backup: str, part: int) -> int:
        """Return how many members of a tar are wanted."""
        return int.from_bytes(self.members[backup, part], "little").bit_count()


def select(source: Source, only: Sequence[str] = (), until: datetime | None = None) -> Selection:
    """Choose from a backup.

    Args:
        source: The backup.
        only: What keys begin with; all where there is nothing.
        until: The moment to show, where the backup holds versions.

    Raises:
        Garbled: The index is damaged.
    """
    chosen = Selection()
    for entry in shown(source, only, until):
        chosen.add(entry)
    return chosen


def shown(source: Source, only: Sequence[str] = (), until: datetime | None = None) -> Iterator[Entry]:
    """Yield the entries of what a backup shows. See `select`."""
    wanted = (entry for entry in entries(source.read(INDEX)) if not only or entry.key.startswith(tuple(only)))
    if until is None:
        yield from (entry for entry in wanted if entry.latest and not entry.is_marker)
        return
    newest: dict[str, Entry] = {}
    for entry in wanted:
        # A listing gives the newest of a key first, so of two in one second the first one holds.
        if entry.at <= until and (entry.key not in newest or newest[entry.key].at < entry.at):
            newest[entry.key] = entry
    yield from (entry for entry in newest.values() if not entry.is_marker)


def holder(source: Source, backup: str) -> Source:
    """Return the backup that holds something: an earlier one by its id, or this one."""
    return source.parent(backup) if backup else source
