"""Buckets of a real store are copied, copied on, restored by hand and by program, and compared."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deployments.lab.servers import free_ports, seaweedfs
from tasks.clients import s3
from tasks.clients.blobs import FolderStore
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Parent, Taken
from tasks.core.errors import ConfigError, Denied, Garbled, TransientError, Unreachable
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.s3 import backup as backing
from tasks.systems.s3 import connection, copying
from tasks.systems.s3 import restore as restoring
from tasks.systems.s3 import verify as verifying
from tasks.systems.s3.index import CURRENT, INDEX, ODD_LIST, part_name
from tasks.systems.s3.naming import Above, is_plain
from tasks.systems.s3.spec import Spec
from tasks.vault.keys import Identity, new_key, recipients
from tasks.vault.source import VaultSource
from tasks.vault.streams import Recipe
from tasks.vault.vault import Vault
from tests.hostile import answer, routed, serving
from tests.sinks import MemorySink
from tests.sources import MemorySource, order

ODD = [
    "ünï/cødé 🙂",
    "a//b",
    "/leading",
    "trailing/",
    "x/../y",
    "new\nline",
    "back\\slash",
    "-n",
    "%41 per+cent",
    "n" * 240,
]


@pytest.fixture(scope="module")
def client(s3_server):
    client = seaweedfs.client(s3_server.address)
    yield client
    client.close()


@pytest.fixture(scope="module")
def made(client):
    """Three buckets for all tests: the store's room is for few."""
    names = ("source", "target", "versioned")
    for name in names:
        client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    return names


@pytest.fixture
def bucket(client, made):
    """An empty bucket."""
    for name in made[:2]:
        empty(client, name)
    return made[0]


@pytest.fixture
def target(bucket, made):
    """Another empty bucket."""
    assert bucket != made[1]
    return made[1]


def empty(client, bucket):
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if keys := [{"Key": entry["Key"]} for entry in page.get("Contents", ())]:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys})


def put(client, bucket, key, body=b"x", **more):
    client.put_object(Bucket=bucket, Key=key, Body=body, **more)


class Kept:
    """Takes backups of one bucket into memory, each from the one before."""

    def __init__(self, server, bucket, **plan):
        parts = urlsplit(server.address)
        self.server, self.bucket = server, bucket
        self.endpoint = f"http://{parts.hostname}:{parts.port}"
        self.keys = {"KEY": parts.username, "SECRET": parts.password}
        self.spec = Spec(
            kind="s3",
            bucket=bucket,
            endpoint=self.endpoint,
            access_key={"env": "KEY"},
            secret_key={"env": "SECRET"},
            backup={"to": ["local"], **plan},
        )
        self.all = {}
        self.last = None

    @property
    def access(self):
        return Access(resolver=SecretResolver(self.keys), now=lambda: datetime.now(UTC))

    def take(self, sink=None, **spec):
        sink = sink or MemorySink()
        parent = self.last.as_parent() if self.last else None
        taken = backing.backup(self.spec.model_copy(update=spec), self.access, sink, Order("copy", parent))
        identity = f"20261126T04{len(self.all):04}Z-00000001"
        self.last = MemorySource(Taken.model_validate_json(taken.model_dump_json()), sink, identity, others=self.all)
        self.all[identity] = self.last
        return self.last

    def address(self, bucket):
        return f"{self.server.address}/{bucket}"

    def restored(self, folder, source=None, **fields):
        with restoring.restore(self.spec, self.access, source or self.last, order(folder, **fields)) as found:
            return found

    def proven(self, found, source=None):
        source = source or self.last
        told = [*verifying.parse(source), *verifying.compare(self.spec, source, found)]
        assert [f"{one.name}: {one.note}" for one in told if one.outcome is not Outcome.PASSED] == []
        return told


@pytest.fixture
def kept(s3_server, bucket):
    return Kept(s3_server, bucket)


def content(client, bucket, prefix=""):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    found = {}
    for key in keys:
        answered = client.get_object(Bucket=bucket, Key=key)
        found[key] = (answered["Body"].read(), answered["ContentType"], answered["Metadata"])
    return found


