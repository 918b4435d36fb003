"""Where the data of each table lie in a dump of pg_dump's custom format, told while the dump is still coming.

Behind the table of contents, in the order in which they were dumped, come blocks: a byte that tells the sort, the id
of the entry, then lengths and bytes until a length of 0. Integers have a byte for the sign and four for the value,
little end first (`pg_backup_custom.c`, `pg_backup_archiver.c`). Large objects are told apart and not looked into.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

_BLOCK = Struct("<BxI")
_LENGTH = Struct("<xI")
_DATA = 1
_MAGIC, _SIZES = b"PGDMP", slice(8, 10)
_FOUR_AND_EIGHT = b"\x04\x08"


@dataclass(frozen=True)
class Block:
    """The data of one table.

    Attributes:
        id: Of its entry in the table of contents.
        start: Its first byte.
        end: The byte behind its last one.
    """

    id: int
    start: int
    end: int


def is_known(head: bytes) -> bool:
    """Tell whether a dump begins as one whose blocks can be found."""
    return head.startswith(_MAGIC) and head[_SIZES] == _FOUR_AND_EIGHT


@dataclass
class Blocks:
    """Finds the blocks of a dump as it comes.

    Attributes:
        at: The byte where the next length, or the next block, begins.
        begun: The id and the first byte of the block that is coming, if any.
        ended: Those that are whole, in their order.
        is_lost: Whether something else came than tables' data: what follows cannot be told.
    """

    at: int
    begun: tuple[int, int] | None = None
    ended: list[Block] = field(default_factory=list)
    is_lost: bool = False
    _held: bytes = b""

    def take(self, data: bytes, start: int) -> None:
        """Look through bytes of the dump that follow those of the call before.

        Args:
            data: The bytes.
            start: Which byte of the dump the first of them is.
        """
        if self.is_lost:
            return
        held, start = self._held + data, start - len(self._held)
        place, size, unpack = self.at - start, len(held), _LENGTH.unpack_from
        while place + _BLOCK.size <= size:
            if self.begun is None:
                kind, ident = _BLOCK.unpack_from(held, place)
                if kind != _DATA:
                    self.is_lost = True
                    return
                self.begun = (ident, start + place)
                place += _BLOCK.size
                continue
            (length,) = unpack(held, place)
            place += _LENGTH.size + length
            if not length:
                self.ended.append(Block(*self.begun, start + place))
                self.begun = None
        if place + _LENGTH.size == size and self.begun is not None and not unpack(held, place)[0]:
            place += _LENGTH.size
            self.ended.append(Block(*self.begun, start + place))
            self.begun = None
        self.at = start + place
        self._held = held[place:] if place < size else b""
