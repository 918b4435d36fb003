"""What a listing of a bucket brings together, and what a copy of it lacks. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

_LARGEST = 3
_SIMPLE_TAG = 32  # hexadecimal digits of an MD5; a multipart upload's tag depends on the size of its parts


@dataclass(frozen=True)
class Entry:
    """One object as a listing shows it."""

    key: str
    size: int
    tag: str
    at: datetime


@dataclass
class Listing:
    """What a listing has seen so far; folder markers (empty objects whose keys end in a slash) do not count.

    Attributes:
        keep: Whether every entry is kept, for a comparison.
        cut: Whether there was more than was listed.
    """

    keep: bool = False
    objects: int = 0
    size: int = 0
    oldest: tuple[datetime, str] | None = None
    newest: tuple[datetime, str] | None = None
    largest: list[tuple[int, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    cut: bool = False

    def add(self, page: list[dict[str, Any]]) -> None:
        """Take in a page of ListObjectsV2."""
        real = [entry for entry in page if entry["Size"] or not entry["Key"].endswith("/")]
        if not real:
            return
        self.objects += len(real)
        self.size += sum(entry["Size"] for entry in real)
        times = [(entry["LastModified"], entry["Key"]) for entry in real]
        self.oldest = min([*times, *filter(None, [self.oldest])])
        self.newest = max([*times, *filter(None, [self.newest])])
        self.largest = heapq.nlargest(_LARGEST, [*self.largest, *((entry["Size"], entry["Key"]) for entry in real)])
        if self.keep:
            self.entries += [
                Entry(entry["Key"], entry["Size"], entry.get("ETag", "").strip('"'), entry["LastModified"])
                for entry in real
            ]


def not_copied(
    source: Iterable[Entry], replica: Listing, prefixes: tuple[str, str], compare: Literal["etag", "size"]
) -> tuple[list[Entry], int]:
    """Return what the copy lacks or has otherwise, oldest first, and how many objects could be compared.

    A listing goes by the keys' order, so of a copy whose listing was cut nothing is known behind its last key.

    Args:
        source: The objects that should be copied.
        replica: The copy's listing.
        prefixes: What keys begin with in the source, and what they begin with instead in the copy.
        compare: By tag and size, or by size alone.
    """
    copies = {entry.key: entry for entry in replica.entries}
    last = max(copies, key=_order, default="") if replica.cut else None
    missing, compared = [], 0
    for entry in source:
        key = prefixes[1] + entry.key.removeprefix(prefixes[0])
        if last is not None and _order(key) > _order(last):
            continue
        compared += 1
        if (copy := copies.get(key)) is None or not _same(entry, copy, compare):
            missing.append(entry)
    return sorted(missing, key=lambda entry: (entry.at, entry.key)), compared


def _order(key: str) -> bytes:
    return key.encode()


def _same(entry: Entry, copy: Entry, compare: Literal["etag", "size"]) -> bool:
    if entry.size != copy.size:
        return False
    comparable = compare == "etag" and len(entry.tag) == len(copy.tag) == _SIMPLE_TAG
    return not comparable or entry.tag == copy.tag