def fill_oddly(client, bucket, keys=ODD):
    """Put objects whose keys are hard, as far as the store takes them; return those that it shows."""
    for key in keys:
        try:
            put(client, bucket, key, key.encode())
        except s3.Failure:
            continue
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}


def test_a_bucket_comes_back_in_another_bucket_with_all_that_was_said_of_it(client, kept, bucket, target, tmp_path):
    put(
        client,
        bucket,
        "served/one.css",
        b"body",
        ContentType="text/css",
        Metadata={"owner": "me"},
        CacheControl="no-cache",
    )
    put(client, bucket, "served/empty", b"")
    put(client, bucket, "big", os.urandom(3_000_000), ContentType="image/x")
    odd = fill_oddly(client, bucket)
    assert len(odd) >= 8
    source = kept.take()
    assert source.taken.counts["objects"] == len(content(client, bucket))
    assert source.taken.parents == ()
    assert source.sink.open_parts == {"fingerprints.jsonl"}
    assert b"css" not in source.sink.parts["fingerprints.jsonl"]
    found = kept.restored(tmp_path, into=kept.address(target))
    assert content(client, target) == content(client, bucket)
    assert client.get_object(Bucket=target, Key="served/one.css")["CacheControl"] == "no-cache"
    kept.proven(found)
    with pytest.raises(ConfigError, match="not empty"):
        kept.restored(tmp_path, into=kept.address(target))
    prefixed = kept.restored(tmp_path, into=kept.address(target) + "/deep/er/", only=("served/",))
    assert set(content(client, target, "deep/er/")) == {"deep/er/served/one.css", "deep/er/served/empty"}
    kept.proven(prefixed)


def test_only_what_is_new_or_changed_is_copied_and_what_is_gone_stays_gone(client, kept, bucket, tmp_path):
    for number in range(30):
        put(client, bucket, f"up/{number:02}", b"first" * number)
    first = kept.take()
    put(client, bucket, "up/07", b"changed")
    put(client, bucket, "up/new", b"new")
    client.delete_object(Bucket=bucket, Key="up/11")
    second = kept.take()
    told = second.taken.details
    assert (told["new"], told["changed"], told["deleted"], told["unchanged"]) == (1, 1, 1, 28)
    assert told["copied_bytes"] == len(b"changednew")
    assert second.taken.parents == (first.id,)
    third = kept.take()
    assert third.taken.details["unchanged"] == 30
    assert third.taken.parents == (first.id, second.id)
    assert not [name for name in third.sink.parts if name.startswith("objects/")]
    found = kept.restored(tmp_path)
    kept.proven(found)
    there = {str(path.relative_to(found.address)): path.read_bytes() for path in Path(found.address).rglob("*/*")}
    assert there == {key: body for key, (body, _, _) in content(client, bucket).items()}
    kept.restored(tmp_path / "before", first)
    assert (tmp_path / "before" / "objects" / "up" / "11").exists()
    assert sorted(verifying.keys(third, ("up/0",))) == [f"up/0{number}" for number in range(10)]


def test_a_chain_ends_when_it_is_long_or_mostly_dead_or_cannot_be_read(client, s3_server, bucket):
    kept = Kept(s3_server, bucket, full_every=2)
    put(client, bucket, "stays", b"x" * 1000)
    kept.take()
    for number in range(2):
        put(client, bucket, f"more-{number}")
        kept.take()
    assert len(kept.last.taken.parents) == 2
    assert kept.take().taken.parents == ()
    put(client, bucket, "stays", b"y" * 2000)
    assert len(kept.take().taken.parents) == 1
    put(client, bucket, "stays", b"z" * 100)
    kept.take()
    full = kept.take()
    assert full.taken.parents == ()
    assert "more than half" in full.taken.details["why_full"]
    full.sink.parts["fingerprints.jsonl"] = full.sink.parts["fingerprints.jsonl"][:-20] + b"x\n"
    again = kept.take()
    assert again.taken.parents == ()
    assert any("copied anew" in warning for warning in again.taken.warnings)
    kept.spec = kept.spec.model_copy(update={"prefix": "more"})
    other = kept.take()
    assert (other.taken.parents, other.taken.counts["objects"]) == ((), 2)


