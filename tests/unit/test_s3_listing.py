"""A listing of a bucket is read as the store wrote it, and what is none never passes for an empty one."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.parsers import ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clients.blobs import FolderStore
from tasks.clients.s3_objects import Page, _read_page
from tasks.clients.s3_ranges import listed_along
from tasks.core.errors import Unreachable
from tasks.core.manifest import new_id
from tasks.vault.vault import _BY_TIME, Vault

HEAD = '<?xml version="1.0"?><ListBucketResult{}>'
OBJECT = "<Contents><Key>{}</Key><ETag>&#34;1&#34;</ETag><Size>{}</Size></Contents>"
START = datetime(2025, 12, 20, tzinfo=UTC)
AWS = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def listing(*inside, space=AWS):
    return f"{HEAD.format(space)}{''.join(inside)}</ListBucketResult>".encode()


@pytest.mark.parametrize("space", [AWS, ""], ids=["as AWS writes it", "without a namespace"])
def test_keys_sizes_and_folders_are_read(space):
    page, mark = _read_page(
        listing(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>on</NextContinuationToken>",
            OBJECT.format("a/&lt;b&gt; c%20d", 3),
            "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>",
            space=space,
        )
    )
    assert (page, mark) == (Page({"a/<b> c%20d": 3}, ("a/", "b/")), "on")


def test_escaped_keys_are_read_as_they_are_called():
    page, mark = _read_page(
        listing("<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>", OBJECT.format("a%2Fb%20%C3%BC+", 0))
    )
    assert (page, mark) == (Page({"a/b ü+": 0}), "")


def test_tags_are_read_where_they_are_asked_for():
    page, _ = _read_page(listing("<IsTruncated>false</IsTruncated>", OBJECT.format("a", 3)), tagged=True)
    assert page == Page({"a": 3}, tags={"a": "1"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>welcome</body></html>",
        listing(),
        listing("<IsTruncated>perhaps</IsTruncated>"),
        listing("<IsTruncated>true</IsTruncated>"),
        listing("<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"),
        listing("<IsTruncated>false</IsTruncated>")[:-9],
    ],
    ids=["nothing", "a page", "no end", "an odd end", "no way on", "no size", "cut off"],
)
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(ResponseParserError):
        _read_page(body)


def test_a_catalog_is_listed_whole_and_the_archive_beside_it_is_not_walked(tmp_path):
    class Watching(FolderStore):
        def _files(self, prefix, *, kept):
            walked.append(prefix)
            return super()._files(prefix, kept=kept)

    walked: list[str] = []
    store = Watching(tmp_path)
    ids = [new_id(START + timedelta(hours=number), f"{number:08x}") for number in range(40)]
    for folder in ids:
        store.put(f"shop/database/{folder}/manifest.json", b"{}")
    store.put("shop/database/wal/000000010000000000000001.json", b"{}")
    store.put("shop/database/2-notes.txt", b"somebody's")
    entries = Vault("local", store).entries()
    assert [entry.id for entry in entries] == ids
    assert {entry.state for entry in entries} == {"complete"}
    assert not any("wal" in prefix for prefix in walked)
    assert [entry.id for entry in Vault("local", store).entries("shop", "database")] == ids
    (tmp_path / "shop" / "database" / ids[7] / "manifest.json").unlink()
    assert "complete" not in {entry.state for entry in Vault("local", store).entries() if entry.id == ids[7]}


class Bucket:
    """Lists keys by pages, in the order of bytes or, as SeaweedFS does, of folders; counts the pages."""

    def __init__(self, keys, page, order):
        self._keys, self._page, self._order, self.asked = sorted(keys, key=order), page, order, []

    def pages(self, prefix, after):
        keys = [
            key for key in self._keys if key.startswith(prefix) and (not after or self._order(key) > self._order(after))
        ]
        for start in range(0, max(len(keys), 1), self._page):
            self.asked.append((prefix, after))
            more = start + self._page < len(keys)
            yield Page({key: len(key) for key in keys[start : start + self._page]}, more=more)


def by_folders(key):
    return key.split("/")


MOMENTS = st.one_of(st.integers(0, 60), st.integers(0, 10**9)).map(
    lambda seconds: new_id(START + timedelta(seconds=seconds), "0000000a")
)
NAMES = st.one_of(MOMENTS, MOMENTS.map(lambda name: name[:16]), st.text("09:-T2", min_size=1, max_size=3))
KEYS = st.lists(
    st.builds("/".join, st.tuples(st.sampled_from(["a/b", "a/c"]), NAMES, st.sampled_from(["m", "d/1", "-", "d-"]))),
    max_size=60,
)


@pytest.mark.parametrize("order", [str, by_folders], ids=["in the order of bytes", "in the order of folders"])
@given(keys=KEYS, page=st.integers(1, 7), at_once=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_pages_that_are_asked_for_side_by_side_hold_every_key_once_whatever_keys_are_called(order, keys, page, at_once):
    found = listed_along(Bucket(set(keys), page, order).pages, ["a/b/", "a/c/"], _BY_TIME, at_once)
    assert found == {key: len(key) for key in sorted(set(keys)) if "0" <= key[4:] < ":"}


def test_the_pages_of_one_system_are_asked_for_side_by_side_and_hardly_more_of_them_than_one_by_one():
    keys = [f"a/b/{new_id(START + timedelta(hours=number), '0000000a')}/m" for number in range(3000)]
    bucket = Bucket(keys, 100, str)
    assert len(listed_along(bucket.pages, ["a/b/"], _BY_TIME, 8)) == 3000
    assert 30 <= len(bucket.asked) <= 75
    assert len({after for _, after in bucket.asked}) >= 8


def test_a_store_that_skips_what_comes_after_a_cut_is_seen_and_its_keys_are_listed_anew():
    class Skipping(Bucket):
        def pages(self, prefix, after):
            later = next((key for key in self._keys if key > after), after)
            return super().pages(prefix, later if after.endswith("Z-") else after)

    keys = [f"a/b/{new_id(START + timedelta(hours=number), '0000000a')}/m" for number in range(40)]
    bucket = Skipping(keys, 5, str)
    assert list(listed_along(bucket.pages, ["a/b/"], _BY_TIME, 4)) == keys
    assert bucket.asked[-1] == ("a/b/", "")


def test_a_page_that_fails_fails_the_listing():
    def pages(prefix, _after):
        yield Page({f"{prefix}1": 1}, more=True)
        raise Unreachable("gone")

    with pytest.raises(Unreachable):
        listed_along(pages, ["a/b/", "a/c/"], _BY_TIME, 2)
