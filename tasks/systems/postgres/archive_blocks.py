"""The rows of each table in a dump of pg_dump's custom format, told while the dump is still coming.

Behind the table of contents, in the order in which they were dumped, come blocks: a byte that tells the sort, the id
of the entry, then lengths and bytes until a length of 0. Integers have a byte for the sign and four for the value,
little end first (`pg_backup_custom.c`, `pg_backup_archiver.c`). Large objects are told apart and not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

_BLOCK = Struct("<BxI")
_LENGTH = Struct("<xI")
_DATA, _UNCOMPRESSED = 1, 0
_MAGIC, _VERSION, _SIZES, _FORMAT, _COMPRESSION = b"PGDMP", slice(5, 7), slice(8, 10), 10, 11
_FOUR_AND_EIGHT, _CUSTOM = b"\x04\x08", 1
_FIRST = (1, 15)
"""The first version of the format that names the compression, of PostgreSQL 16."""
_END_MARK = b"\\.\n\n\n"
"""What pg_dump writes behind the rows of a table; to a server it means that no more rows come."""


class Rows(NamedTuple):
    """Whole rows of one table, as COPY reads them.

    Attributes:
        id: Of its entry in the table of contents.
        data: The rows; nothing where the table has none, or no more.
        is_whole: Whether they are the last.
    """

    id: int
    data: bytes
    is_whole: bool = False


def is_known(head: bytes) -> bool:
    """Tell whether a dump begins as one whose rows can be found: of the custom format, not compressed by itself."""
    return (
        head.startswith(_MAGIC)
        and len(head) > _COMPRESSION
        and tuple(head[_VERSION]) >= _FIRST
        and head[_SIZES] == _FOUR_AND_EIGHT
        and head[_FORMAT] == _CUSTOM
        and head[_COMPRESSION] == _UNCOMPRESSED
    )


def empty_block(ident: int) -> bytes:
    """Return the block of a table without rows, as pg_dump writes it."""
    return _BLOCK.pack(_DATA, ident) + _LENGTH.pack(len(_END_MARK)) + _END_MARK + _LENGTH.pack(0)


class Blocks:
    """Finds the rows of a dump as it comes, from behind its table of contents on. It holds a row until it is whole.

    Attributes:
        rest: What came last of all that is something else than tables' rows, and of what follows; None until it begins.
    """

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self._id: int | None = None
        self._row = b""
        self._held: list[bytes] = []
        self._size, self._wanted = 0, 0

    @property
    def is_between(self) -> bool:
        """Whether no block is begun and not ended: a dump may end here."""
        return self._id is None and not self._size

    def take(self, data: bytes) -> Iterator[Rows]:
        """Look through the bytes that follow those of the call before, and yield the rows that are whole."""
        if self.rest is not None:
            self.rest = data
            return
        self._held.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        data, at = self._held[0] if len(self._held) == 1 else b"".join(self._held), 0
        while at + _BLOCK.size <= len(data) or self._id is not None:
            if self._id is None:
                kind, ident = _BLOCK.unpack_from(data, at)
                if kind != _DATA:
                    self.rest = data[at:]
                    break
                self._id, at = ident, at + _BLOCK.size
            pieces, at, is_whole = self._rows(data, at)
            rows = b"".join((self._row, *pieces))
            if not is_whole:
                end = rows.rfind(b"\n", 0, max(len(rows) - len(_END_MARK), 0)) + 1
                self._row = rows[end:]
                if end:
                    yield Rows(self._id, rows[:end])
                break
            yield Rows(self._id, rows.removesuffix(_END_MARK), is_whole=True)
            self._id, self._row, self._wanted = None, b"", 0
        self._held, self._size = [data[at:]] if at < len(data) else [], len(data) - at

    def _rows(self, data: bytes, at: int) -> tuple[list[bytes], int, bool]:
        """Return the rows of a block from a place on, where they end, and whether the block ends there."""
        pieces: list[bytes] = []
        size, width, unpack = len(data), _LENGTH.size, _LENGTH.unpack_from
        while (start := at + width) <= size:
            (length,) = unpack(data, at)
            if not length:
                return pieces, start, True
            if start + length > size:
                self._wanted = width + length
                return pieces, at, False
            pieces.append(data[start : start + length])
            at = start + length
        self._wanted = 0
        return pieces, at, False
