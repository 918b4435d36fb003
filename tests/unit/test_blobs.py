"""One suite over every blob store; S3 is a real SeaweedFS."""

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from deployments.lab.servers import seaweedfs
from tasks.clients.blobs import FolderStore, MemoryStore, Scale, open_store
from tasks.core.errors import ConfigError, Denied, PermanentError, Unreachable, WatchkeeperError


def s3_store(request, **keys):
    address = urlsplit(request.getfixturevalue("s3_server").address)
    client = seaweedfs.client(request.getfixturevalue("s3_server").address)
    bucket = f"blobs-{uuid.uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    client.close()
    return open_store(
        f"s3://{bucket}/deep/prefix",
        endpoint=f"http://{address.hostname}:{address.port}",
        access_key=keys.get("access_key", address.username),
        secret_key=keys.get("secret_key", address.password),
    )


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.lab)])
def store(request, tmp_path):
    match request.param:
        case "folder":
            return open_store(tmp_path / "blobs")
        case "memory":
            return MemoryStore()
        case _:
            return s3_store(request)


def test_what_was_put_is_got_and_what_was_not_is_none(store):
    store.put("a/b.json", b"one")
    assert store.get("a/b.json") == b"one"
    assert store.get("a/c.json") is None
    assert store.get("a") is None


def test_a_put_replaces(store):
    store.put("a", b"one")
    store.put("a", b"two")
    assert store.get("a") == b"two"


def test_a_blob_is_put_once_where_it_must_be_absent(store):
    assert store.put_if_absent("lease", b"mine")
    assert not store.put_if_absent("lease", b"yours")
    assert store.get("lease") == b"mine"


def test_what_lies_below_a_prefix_is_named_by_its_first_pieces(store):
    for key in ("a/b/c/d", "a/b/e", "a/f/g", "a/h", "ab/c"):
        store.put(key, b"1")
    assert store.folders() == ["a", "ab"]
    assert store.folders("a/") == ["b", "f"]
    assert store.folders("none/") == []


def test_what_lies_in_folders_that_are_named_by_numbers_is_listed_and_nothing_beside_them(store):
    numbers = Scale("0", ":", lambda name: float(name) if name.isdigit() else None, lambda place: f"{place:.0f}")
    keys = {f"{place}/{number}/{name}" for place in ("a/b", "a/c") for number in range(1, 5) for name in ("m", "d/x")}
    for key in {*keys, "a/b/wal/1", "a/b/-1/m", "a/d/1/m"}:
        store.put(key, b"four")
    found = store.sizes_along(["a/b/", "a/c/"], numbers)
    assert list(found.items()) == [(key, 4) for key in sorted(keys)]
    assert store.sizes_along(["a/e/"], numbers) == {}


def test_of_many_writers_at_once_exactly_one_wins(store):
    start = threading.Barrier(8)

    def write(number):
        start.wait(timeout=60)
        return store.put_if_absent("lease", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert store.get("lease") == str(won.index(True)).encode()


def test_keys_are_listed_by_prefix_and_sorted(store):
    for key in ("b/2", "a/1", "b/10/x", "bb/1"):
        store.put(key, b"")
    assert store.list() == ["a/1", "b/10/x", "b/2", "bb/1"]
    assert store.list("b/") == ["b/10/x", "b/2"]
    assert store.list("b/1") == ["b/10/x"]
    assert store.list("nothing/") == []


def test_a_deleted_blob_is_gone_and_deleting_it_again_is_fine(store):
    store.put("a/b", b"one")
    store.delete("a/b")
    store.delete("a/b")
    assert store.get("a/b") is None
    assert store.list() == []


def test_a_person_is_told_where_a_blob_is(store):
    assert store.where("a/b").endswith("a/b")


def test_a_key_cannot_leave_the_folder(tmp_path):
    store = FolderStore(tmp_path / "blobs")
    for key in ("../out", "/etc/passwd", "a/../../out", ""):
        with pytest.raises(PermanentError):
            store.put(key, b"x")


def test_a_folder_without_the_right_to_write_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(WatchkeeperError, match="write a"):
        FolderStore(tmp_path / "file").put("a", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_denied(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Denied):
        FolderStore(tmp_path).put("a", b"x")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    store = FolderStore(tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PermanentError, match="No space left"):
        store.put("a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match="ftp"):
        open_store("ftp://host/folder")


@pytest.mark.lab
def test_a_wrong_secret_key_is_denied_and_not_shown(request):
    store = s3_store(request, secret_key="wrong-secret-key")
    with pytest.raises(Denied) as caught:
        store.put("a", b"x")
    assert "wrong-secret-key" not in str(caught.value)


def test_an_s3_that_is_not_there_is_unreachable():
    store = open_store("s3://bucket", endpoint="http://127.0.0.1:1", access_key="a", secret_key="b")
    for call in (lambda: store.get("a"), store.list, lambda: store.put_if_absent("a", b"")):
        with pytest.raises(Unreachable):
            call()
