"""A listing of a bucket is read as the store wrote it, and what is none never passes for an empty one."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.parsers import ResponseParserError

from tasks.clients.blobs import FolderStore
from tasks.clients.s3_objects import Page, _read_page
from tasks.core.manifest import new_id
from tasks.vault.vault import Vault

HEAD = '<?xml version="1.0"?><ListBucketResult{}>'
OBJECT = "<Contents><Key>{}</Key><ETag>&#34;1&#34;</ETag><Size>{}</Size></Contents>"
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


def test_a_catalog_of_many_backups_is_listed_whole_and_the_archive_beside_it_is_not_walked(tmp_path):
    class Counting(FolderStore):
        def sizes(self, prefix=""):
            found = super().sizes(prefix)
            asked.append((prefix, len(found)))
            return found

    asked: list[tuple[str, int]] = []
    store = Counting(tmp_path)
    start = datetime(2025, 12, 20, tzinfo=UTC)
    ids = [new_id(start + timedelta(hours=number), f"{number:08x}") for number in range(700)]
    for folder in ids:
        (tmp_path / "shop" / "database" / folder).mkdir(parents=True)
        (tmp_path / "shop" / "database" / folder / "manifest.json").write_bytes(b"{}")
    store.put("shop/database/wal/000000010000000000000001.json", b"{}")
    store.put("shop/database/2-notes.txt", b"somebody's")
    entries = Vault("local", store).entries()
    assert [entry.id for entry in entries] == ids
    assert {entry.state for entry in entries} == {"complete"}
    assert max(count for _, count in asked) <= 400
    assert not any("wal" in prefix for prefix, _ in asked)
    assert [entry.id for entry in Vault("local", store).entries("shop", "database")] == ids
    (tmp_path / "shop" / "database" / ids[7] / "manifest.json").unlink()
    assert "complete" not in {entry.state for entry in Vault("local", store).entries() if entry.id == ids[7]}
