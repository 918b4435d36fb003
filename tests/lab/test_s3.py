"""A real store of the S3 protocol, and ones that answer what no store should."""

import dataclasses
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import pytest

from deployments.lab.servers import free_ports, running, seaweedfs
from tasks.clients import s3
from tasks.core.results import Outcome
from tasks.systems.s3 import spec as kind
from tasks.systems.s3.listing import Entry, Listing, not_copied
from tests.hostile import answer, check, finding, measured, routed, serving

GRANT = json.loads(Path(kind.__file__).with_name("grant.json").read_text(encoding="utf-8"))
# What AWS documents as the permission of each call.
PERMISSIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
SECRET = "wr0ng-s3cret-key"


@pytest.fixture(scope="module")
def guest():
    return seaweedfs.Keys.fresh()


@pytest.fixture(scope="module")
def store(guest, tmp_path_factory):
    """A store with two buckets; the guest may see only the first."""
    server = seaweedfs.server(
        tmp_path_factory.mktemp("store"), free_ports(1)[0], users={"guest": (guest, ("uploads",))}
    )
    # Nothing of it is kept, and its orderly end takes ten seconds.
    with running(dataclasses.replace(server, stop=signal.SIGKILL)):
        client = seaweedfs.client(server.address)
        for bucket in ("uploads", "private"):
            client.create_bucket(Bucket=bucket)
        for name in ("a/one", "a/two", "b/three"):
            client.put_object(Bucket="uploads", Key=name, Body=b"x" * 1000)
        client.put_object(Bucket="uploads", Key="a/folder/", Body=b"")
        client.create_multipart_upload(Bucket="uploads", Key="a/begun")
        client.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
        rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 1}}
        client.put_bucket_lifecycle_configuration(Bucket="uploads", LifecycleConfiguration={"Rules": [rule]})
        client.close()
        yield server


def without_keys(address):
    parts = urlsplit(address)
    return f"http://{parts.hostname}:{parts.port}"


async def checked(endpoint, access="guest", secret=SECRET, bucket="uploads", **fields):
    system = {"kind": "s3", "timeout": "20s", "bucket": bucket, "endpoint": endpoint, **fields}
    system |= {"access_key": {"env": "IT_KEY"}, "secret_key": {"env": "IT_SECRET"}}
    return await check(system, {"IT_KEY": access, "IT_SECRET": secret})


async def test_everything_is_measured_of_what_lies_under_the_prefix(store, guest):
    report = await checked(without_keys(store.address), guest.access, guest.secret, prefix="a/", quota="10kB")
    only_with_a_copy = {"replication_lag", "unreplicated"}
    assert {m.name for m in report.measurements} == set(kind.CATALOG) - only_with_a_copy | {"reachable"}
    values = {m.name: m.value for m in report.measurements}
    assert (values["objects"], values["size"], values["used"]) == (2, 2000, 0.2)
    assert (values["lifecycle_rules"], values["versioning"], values["open_uploads"]) == (1, True, 1)
    assert measured(report, "oldest_object").note == "a/one"
    assert 0 <= values["newest_object"] <= values["oldest_object"] < 600


async def test_a_bucket_without_rules_and_versions_fails_where_the_spec_wants_them(store):
    parts = urlsplit(store.address)
    limits = {"lifecycle_rules": {"critical": "< 1"}, "versioning": {"critical": "no"}}
    report = await checked(without_keys(store.address), parts.username, parts.password, "private", limits=limits)
    assert finding(report, "lifecycle_rules").outcome is Outcome.FAILED
    assert finding(report, "versioning").outcome is Outcome.FAILED


