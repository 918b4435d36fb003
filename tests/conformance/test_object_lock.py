"""Object lock, really enforced by a SeaweedFS: what is locked stays, whoever asks."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from deployments.lab.servers import seaweedfs
from tasks.clients.blobs import Lock, open_store
from tasks.clients.ledger import Ledger
from tasks.core.errors import ConfigError, Denied
from tasks.core.retention import Policy
from tasks.vault.checking import check
from tasks.vault.pruning import foresee
from tasks.vault.vault import Vault
from tests.unit.test_vault import PARTS, contents, take

pytestmark = pytest.mark.lab
LARGE = {**PARTS, "files/large": bytes(9 << 20)}


@pytest.fixture
def bucket(s3_server):
    """Return a client and a function that makes a bucket."""
    client = seaweedfs.client(s3_server.address)

    def make(**options):
        name = f"lock-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=name, **options)
        return name

    yield client, make
    client.close()


def vault_in(s3_server, bucket, lock):
    address = urlsplit(s3_server.address)
    place = {
        "endpoint": f"http://{address.hostname}:{address.port}",
        "access_key": address.username,
        "secret_key": address.password,
    }
    store, keeper = (open_store(f"s3://{bucket}/v", **place, lock=each) for each in (None, lock))
    return Vault("locked", store, encrypted=False, keeper=keeper)


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_locked_backup_can_be_read_marked_and_not_removed(s3_server, bucket, mode):
    client, make = bucket
    name = make(ObjectLockEnabledForBucket=True)
    vault = vault_in(s3_server, name, Lock(timedelta(days=1), mode))
    manifest = take(vault, LARGE)
    assert contents(vault, manifest, None) == LARGE
    objects = [entry["Key"] for entry in client.list_objects_v2(Bucket=name)["Contents"]]
    assert len(objects) == len(LARGE) + 2
    for key in objects:
        head = client.head_object(Bucket=name, Key=key)
        assert head["ObjectLockMode"] == mode.upper()
        assert timedelta(hours=23) < head["ObjectLockRetainUntilDate"] - datetime.now(UTC) < timedelta(hours=25)
        with pytest.raises(client.exceptions.ClientError):
            client.delete_object(Bucket=name, Key=key, VersionId=head["VersionId"])
    with pytest.raises(Denied, match=r"keeps .* until 20"):
        vault.remove(manifest.folder)
    with pytest.raises(Denied, match="keeps it until 20"):
        vault.keeping.delete(f"{manifest.folder}/manifest.json")
    assert vault.get(manifest.folder) == manifest
    vault.pin(manifest.folder, by="kim", why="a mark is not locked")
    vault.unpin(manifest.folder)
    assert vault.pin_of(manifest.folder) is None
    assert check(vault, read_data=100).flaws == ()


def test_retention_knows_what_is_locked_and_says_so(s3_server, bucket):
    _, make = bucket
    vault = vault_in(s3_server, make(ObjectLockEnabledForBucket=True), Lock(timedelta(days=1)))
    first, second = take(vault, PARTS), take(vault, PARTS)
    found = foresee(vault, "shop", Policy(last=1), cap=1.0)
    assert found.plan.remove == ()
    reasons = {one.id: one.reasons for one in found.plan.keep}
    assert any(
        reason.startswith("locked until") for folder in (first.folder, second.folder) for reason in reasons[folder]
    )


def test_when_the_lock_has_ended_every_version_goes(s3_server, bucket):
    client, make = bucket
    name = make(ObjectLockEnabledForBucket=True)
    vault = vault_in(s3_server, name, Lock(timedelta(seconds=4)))
    manifest = take(vault, {"a": b"1"})
    deadline = time.monotonic() + 60
    while not removed(vault, manifest.folder):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    versions = client.list_object_versions(Bucket=name)
    assert [one["Key"] for one in versions.get("Versions", ())] == []


def removed(vault, folder):
    try:
        vault.remove(folder) if vault.entries()[0].state == "complete" else vault.finish_removal(folder)
    except Denied:
        return False
    return True


@pytest.mark.parametrize("options", [{}, "versioned"])
def test_a_bucket_without_object_lock_is_refused_before_anything_is_read(s3_server, bucket, options):
    client, make = bucket
    name = make()
    if options == "versioned":
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    vault = vault_in(s3_server, name, Lock(timedelta(days=1)))
    with pytest.raises(ConfigError, match=r"has no object lock .*leave lock out"):
        take(vault, {"a": b"1"})
    assert vault.store.list() == []
    vault.store.put("unlocked", b"1")
    with pytest.raises(ConfigError, match="did not lock it"):
        vault.keeping.require_lock("unlocked")


def test_a_ledger_that_is_locked_keeps_every_record_and_is_read_by_segments(s3_server, bucket):
    client, make = bucket
    name = make(ObjectLockEnabledForBucket=True)
    plain = vault_in(s3_server, name, None).store
    locked = vault_in(s3_server, name, Lock(timedelta(days=1))).keeper
    writers = [Ledger(plain, locked, folder=10) for _ in range(2)]
    for number in range(13):
        writers[number % 2].append({"n": number})
    ledger = Ledger(plain, locked, folder=10)
    head = ledger.head()
    assert ledger.verify(head)[:3] == (13, head, None)
    assert [key[-24:] for key in plain.list("segments/")] == ["segments/0000000.jsonl.gz"[-24:]]
    record = "v/records/0000000/0000000005.json"
    found = client.head_object(Bucket=name, Key=record)
    assert found["ObjectLockRetainUntilDate"] > datetime.now(UTC)
    with pytest.raises(client.exceptions.ClientError):
        client.delete_object(Bucket=name, Key=record, VersionId=found["VersionId"])
    held = client.get_object(Bucket=name, Key=record)["Body"].read()
    client.put_object(Bucket=name, Key=record, Body=held.replace(b'"n":4', b'"n":9'))  # a new version hides the old one
    assert ledger.verify(head).fault == (5, "it was changed: its hash is another")
    with pytest.raises(ConfigError, match="no object lock"):
        Ledger(plain, vault_in(s3_server, make(), Lock(timedelta(days=1))).keeper).append({"n": 1})


def test_a_folder_that_is_told_to_lock_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot lock"):
        open_store(tmp_path, lock=Lock(timedelta(days=1)))