def test_an_empty_bucket_is_a_backup_that_says_so(client, kept, bucket, tmp_path):
    source = kept.take()
    assert source.taken.warnings == ("there is not a single object",)
    assert source.taken.counts == {"objects": 0, "bytes": 0}
    kept.proven(kept.restored(tmp_path))
    assert "not a single object" in backing.recovery(source.taken, list(source.sink.parts))
    put(client, bucket, "first")
    assert kept.take().taken.counts["objects"] == 1


def test_a_bucket_that_is_not_there_is_unreachable(s3_server):
    with pytest.raises(Unreachable, match="does not exist"):
        Kept(s3_server, "no-such-bucket").take()


def test_a_store_that_is_not_there_is_unreachable(kept, monkeypatch):
    monkeypatch.setattr(connection, "_PAUSES", ())
    with pytest.raises(Unreachable):
        kept.take(endpoint=f"http://127.0.0.1:{free_ports(1)[0]}")


def test_wrong_credentials_are_told_and_never_shown(client, kept, bucket):
    put(client, bucket, "a")
    kept.keys["SECRET"] = "wr0ng-s3cret"
    with pytest.raises(Denied) as caught:
        kept.take()
    assert "wr0ng" not in str(caught.value)


def test_thousands_of_small_objects_come_back_whole(client, kept, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "_PART_BYTES", 80_000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(client, bucket, f"{n % 7}/{n:04}", b"%d" % n * (n % 50)), range(300)))
    source = kept.take()
    assert source.taken.counts["objects"] == 300
    assert len([name for name in source.sink.parts if name.startswith("objects/")]) > 3
    found = kept.restored(tmp_path, jobs=3)
    kept.proven(found)
    assert (Path(found.address) / "3" / "0010").read_bytes() == b"10" * 10


def test_a_large_object_is_copied_in_ranges_and_comes_back_in_parts(
    client, kept, bucket, target, tmp_path, monkeypatch
):
    monkeypatch.setattr(copying, "_WHOLE", 10_000)
    monkeypatch.setattr(copying, "_RANGE", 70_000)
    monkeypatch.setattr(s3, "UPLOAD_WHOLE", 5 << 20)
    body = os.urandom(6_000_001)
    put(client, bucket, "large", body)
    put(client, bucket, "small", b"s")
    kept.take()
    kept.proven(kept.restored(tmp_path, into=kept.address(target)))
    assert content(client, target)["large"][0] == body
    assert client.head_object(Bucket=target, Key="large")["ETag"].endswith('-2"')


def meddle(monkeypatch, change, at=1):
    """Do something before the n-th object, or range, is read."""
    read, count = copying.Objects.get, itertools.count(1)

    def get(self, key, **more):
        if next(count) == at:
            change()
        return read(self, key, **more)

    monkeypatch.setattr(copying.Objects, "get", get)