async def test_a_bucket_that_fills_up_fails_until_it_was_cleaned_and_its_largest_objects_are_named(store):
    parts = urlsplit(store.address)
    client = seaweedfs.client(store.address)
    client.create_bucket(Bucket="filling")
    for number in range(1, 5):
        client.put_object(Bucket="filling", Key=f"scan-{number}", Body=b"x" * 1000 * number)
    fields = {"bucket": "filling", "quota": "10kB", "limits": {"used": {"warn": "80%", "critical": "95%"}}}
    full = await checked(without_keys(store.address), parts.username, parts.password, **fields)
    client.delete_object(Bucket="filling", Key="scan-4")
    cleaned = await checked(without_keys(store.address), parts.username, parts.password, **fields)
    client.close()
    assert finding(full, "used").outcome is Outcome.FAILED
    assert measured(full, "largest_object").value == 4000
    assert measured(full, "largest_object").note == "scan-4 3.9 KiB, scan-3 2.9 KiB, scan-2 2 KiB"
    assert finding(cleaned, "used").outcome is Outcome.PASSED


@pytest.fixture(scope="module")
def copied(store):
    """Two buckets with the same objects: one under `here/`, its copy under `there/`."""
    client = seaweedfs.client(store.address)
    for bucket, prefix in (("source", "here/"), ("copy", "there/")):
        client.create_bucket(Bucket=bucket)
        for number in range(5):
            client.put_object(Bucket=bucket, Key=f"{prefix}{number}", Body=b"%d" % number)
    yield client
    client.close()


async def replicated(store, later=timedelta(0), **fields):
    parts = urlsplit(store.address)
    keys = {
        "access_key": {"env": "IT_KEY"},
        "secret_key": {"env": "IT_SECRET"},
        "endpoint": without_keys(store.address),
    }
    system = {"kind": "s3", "timeout": "20s", "bucket": "source", "prefix": "here/", **keys}
    system |= {"replica": {"system": "copy", "prefix": "there/"}, "limits": {"replication_lag": {"critical": "1h"}}}
    others = {"copy": {"kind": "s3", "bucket": "copy", **keys} | fields.pop("copy", {})}
    environment = {"IT_KEY": parts.username, "IT_SECRET": parts.password}
    return await check(system | fields, environment, others=others, now=datetime.now(UTC) + later)


async def test_what_was_not_copied_or_copied_wrong_lags_behind_until_it_was(store, copied):
    well = await replicated(store, timedelta(hours=2))
    assert finding(well, "replication_lag").outcome is Outcome.PASSED
    assert measured(well, "replication_lag").value == 0
    assert measured(well, "replication_lag").note == "of 5 objects"
    copied.delete_object(Bucket="copy", Key="there/3")
    copied.put_object(Bucket="copy", Key="there/1", Body=b"X")
    sick = await replicated(store, timedelta(hours=2))
    assert finding(sick, "replication_lag").outcome is Outcome.FAILED
    assert 7200 <= measured(sick, "replication_lag").value < 8000
    assert measured(sick, "unreplicated").value == 2
    assert measured(sick, "unreplicated").note == "here/1, here/3; of 5 objects"
    by_size = await replicated(store, replica={"system": "copy", "prefix": "there/", "compare": "size"})
    assert measured(by_size, "unreplicated").value == 1
    for number in (1, 3):
        copied.put_object(Bucket="copy", Key=f"there/{number}", Body=b"%d" % number)
    mended = await replicated(store, timedelta(hours=2))
    assert finding(mended, "replication_lag").outcome is Outcome.PASSED


async def test_a_copy_that_cannot_be_read_is_an_error_of_the_comparison_alone(store, copied):
    assert copied
    report = await replicated(store, copy={"bucket": "dropped"})
    assert finding(report, "replication_lag").outcome is Outcome.ERRORED
    assert finding(report, "replication_lag").note == "the copy in copy: the bucket dropped does not exist"
    assert measured(report, "objects").value == 5
    assert finding(report, "reachable").outcome is Outcome.PASSED


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def entries(*keys, size=5, tag="0" * 32):
    return [Entry(key, size, tag, NOON + timedelta(minutes=len(key))) for key in keys]


