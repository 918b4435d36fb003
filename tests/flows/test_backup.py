"""The flow on a real Prefect API and a real Valkey: backed up, published first, then failed where something failed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from deployments.bootstrap import bootstrap, job_template
from deployments.lab.servers import free_ports
from flows.backup import backup
from tasks.clients.blobs import FolderStore
from tasks.locks import lock_names
from tasks.platforms import load, platform_names
from tasks.vault.keys import new_key
from tasks.vault.vault import Vault
from tests.flows.conftest import PASSWORD, artifacts, write

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


@pytest.fixture
async def locks():
    names = ["backup-tiny-cache", "backup-tiny-gone"]
    async with get_client() as client:
        for name in names:
            await client.upsert_global_concurrency_limit_by_name(name, 1)
        yield names
        for name in names:
            await client.delete_global_concurrency_limit_by_name(name)


@pytest.fixture
def tiny(place, spec, redis_server, monkeypatch):
    """A platform with one Redis that is backed up into two folders."""
    (port,) = free_ports(1)
    monkeypatch.setenv("TINY_CACHE", redis_server.address)
    monkeypatch.setenv("TINY_GONE", f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    spec["vaults"] = {
        name: {"kind": "folder", "path": str(place / name), "keep": {"last": 3}} for name in ("local", "far")
    }
    spec["encryption"] = {"recipients": [new_key().recipient]}
    spec["systems"]["cache"] = {"kind": "redis", "url": {"env": "TINY_CACHE"}, "backup": {"to": ["local", "far"]}}
    return write(place, spec)


def with_a_dead_one(place, spec):
    spec["systems"]["gone"] = {"kind": "redis", "url": {"env": "TINY_GONE"}, "backup": {"to": ["local"]}}
    write(place, spec)


async def run(**parameters):
    return await backup("tiny", return_state=True, **parameters)


def entries(place, vault):
    return Vault(vault, FolderStore(place / vault)).entries("tiny")


def kept(place):
    found = sorted((place / "state" / "reports").glob("tiny/backup/*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def told(slack):
    return [message["text"] for message in slack.messages("#tiny")]


@pytest.mark.usefixtures("tiny", "locks")
async def test_a_platform_is_backed_up_copied_kept_shown_and_told(place, slack):
    state = await run()
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    (local,), (far,) = entries(place, "local"), entries(place, "far")
    assert (local.state, far.state) == ("complete", "complete")
    assert local.id == far.id
    (report,) = kept(place)
    assert report["verdict"] == "passed"
    assert [one["system"] for one in report["backups"]] == ["cache"]
    assert report["run_url"].endswith(str(state.state_details.flow_run_id))
    (text,) = told(slack)
    assert "Tiny, backup: backed up" in text
    shown = await artifacts(state.state_details.flow_run_id)
    assert set(shown) == {"backup-tiny", "backup-tiny-lines", "backup-tiny-progress"}
    assert shown["backup-tiny-progress"] == 100
    assert local.id in shown["backup-tiny"]


@pytest.mark.usefixtures("locks")
async def test_a_system_that_fails_is_published_first_the_others_are_backed_up_and_the_run_fails(place, slack, tiny):
    with_a_dead_one(place, tiny)
    state = await run()
    assert state.is_failed()
    assert "1 of 2 backups failed" in state.message
    assert [entry.system for entry in entries(place, "local")] == ["cache"]
    (report,) = kept(place)
    assert [one["system"] for one in report["failed"]] == ["gone"]
    (text,) = told(slack)
    assert "gone (rdb)" in text
    assert PASSWORD not in json.dumps(report) + text + state.message


@pytest.mark.usefixtures("tiny")
async def test_without_its_lock_a_system_is_not_backed_up_and_the_cure_is_told(place):
    state = await run()
    assert state.is_failed()
    assert entries(place, "local") == []
    (report,) = kept(place)
    assert "the lock of cache cannot be had" in report["failed"][0]["reason"]
    assert "watchkeeper up" in report["failed"][0]["hint"]


@pytest.mark.usefixtures("tiny", "locks")
async def test_two_runs_at_once_back_a_system_up_one_after_the_other(place):
    first, second = await asyncio.gather(run(tell=False), run(tell=False))
    assert first.is_completed()
    assert second.is_completed()
    one, other = [Vault("local", FolderStore(place / "local")).get(entry.folder) for entry in entries(place, "local")]
    earlier, later = sorted((one, other), key=lambda manifest: manifest.started)
    assert earlier.ended <= later.started


@pytest.mark.usefixtures("tiny", "locks")
async def test_a_broken_spec_is_told_to_the_channel_that_it_names(place, slack, tiny):
    tiny["systems"]["cache"]["backup"] = {"to": ["lcoal"]}
    write(place, tiny)
    state = await run()
    assert state.is_failed()
    assert "nothing was backed up" in state.message
    (text,) = told(slack)
    assert "Tiny, backup" in text
    (report,) = kept(place)
    assert "did you mean 'local'" in report["notes"][0]


async def test_applying_the_deployments_makes_a_lock_for_every_system_that_is_backed_up():
    await bootstrap("process", job_template("process", {}), wait=60)
    async with get_client() as client:
        there = {one.name: one.limit for one in await client.read_global_concurrency_limits(limit=200)}
    wanted = {name for platform in platform_names() for name in lock_names(load(platform))}
    assert len(wanted) > len(platform_names())
    assert {name: there.get(name) for name in wanted} == dict.fromkeys(wanted, 1)


SLOW = """
import asyncio, sys
from tasks.systems.redis import backup as backing
from tasks.core.errors import WatchkeeperError

def begun(spec, access, sink, order):
    with sink.part(backing.PART) as writer:
        writer.write(b"REDIS" * 100_000)
        print("writing", flush=True)
        sys.stdin.read()

backing.backup = begun
from flows.backup import backup
asyncio.run(backup("tiny", tell=False))
"""


@pytest.mark.usefixtures("tiny", "locks")
async def test_a_run_that_is_killed_in_the_middle_leaves_nothing_that_looks_like_a_backup(place, prefect_api):
    environment = os.environ | {"PREFECT_API_URL": prefect_api, "PREFECT_HOME": str(place / "home")}
    command = [sys.executable, "-c", SLOW]
    with subprocess.Popen(  # noqa: S603, ASYNC220 - our own program, and the loop has nothing else to do
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert any(line.strip() == "writing" for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert kept(place) == []
    assert [entry for entry in entries(place, "local") if entry.state == "complete"] == []
    assert entries(place, "far") == []
