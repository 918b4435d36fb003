"""Kill -9 at every stage, of what writes to a vault and of the store itself: nothing is lost, nothing half is taken."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from deployments.lab import servers
from deployments.lab.servers import free_ports, seaweedfs
from tasks.clients.blobs import open_store
from tasks.core.errors import WatchkeeperError
from tasks.vault.checking import check, clean
from tasks.vault.patience import Patience
from tasks.vault.streams import Recipe
from tests.unit.test_vault import NOW, contents, take, vault_on

pytestmark = pytest.mark.lab
PARTS = {"a": b"one" * 1000, "files/large": bytes(9 << 20)}


def place_of(server, bucket):
    address = urlsplit(server.address)
    client = seaweedfs.client(server.address)
    client.create_bucket(Bucket=bucket)
    client.close()
    return {
        "ENDPOINT": f"http://{address.hostname}:{address.port}",
        "ACCESS_KEY": address.username,
        "SECRET_KEY": address.password,
    }


def killed(url, which, ledger, **environment):
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.killing", url, which],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    ledger.faults += found["faults"]
    ledger.losses += found["losses"]
    ledger.false_successes += found["false"]
    return found["faults"]


def test_whoever_is_killed_at_any_call_a_folder_keeps_what_it_had(tmp_path, ledger):
    assert killed(str(tmp_path / "vault"), "each", ledger) > 60


def test_whoever_is_killed_at_any_sort_of_call_an_s3_store_keeps_what_it_had(s3_server, ledger):
    bucket = f"kill-{uuid.uuid4().hex[:8]}"
    assert killed(f"s3://{bucket}/v", "sorts", ledger, **place_of(s3_server, bucket)) > 20


def test_a_store_that_is_killed_during_a_backup_leaves_none_and_has_what_it_had(tmp_path, ledger):
    server = seaweedfs.server(tmp_path, free_ports(1)[0])
    process = servers.start(server)
    try:
        servers.wait_until_ready(server, alive=lambda: process.poll() is None, timeout=60)
        place = place_of(server, "kill-store")
        store = open_store(
            "s3://kill-store/v",
            endpoint=place["ENDPOINT"],
            access_key=place["ACCESS_KEY"],
            secret_key=place["SECRET_KEY"],
        )
        vault = replace(vault_on(store), recipe=Recipe(vault_on(store).recipe.recipients, threads=0, patience=60))
        kept = take(vault, PARTS)
        with pytest.raises(WatchkeeperError):
            back_up_while_killed(vault, process)
        servers.end(server, process)
        process = servers.start(server)
        servers.wait_until_ready(server, alive=lambda: process.poll() is None, timeout=60)
        found = Patience().call("the store", lambda: contents(vault, kept))  # it answers before it has its volumes
        ledger.saw("the store is killed", lost=found != PARTS, false=vault.manifests() != [kept])
        clean(replace(vault, now=lambda: NOW + timedelta(days=9)), timedelta(days=1))
        assert not any(flaw.lost for flaw in check(vault, read_data=100).flaws)
        assert take(vault, PARTS) in vault.manifests()
    finally:
        servers.end(server, process)


def back_up_while_killed(vault, process):
    with vault.begin("shop", "database", "postgres") as backup, backup.part("files/b", compress=False) as part:
        for number in range(64):
            part.write(os.urandom(1 << 20))
            if number == 20:
                os.kill(process.pid, signal.SIGKILL)
                process.wait(timeout=60)


def test_of_two_backups_at_once_both_are_there(s3_server):
    bucket = f"two-{uuid.uuid4().hex[:8]}"
    place = place_of(s3_server, bucket)
    store = open_store(
        f"s3://{bucket}", endpoint=place["ENDPOINT"], access_key=place["ACCESS_KEY"], secret_key=place["SECRET_KEY"]
    )
    vault, start, made = vault_on(store), threading.Barrier(2), []

    def run():
        start.wait(timeout=60)
        made.append(take(vault, PARTS))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {manifest.folder for manifest in made} == {entry.folder for entry in vault.entries()}
    assert check(vault, read_data=100).flaws == ()