def test_of_a_copy_whose_listing_was_cut_nothing_is_said_behind_its_last_key():
    whole, cut = (Listing(entries=entries("a", "c"), cut=is_cut) for is_cut in (False, True))
    source = entries("a", "b", "c", "dd")
    missing, compared = not_copied(source, whole, ("", ""), "etag")
    assert ([entry.key for entry in missing], compared) == (["b", "dd"], 4)
    missing, compared = not_copied(source, cut, ("", ""), "etag")
    assert ([entry.key for entry in missing], compared) == (["b"], 3)


def test_tags_of_uploads_in_parts_are_not_compared_as_they_depend_on_the_parts():
    copy = Listing(entries=entries("a", tag="f" * 32 + "-7"))
    assert not_copied(entries("a"), copy, ("", ""), "etag") == ([], 1)
    assert len(not_copied(entries("a", size=6), copy, ("", ""), "etag")[0]) == 1


async def test_a_comparison_that_was_cut_says_so(store):
    async with serving(stand_in(default=listing(keys=1, truncated=True))) as port:
        endless = f"http://127.0.0.1:{port}"
        report = await replicated(
            store, endpoint=endless, pages=2, copy={"endpoint": endless}, prefix="", replica={"system": "copy"}
        )
    assert measured(report, "replication_lag").note.startswith("only ")
    assert finding(report, "replication_lag", "beyond 2 objects").outcome is Outcome.NOT_CHECKED


async def test_an_empty_bucket_is_never_green_where_something_new_is_awaited(store):
    parts = urlsplit(store.address)
    limits = {"newest_object": {"critical": "26h"}, "oldest_object": {"warn": "1d"}}
    report = await checked(without_keys(store.address), parts.username, parts.password, "private", limits=limits)
    assert finding(report, "newest_object").outcome is Outcome.ERRORED
    assert finding(report, "oldest_object").outcome is Outcome.PASSED


async def test_the_probe_calls_only_what_the_grant_allows(store, guest, monkeypatch):
    called = set()
    connect = s3.connect

    def recording(*arguments):
        client = connect(*arguments)
        client.meta.events.register("before-call.s3.*", lambda model, **_: called.add(model.name))
        return client

    monkeypatch.setattr(s3, "connect", recording)
    await checked(without_keys(store.address), guest.access, guest.secret)
    assert called == PERMISSIONS.keys()
    assert {PERMISSIONS[name] for name in called} == set(GRANT["Statement"][0]["Action"])


@pytest.mark.parametrize(
    ("access", "secret", "note"),
    [
        (None, SECRET, "the secret key is wrong"),
        ("nobody", SECRET, "the store does not know the access key"),
    ],
)
async def test_wrong_keys_are_errored_and_show_no_secret(store, guest, access, secret, note):
    report = await checked(without_keys(store.address), access or guest.access, secret)
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert finding(report, "check").note == note
    assert SECRET not in report.model_dump_json()


async def test_a_bucket_that_the_key_may_not_see_is_errored(store, guest):
    report = await checked(without_keys(store.address), guest.access, guest.secret, "private")
    assert finding(report, "check").note == "the store does not allow it"


async def test_a_bucket_that_is_gone_is_a_failed_system(store):
    parts = urlsplit(store.address)
    report = await checked(without_keys(store.address), parts.username, parts.password, "dropped")
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note == "the bucket dropped does not exist"


def listing(*, keys=1, truncated=False):
    entry = "<Contents><Key>k</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified><Size>5</Size></Contents>"
    more = "<NextContinuationToken>more</NextContinuationToken>" if truncated else ""
    flag = str(truncated).lower()
    return answer(
        f"<ListBucketResult><Name>b</Name><IsTruncated>{flag}</IsTruncated>{more}{entry * keys}</ListBucketResult>"
    )


def refusal(code, status):
    return answer(f"<Error><Code>{code}</Code><Message>No.</Message></Error>", status=status)