def test_what_is_deleted_between_listing_and_reading_is_not_missed(client, s3_server, bucket, tmp_path, monkeypatch):
    kept = Kept(s3_server, bucket, connections=1)
    for name in "abc":
        put(client, bucket, name, b"1")
    meddle(monkeypatch, lambda: client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": n} for n in "abc"]}))
    source = kept.take()
    assert source.taken.details["gone_meanwhile"] == 3
    assert source.taken.counts["objects"] == 0
    kept.proven(kept.restored(tmp_path))


def test_what_is_overwritten_between_listing_and_reading_is_taken_as_it_is_then(
    client, kept, bucket, tmp_path, monkeypatch
):
    put(client, bucket, "a", b"old")
    meddle(monkeypatch, lambda: put(client, bucket, "a", b"newer"))
    source = kept.take()
    assert source.taken.details["changed_meanwhile"] == 1
    assert source.taken.counts["bytes"] == 5
    kept.proven(kept.restored(tmp_path))
    assert (tmp_path / "scratch" / "objects" / "a").exists() is False
    assert (tmp_path / "objects" / "a").read_bytes() == b"newer"


def test_a_large_object_that_is_replaced_while_it_is_read_is_read_again(client, kept, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "_WHOLE", 1000)
    monkeypatch.setattr(copying, "_RANGE", 1000)
    newer = os.urandom(9_500)
    put(client, bucket, "a", os.urandom(10_000))
    put(client, bucket, "b", b"b")
    meddle(monkeypatch, lambda: put(client, bucket, "a", newer), at=5)
    source = kept.take()
    assert source.taken.warnings == ()
    kept.proven(kept.restored(tmp_path))
    assert (tmp_path / "objects" / "a").read_bytes() == newer
    assert source.taken.counts["objects"] == 2


def test_a_large_object_that_never_holds_still_is_told_and_left_out(client, kept, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "_WHOLE", 1000)
    monkeypatch.setattr(copying, "_RANGE", 1000)
    put(client, bucket, "a", os.urandom(10_000))
    put(client, bucket, "b", b"b")
    for at in (5, 15, 16, 17, 18, 19):
        meddle(monkeypatch, lambda: put(client, bucket, "a", os.urandom(10_000)), at=at)
    source = kept.take()
    assert source.taken.warnings == ("1 objects changed again and again while they were read: a",)
    assert source.taken.counts["objects"] == 1
    kept.proven(kept.restored(tmp_path))


def test_a_connection_that_is_cut_is_tried_again_and_a_store_that_stays_away_ends_the_backup(
    client, kept, bucket, monkeypatch
):
    monkeypatch.setattr(connection, "_PAUSES", (0, 0))
    put(client, bucket, "a", b"1")

    def cut():
        raise ConnectionResetError

    meddle(monkeypatch, cut)
    assert kept.take().taken.counts["objects"] == 1
    for at in range(1, 4):
        meddle(monkeypatch, cut, at=at)
    put(client, bucket, "b", b"1")
    with pytest.raises(Unreachable):
        kept.take()


def test_a_store_that_is_full_ends_the_backup(client, kept, bucket):
    put(client, bucket, "a", os.urandom(20_000))
    with pytest.raises(TransientError, match="the store is full"):
        kept.take(MemorySink(fails_after=10_000))


def listing(*keys):
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>3</Size><ETag>e</ETag>"
        "<LastModified>2026-11-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    return answer(f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>")


def refusing(*forbidden, code="AccessDenied"):
    def routes(target, _):
        key = target.partition("?")[0].rpartition("/")[2]
        if key in forbidden:
            return answer(f"<Error><Code>{code}</Code><Message>no</Message></Error>", status="403 Forbidden")
        if "list-type" in target:
            return listing("a", "b")
        return answer("abc", headers='ETag: "e"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n')

    return routed(routes)


async def taken_in_thread(kept, port):
    return await asyncio.to_thread(kept.take, endpoint=f"http://127.0.0.1:{port}")


async def test_an_object_that_may_not_be_read_is_told_and_the_others_are_copied(kept):
    async with serving(refusing("a")) as port:
        source = await taken_in_thread(kept, port)
    assert source.taken.warnings == ("1 objects may not be read: a (the store does not allow it)",)
    assert source.taken.counts["objects"] == 1
    assert list(verifying.keys(source)) == ["b"]


async def test_where_no_object_may_be_read_there_is_no_backup(kept):
    async with serving(refusing("a", "b")) as port:
        with pytest.raises(Denied, match="no object may be read"):
            await taken_in_thread(kept, port)


async def test_credentials_that_end_in_the_middle_end_the_backup(kept):
    async with serving(refusing("b", code="ExpiredToken")) as port:
        with pytest.raises(Denied, match="expired"):
            await taken_in_thread(kept, port)


async def test_an_object_that_breaks_off_is_never_taken_for_whole(kept, monkeypatch):
    monkeypatch.setattr(connection, "_PAUSES", (0,))

    def routes(target, _):
        if "list-type" in target:
            return listing("a")
        return answer("abc", headers='ETag: "e"\r\n').replace(b"Length: 3", b"Length: 9")

    async with serving(routed(routes)) as port:
        with pytest.raises(Unreachable):
            await taken_in_thread(kept, port)


