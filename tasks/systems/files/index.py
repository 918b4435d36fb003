"""What an archive holds, as lines of JSON beside it: what a copy is compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import ValidationError

from tasks.core.errors import Garbled
from tasks.core.model import Model

ARCHIVE, INDEX = "files.tar", "index.jsonl"


class Entry(Model):
    """One thing in an archive. Names may hold any bytes: those that are no UTF-8 are lone surrogates."""

    path: str
    type: Literal["file", "folder", "link", "hard link"]
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    hash: str = ""
    target: str = ""
    note: str = ""

    def line(self) -> bytes:
        """Return it as a line."""
        fields = {name: value for name, value in self.model_dump().items() if value not in ("", 0)}
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def content_hash() -> hashlib.blake2b:
    """Begin the hash of a file's bytes; its `hexdigest` is what an entry holds."""
    return hashlib.blake2b(digest_size=32)


def entries(source: Iterable[bytes]) -> Iterator[Entry]:
    """Read an index.

    Raises:
        Garbled: A line is damaged.
    """
    for number, line in enumerate(lines(source), 1):
        try:
            yield Entry.model_validate(json.loads(line))
        except (ValueError, ValidationError, RecursionError):
            raise Garbled(f"line {number} is no entry", operation=f"read {INDEX}") from None


def lines(source: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into lines."""
    rest = b""
    for data in source:
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
    if rest:
        yield rest
