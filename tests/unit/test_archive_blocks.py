"""The rows of each table in a dump are told while it comes, in whatever pieces; what is unknown is left alone."""

import struct

import pytest

from tasks.systems.postgres.archive_blocks import Blocks, Rows, empty_block, is_known

MARK = b"\\.\n\n\n"


def number(value):
    return b"\0" + struct.pack("<I", value)


def block(ident, *rows):
    return b"\1" + number(ident) + b"".join(number(len(row)) + row for row in rows) + number(0)


HEAD = b"PGDMP\x01\x10\x00\x04\x08\x01\x00" + bytes(30)
SECOND_ROWS = [b"2\tb\n", b"\\\\.\tx\n", bytes(b"%d\t" % 3) + b"y" * 70 + b"\n"] * 40
DUMP = block(7, b"1\ta\n", MARK) + block(300, *SECOND_ROWS, MARK) + block(9, MARK) + block(10)


def taken(data, size):
    """Return the rows of each table, whether each is whole, and what is left."""
    blocks, found, whole = Blocks(), {}, []
    rest = b""
    for at in range(0, len(data), size):
        for rows in blocks.take(data[at : at + size]):
            assert rows.id not in whole
            assert not rows.data or rows.data.endswith(b"\n")
            found[rows.id] = found.get(rows.id, b"") + rows.data
            whole += [rows.id] if rows.is_whole else []
        rest += blocks.rest or b""
    return found, whole, rest, blocks.is_between


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 64, 1000, len(DUMP)])
def test_rows_are_found_in_pieces_of_any_size_and_never_the_mark_that_ends_them(size):
    expected = {7: b"1\ta\n", 300: b"".join(SECOND_ROWS), 9: b"", 10: b""}
    assert taken(DUMP, size) == (expected, [7, 300, 9, 10], b"", True)


def test_rows_are_told_before_their_table_ends_and_none_before_it_is_whole():
    data = block(300, b"1\ta\n", b"2\tbb\n", b"3\tcccccc\n", b"4\n", MARK)
    found, whole, _, is_between = taken(data[: data.index(b"4")], 3)
    assert found == {300: b"1\ta\n2\tbb\n"}
    assert (whole, is_between) == ([], False)


def test_a_row_may_come_in_pieces_as_another_pg_dump_may_write_them():
    pieces = [b"1\ta", b"b\n2\tc", b"\n\\", b".\n\n", b"\n"]
    for size in (1, 4, 100):
        assert taken(block(5, *pieces), size)[:2] == ({5: b"1\tab\n2\tc\n"}, [5])


def test_a_row_of_many_pieces_is_looked_at_once_it_is_there(monkeypatch):
    looks = []
    real = Blocks._rows
    monkeypatch.setattr(Blocks, "_rows", lambda self, data, at: looks.append(len(data)) or real(self, data, at))
    row = b"x" * 100_000 + b"\n"
    assert taken(block(5, row, MARK), 100)[0] == {5: row}
    assert len(looks) < 10


@pytest.mark.parametrize("size", [1, 9, 5000])
def test_what_is_no_tables_rows_is_left_alone_with_all_that_follows(size):
    large_objects = b"\3" + number(5) + bytes(60)
    found, whole, rest, _ = taken(DUMP + large_objects + DUMP, size)
    assert found[300] == b"".join(SECOND_ROWS)
    assert whole == [7, 300, 9, 10]
    assert rest == large_objects + DUMP


def test_a_table_without_rows_is_written_as_it_is_read():
    assert list(Blocks().take(empty_block(17))) == [Rows(17, b"", is_whole=True)]


def test_an_archive_of_another_sort_is_not_looked_into():
    assert is_known(HEAD)
    assert not is_known(HEAD.replace(b"\x04\x08", b"\x08\x08"))
    assert not is_known(HEAD.replace(b"PGDMP\x01\x10", b"PGDMP\x01\x0e"))
    assert not is_known(HEAD[:11] + b"\1" + HEAD[12:])
    assert not is_known(HEAD[:11])
    assert not is_known(b"-- a plain dump")