def test_versions_are_copied_once_and_show_every_moment(client, s3_server, made, tmp_path):
    bucket = made[2]
    kept = Kept(s3_server, bucket, versions=True)
    put(client, bucket, "a", b"one")
    put(client, bucket, "b", b"only")
    first = kept.take()
    put(client, bucket, "a", b"two")
    client.delete_object(Bucket=bucket, Key="b")
    second = kept.take()
    assert second.taken.counts == {"objects": 1, "bytes": 3}
    assert second.taken.details["old_versions"] == 2
    assert second.taken.details["delete_markers"] == 1
    assert second.taken.details["unchanged"] == 2
    assert second.taken.parents == (first.id,)
    found = kept.restored(tmp_path)
    kept.proven(found)
    assert (Path(found.address) / "a").read_bytes() == b"two"
    assert not (Path(found.address) / "b").exists()
    entries = [json.loads(line) for line in second.sink.parts[INDEX].splitlines()]
    moment = min(datetime.fromisoformat(one["at"]) for one in entries if one["key"] == "a")
    moment = max(moment, min(datetime.fromisoformat(one["at"]) for one in entries if one["key"] == "b"))
    if any(
        one["key"] == "a" and one.get("latest", True) and datetime.fromisoformat(one["at"]) > moment for one in entries
    ):
        then = kept.restored(tmp_path / "then", until=moment)
        kept.proven(then)
        assert (Path(then.address) / "a").read_bytes() == b"one"
        assert (Path(then.address) / "b").read_bytes() == b"only"


def test_without_versions_no_moment_before_the_backup_can_be_shown(client, kept, bucket, tmp_path):
    put(client, bucket, "a")
    source = kept.take()
    with pytest.raises(ConfigError, match="only"):
        kept.restored(tmp_path, until=source.taken.consistent_as_of - timedelta(hours=1))


def test_the_live_bucket_is_refused_by_whatever_name_and_prefix(client, kept, bucket, tmp_path):
    put(client, bucket, "a")
    kept.take()
    address = kept.address(bucket)
    for into in (address, f"{address}/restored/", address.replace("127.0.0.1", "localhost")):
        with pytest.raises(ConfigError, match="live platform"):
            kept.restored(tmp_path, into=into)
    for into in ("ftp://x/y", "http://127.0.0.1:99999/b", "http://127.0.0.1/"):
        with pytest.raises(ConfigError, match="target"):
            kept.restored(tmp_path, into=into)
    with pytest.raises(ConfigError, match="does not exist"):
        kept.restored(tmp_path, into=kept.address("no-such-bucket"))
    with pytest.raises(ConfigError, match="begins with gone"):
        kept.restored(tmp_path, only=("gone",))


def test_addresses_of_one_bucket_share_an_endpoint():
    assert restoring.endpoints("s3://shop/a") == restoring.endpoints("https://s3.eu-west-1.amazonaws.com/shop")
    assert restoring.endpoints("http://u:p@127.0.0.1:80/shop") == restoring.endpoints("http://localhost/shop/x")
    assert not restoring.endpoints("s3://shop") & restoring.endpoints("s3://other")


def damaged(damage, first, second, known):
    """Damage a backup, or the one that it is made from."""
    name, parts = part_name(0), first.sink.parts
    index = second.sink.parts[INDEX]
    match damage:
        case "cut":
            parts[name] = parts[name][: len(parts[name]) // 2]
        case "flipped":
            parts[name] = parts[name].replace(b"content-3", b"content-9")
        case "gone":
            parts[name] = bytes(1024)
        case "no parent":
            del known[first.id]
        case "index":
            second.sink.parts[INDEX] = index[:-10]
        case "fewer":
            second.sink.parts[INDEX] = b"".join(index.splitlines(keepends=True)[1:])


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "no parent", "index", "fewer"])
def test_a_damaged_backup_is_red(client, kept, bucket, tmp_path, damage):
    for number in range(5):
        put(client, bucket, f"k{number}", b"content-%d" % number)
    first = kept.take()
    put(client, bucket, "more")
    second = kept.take()
    damaged(damage, first, second, kept.all)
    if damage in ("no parent", "index"):
        with pytest.raises(Garbled):
            list(verifying.parse(second))
    else:
        assert Outcome.FAILED in [one.outcome for one in verifying.parse(second)]
    if damage == "flipped":
        found = kept.restored(tmp_path, second)
        failed = [one for one in verifying.compare(kept.spec, second, found) if one.outcome is Outcome.FAILED]
        assert "'k3' is another" in failed[0].note
    elif damage != "fewer":
        with pytest.raises(Garbled):
            kept.restored(tmp_path, second)


