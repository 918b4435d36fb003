"""One suite over every store, for blobs of any size; S3 is a real SeaweedFS."""

import hashlib
import itertools

import pytest

from tasks.core.errors import PermanentError
from tests.unit.test_blobs import store

__all__ = ["store"]
MEBI = 1 << 20


def pieces(number, size=MEBI):
    return (bytes([place % 251]) * size for place in range(number))


def write(store, key, source):
    with store.writing(key) as writer:
        for piece in source:
            writer.write(piece)


def test_a_stream_is_read_as_it_was_written(store):
    expected = hashlib.sha256()
    with store.writing("deep/er/blob") as writer:
        for piece in pieces(19):
            expected.update(piece)
            writer.write(piece)
    found = hashlib.sha256()
    for data in store.reading("deep/er/blob"):
        found.update(data)
    assert found.hexdigest() == expected.hexdigest()
    assert store.sizes("deep/") == {"deep/er/blob": 19 * MEBI}
    assert store.unfinished() == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_small_stream_is_a_blob_like_any_other(store, number):
    with store.writing("small") as writer:
        for piece in pieces(number, 5):
            writer.write(piece)
    assert store.get("small") == b"\0" * 5 * number
    assert b"".join(store.reading("small")) == b"\0" * 5 * number


@pytest.mark.parametrize("number", [1, 19])
def test_where_the_source_fails_nothing_remains(store, number):
    with pytest.raises(ZeroDivisionError):
        write(store, "a/broken", (piece if piece is not None else 1 // 0 for piece in (*pieces(number), None)))
    assert store.list() == []
    assert store.unfinished() == []


def test_until_the_block_ends_there_is_nothing_and_what_was_there_stays(store):
    store.put("a", b"old")
    with store.writing("a") as writer:
        writer.write(b"new")
        assert store.get("a") == b"old"
    assert store.get("a") == b"new"


def test_what_is_not_there_cannot_be_read(store):
    with pytest.raises(PermanentError):
        list(store.reading("nothing"))


def test_names_with_every_sign_that_paths_may_have_are_kept(store):
    keys = ["p/s/data/=2E=2E/a=20b.zst.age", "p/s/A-b_c.d"]
    for key in keys:
        store.put(key, b"1")
    assert sorted(store.sizes("p/s/")) == sorted(keys)
    assert [store.get(key) for key in keys] == [b"1", b"1"]


def test_a_reader_may_stop_early(store):
    store.put("a", bytes(3 * MEBI))
    assert len(b"".join(itertools.islice(store.reading("a"), 1))) <= MEBI


def test_what_a_killed_writer_left_is_found_and_removed(store, request):
    left = request.getfixturevalue("leave_unfinished")(store)
    if left is None:
        assert store.unfinished() == []
        return
    assert store.list() == []
    (found,) = store.unfinished()
    assert found.key.startswith("a")
    store.abort(found)
    assert store.unfinished() == []
    store.abort(found)


@pytest.fixture
def leave_unfinished():
    """Leave behind what a writer that was killed leaves."""

    def leave(store):
        match type(store).__name__:
            case "S3Store":
                place = {"Bucket": store._bucket, "Key": f"{store._prefix}a/b"}
                upload = store._client.create_multipart_upload(**place)
                store._client.upload_part(**place, UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
                return True
            case "FolderStore":
                (store._root / "a").mkdir(parents=True)
                (store._root / "a" / ".incoming-x").write_bytes(b"x")
                return True
            case _:
                return None

    return leave
