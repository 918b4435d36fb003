"""Where each table's data lie in a dump is told while it comes, in whatever pieces; what is unknown is left alone."""

import struct

import pytest

from tasks.systems.postgres.archive_blocks import Block, Blocks, is_known


def number(value):
    return b"\0" + struct.pack("<I", value)


def block(ident, *rows):
    return b"\1" + number(ident) + b"".join(number(len(row)) + row for row in rows) + number(0)


HEAD = b"PGDMP\x01\x10\x00\x04\x08\x01" + bytes(30)
FIRST, SECOND, EMPTY = block(7, b"1\ta\n", b"2\tb\n" * 100), block(300, b"\\.\n" + bytes(70)), block(9)
DUMP = HEAD + FIRST + SECOND + EMPTY
EXPECTED = [
    Block(7, len(HEAD), len(HEAD + FIRST)),
    Block(300, len(HEAD + FIRST), len(HEAD + FIRST + SECOND)),
    Block(9, len(HEAD + FIRST + SECOND), len(DUMP)),
]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 64, len(DUMP)])
def test_blocks_are_found_in_pieces_of_any_size(size):
    blocks = Blocks(at=len(HEAD))
    for start in range(len(HEAD), len(DUMP), size):
        blocks.take(DUMP[start : start + size], start)
    assert blocks.ended == EXPECTED
    assert blocks.begun is None
    assert not blocks.is_lost


def test_a_block_that_is_coming_is_told_before_its_end():
    blocks = Blocks(at=len(HEAD))
    blocks.take(FIRST + SECOND[:20], len(HEAD))
    assert blocks.ended == EXPECTED[:1]
    assert blocks.begun == (300, len(HEAD + FIRST))


def test_what_is_no_tables_data_is_left_alone_with_all_that_follows():
    blocks = Blocks(at=0)
    blocks.take(FIRST + b"\3" + number(5) + SECOND, 0)
    blocks.take(FIRST, 10_000)
    assert [one.id for one in blocks.ended] == [7]
    assert blocks.is_lost


def test_an_archive_of_other_sizes_is_not_looked_into():
    assert is_known(HEAD)
    assert not is_known(HEAD.replace(b"\x04\x08", b"\x08\x08"))
    assert not is_known(b"-- a plain dump")