def test_a_copy_that_lacks_something_is_red_and_a_sample_may_be_enough(client, s3_server, bucket, tmp_path):
    kept = Kept(s3_server, bucket, sample=5)
    for number in range(60):
        put(client, bucket, f"k{number}", b"content-%d" % number)
    kept.take()
    found = kept.restored(tmp_path)
    (sample,) = (one for one in kept.proven(found) if one.name.startswith("a sample of"))
    assert int(sample.name.split()[3]) < 30
    kept.spec = kept.spec.model_copy(update={"backup": kept.spec.backup.model_copy(update={"sample": None})})
    kept.proven(found)
    assert verifying.spoil(kept.spec, found).startswith("cut the last byte of 'k")
    (Path(found.address) / "k7").unlink()
    failed = [one for one in verifying.compare(kept.spec, kept.last, found) if one.outcome is Outcome.FAILED]
    assert "'k7' is missing" in failed[0].note
    assert failed[0].observed == "2 wrong"


def test_the_checks_of_the_spec_are_held_against_what_is_shown(client, s3_server, bucket, tmp_path):
    checks = [
        {"count": "up/", "at_least": 2},
        {"count": "up/", "at_least": 3},
        {"newest": "", "within": "1h"},
        {"newest": "gone/", "within": "1h"},
    ]
    kept = Kept(s3_server, bucket, verify=checks)
    put(client, bucket, "up/a")
    put(client, bucket, "up/b")
    kept.take()
    *_, one, two, three, four = verifying.compare(kept.spec, kept.last, kept.restored(tmp_path))
    passed, failed = Outcome.PASSED, Outcome.FAILED
    assert [check.outcome for check in (one, two, three, four)] == [passed, failed, passed, failed]


AWS = '''#!{python}
"""The two commands of the AWS command line that RECOVERY.md names, by boto3: it is not installed everywhere."""
import os, sys, pathlib, boto3
client = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1")
match sys.argv[1:]:
    case ["s3", "sync", folder, target, "--no-progress"]:
        bucket = target.removeprefix("s3://").rstrip("/")
        for path in pathlib.Path(folder).rglob("*"):
            if path.is_file():
                client.put_object(Bucket=bucket, Key=str(path.relative_to(folder)), Body=path.read_bytes())
    case ["s3api", "put-object", "--bucket", bucket, "--key", key, "--body", body]:
        client.put_object(Bucket=bucket, Key=key, Body=pathlib.Path(body).read_bytes())
    case other:
        sys.exit(f"no such command: {{other}}")
'''


def kept_in(vault, kept, parent=None):
    """Take a backup into a real vault."""
    with vault.begin("shop", "content", "s3") as opened:
        taken = backing.backup(kept.spec, kept.access, opened, Order("copy", parent))
        return opened.commit(taken, backing.recovery)


def parent_of(vault, manifest):
    return Parent(manifest.id, manifest, manifest.parents, lambda part: vault.read(manifest, part))


def commands_of(page):
    """Return what the last section of a RECOVERY.md says to run."""
    section = page.partition("## 4. Restore")[2]
    return "\n".join(line.removeprefix("    ") for line in section.splitlines() if line.startswith("    "))