def stand_in(**answers):
    """Answer as S3 documents it: HEAD, listing, and each sub-resource by its name in the query."""

    def route(target, _headers):
        for name, text in answers.items():
            if f"?{name}" in target:
                return text
        return answers.get("default", listing() if "list-type" in target else answer(""))

    return routed(route)


async def test_a_listing_without_end_is_cut_and_says_so():
    async with serving(stand_in(default=listing(keys=3, truncated=True))) as port:
        report = await checked(f"http://127.0.0.1:{port}", pages=4)
    assert measured(report, "objects").value == 12
    assert measured(report, "objects").note == "at least: the listing was cut after 12 objects"
    assert finding(report, "objects", "beyond the first 12").outcome is Outcome.NOT_CHECKED


async def test_a_listing_without_end_stops_within_its_share_of_the_time():
    async with serving(stand_in(default=listing(truncated=True))) as port:
        began = perf_counter()
        report = await checked(f"http://127.0.0.1:{port}", pages=10_000, timeout="2s")
        assert perf_counter() - began < 30
    assert measured(report, "objects").note.startswith("at least")


async def test_an_answer_without_end_is_given_up_and_its_rest_is_never_read():
    sent = []

    async def vast(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(0 if head.startswith(b"HEAD") else 200):
            writer.write(b"<" * (1 << 20))
            await writer.drain()
            sent.append(1)

    async with serving(vast) as port:
        report = await checked(f"http://127.0.0.1:{port}", timeout="60s")
    assert finding(report, "objects").outcome is Outcome.ERRORED
    assert finding(report, "objects").note == "the answer is not S3's"
    assert len(sent) < 150  # five answers of 200 MB were begun, of each some 16 MiB were taken


async def test_what_a_store_does_not_offer_is_not_checked_and_what_it_denies_is_errored():
    answers = {
        "lifecycle": refusal("NotImplemented", "501 Not Implemented"),
        "versioning": refusal("AccessDenied", "403 Forbidden"),
        "uploads": refusal("InternalError", "500 Internal Server Error"),
    }
    async with serving(stand_in(**answers)) as port:
        report = await checked(f"http://127.0.0.1:{port}")
    assert finding(report, "lifecycle_rules").outcome is Outcome.NOT_CHECKED
    assert finding(report, "versioning").outcome is Outcome.ERRORED
    assert finding(report, "open_uploads").note == "the store failed: InternalError: No."
    assert measured(report, "objects").value == 1


@pytest.mark.parametrize(
    ("text", "measurement", "outcome", "note"),
    [
        (
            refusal("SlowDown", "503 Slow Down"),
            "reachable",
            Outcome.FAILED,
            "the store failed: 503: Service Unavailable",
        ),
        (answer("", status="403 Forbidden"), "check", Outcome.ERRORED, "the store does not allow it"),
        (answer("<html></html>"), "objects", Outcome.ERRORED, "the answer is no listing of a bucket"),
        (answer("", status="301 Moved"), "check", Outcome.ERRORED, "the bucket lives in another region"),
    ],
)
async def test_an_answer_that_no_healthy_store_gives_is_told_for_what_it_is(text, measurement, outcome, note):
    async with serving(stand_in(default=text)) as port:
        report = await checked(f"http://127.0.0.1:{port}")
    assert finding(report, measurement).outcome is outcome
    assert finding(report, measurement).note.startswith(note)
    assert SECRET not in report.model_dump_json()


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "127.0.0.1:9000", "http://"])
async def test_an_endpoint_that_is_no_address_is_errored(endpoint):
    assert finding(await checked(endpoint), "check").note == "the endpoint is no address"


async def test_tls_at_a_port_without_it_is_a_failed_system(store):
    report = await checked(without_keys(store.address).replace("http", "https"))
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note.startswith("TLS failed")


async def test_one_key_without_the_other_is_refused():
    with pytest.raises(ValueError, match="given both or not at all"):
        kind.Spec.model_validate({"kind": "s3", "bucket": "uploads", "access_key": {"env": "IT_KEY"}})
