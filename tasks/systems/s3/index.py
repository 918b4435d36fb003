"""What a backup of a bucket shows, as lines of JSON: every object, and which member of which tar holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from tasks.core.errors import Garbled
from tasks.core.model import Model
from tasks.systems.s3.fingerprints import lines

INDEX, CURRENT, ODD_LIST = "index.jsonl", "current.list", "odd.list"
_PARTS = "objects"


class Entry(Model):
    """One object, or one of its versions, as it was when the bucket was listed.

    Attributes:
        backup: The earlier backup that holds it; empty for this one.
        part: Number of the tar that holds it; -1 for a delete marker, which nothing holds.
        number: Of the member in that tar.
        member: The member's name.
        hash: BLAKE2b of its bytes, with 32 bytes; where it was copied by this backup.
        headers: How it is to be served, where it was copied by this backup.
        metadata: What its owner wrote about it, where it was copied by this backup.
        version: Its version's id, where versions are copied.
        latest: Whether it is what the key shows.
    """

    key: str
    size: int = 0
    etag: str = ""
    at: AwareDatetime
    backup: str = ""
    part: int = -1
    number: int = 0
    member: str = ""
    hash: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    version: str = ""
    latest: bool = True

    @property
    def is_marker(self) -> bool:
        """Whether it says that the object was deleted then."""
        return self.part < 0

    @property
    def place(self) -> tuple[str, int, int]:
        """Which member it is."""
        return self.backup, self.part, self.number


def part_name(number: int) -> str:
    """Return the name of a tar."""
    return f"{_PARTS}/{number:05}.tar"


def is_part(name: str) -> bool:
    """Tell whether a part is one of the tars."""
    return name.startswith(f"{_PARTS}/")


def written(**fields: Any) -> bytes:
    """Return the line of an entry; what has its default is left out."""
    told = {name: value for name, value in fields.items() if value not in ("", {})}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def content_hash() -> hashlib.blake2b:
    """Begin the hash of an object's bytes; its `hexdigest` is what an entry holds."""
    return hashlib.blake2b(digest_size=32)


def entries(source: Iterable[bytes]) -> Iterator[Entry]:
    """Read an index.

    Raises:
        Garbled: A line is damaged.
    """
    for number, text in enumerate(lines(source), 1):
        try:
            yield Entry.model_validate(json.loads(text))
        except (ValueError, ValidationError, RecursionError):
            raise Garbled(f"line {number} is no entry", operation=f"read {INDEX}") from None