@pytest.mark.skipif(not shutil.which("age") or not shutil.which("zstd"), reason="age and zstd are not installed")
def test_everything_comes_back_by_hand_with_age_zstd_tar_and_a_client_of_s3(client, kept, bucket, target, tmp_path):
    odd = fill_oddly(client, bucket, ODD[:1] + ODD[5:8])
    for number in range(20):
        put(client, bucket, f"up/{number:02}", b"first" * number)
    pair = new_key()
    vault = Vault("local", FolderStore(tmp_path / "vault"), Recipe(recipients=recipients([pair.recipient])))
    first = kept_in(vault, kept)
    put(client, bucket, "up/07", b"changed")
    put(client, bucket, "up/.hidden", b"hidden")
    client.delete_object(Bucket=bucket, Key="up/11")
    second = kept_in(vault, kept, parent_of(vault, first))
    assert second.parents == (first.id,)
    source = VaultSource(vault, second, Identity(pair.identity))
    kept.proven(kept.restored(tmp_path, source), source)

    (tmp_path / "key").write_text(pair.identity)
    (tmp_path / "bin").mkdir()
    aws = tmp_path / "bin" / "aws"
    aws.write_text(AWS.format(python=sys.executable))
    aws.chmod(0o755)
    folder = tmp_path / "vault" / second.folder
    environment = {
        "PATH": f"{aws.parent}:{os.environ['PATH']}",
        "KEY": str(tmp_path / "key"),
        "BUCKET": target,
        "ENDPOINT": kept.endpoint,
        "AWS_ACCESS_KEY_ID": kept.keys["KEY"],
        "AWS_SECRET_ACCESS_KEY": kept.keys["SECRET"],
        "LC_ALL": "C.UTF-8",
    }
    ran = subprocess.run(  # noqa: S603 - the commands that are tried
        ["/bin/bash", "-o", "pipefail", "-e", "-c", commands_of((folder / "RECOVERY.md").read_text())],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    bodies = {key: body for key, (body, _, _) in content(client, bucket).items()}
    assert {key: body for key, (body, _, _) in content(client, target).items()} == bodies
    assert odd == {key for key in bodies if not key.startswith("up/")}


@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize("path", ["/bucket/a%20b/%C3%BC~", "/bucket/a?versionId=x%2Fy"])
def test_a_signature_is_the_one_that_botocore_makes(path, token):
    store = s3.connect("https://store.example:9000", "eu-west-1", "key", "secret", 1)
    objects = copying.Objects(store, "bucket", 1, 1)
    objects._credentials = Credentials("key", "secret", token)
    ours = objects._signature(*(path.split("?") if "?" in path else (path, "")))
    theirs = AWSRequest("GET", f"https://store.example:9000{path}", headers={"x-amz-date": ours["x-amz-date"]})
    theirs.context["timestamp"] = ours["x-amz-date"]
    signer = S3SigV4Auth(objects._credentials.get_frozen_credentials(), "s3", "eu-west-1")
    signer._modify_request_before_signing(theirs)
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    objects.close()
    store.close()
    assert ours["Authorization"].endswith(f"Signature={signer.signature(text, theirs)}")


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("a/b.txt", True),
        ("ünï 🙂", True),
        ("a//b", False),
        ("/a", False),
        ("a/", False),
        ("../a", False),
        ("a\nb", False),
        ("=odd/x", False),
        ("n" * 201, False),
        ("", False),
    ],
)
def test_a_key_is_a_path_only_where_every_file_system_takes_it(key, plain):
    assert is_plain(key) is plain


def test_an_object_that_lies_under_another_is_seen_in_a_sorted_listing():
    above = Above()
    keys = ["a", "a!b", "a!b/c", "a/b", "a/b/c", "b/c", "b/c/d", "bc", "c/d"]
    assert [key for key in sorted(keys) if above.holds(key)] == ["a!b/c", "a/b", "a/b/c", "b/c/d"]


async def test_two_objects_that_no_folder_can_both_hold_come_back(kept, tmp_path):
    def routes(target, _):
        key = target.partition("?")[0].removeprefix(f"/{kept.bucket}/")
        if "list-type" in target:
            return listing("a", "a!x", "a/b", "a/b/c")
        return answer(f"{key:3.3}", headers='ETag: "e"\r\nLast-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\n')

    async with serving(routed(routes)) as port:
        source = await taken_in_thread(kept, port)
    assert source.sink.parts[CURRENT] == b"0 a\x000 a!x\x00"
    assert source.sink.parts[ODD_LIST].count(b"\n") == 2
    found = kept.restored(tmp_path)
    kept.proven(found)
    assert found.counts["objects"] == 4
