"""Retention and the check of vaults as flows, over a real vault in a folder: planned, approved, carried out, told."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client

from flows.prune import prune
from flows.vault_check import vault_check
from tasks.clients.blobs import FolderStore
from tasks.core.backup import Taken
from tasks.vault.vault import Vault
from tests.flows.conftest import artifacts, write

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]
NOW = datetime.now(UTC)


@pytest.fixture
async def locks():
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name("backup-tiny-cache", 1)
        yield
        await client.delete_global_concurrency_limit_by_name("backup-tiny-cache")


@pytest.fixture
def tiny(place, spec):
    spec["vaults"] = {"local": {"kind": "folder", "path": str(place / "vault"), "keep": {"last": 8}}}
    spec["encryption"] = "none"
    spec["systems"]["cache"] = {"kind": "redis", "url": {"env": "TINY_CACHE"}, "backup": {"to": ["local"]}}
    return write(place, spec)


def vault(place):
    return Vault("local", FolderStore(place / "vault"), encrypted=False)


def fill(place, days):
    """Put a backup of each of the last days into the vault, the oldest first."""
    for back in reversed(range(days)):
        at = NOW - timedelta(days=back)
        then = Vault("local", FolderStore(place / "vault"), encrypted=False, now=lambda at=at: at)
        with then.begin("tiny", "cache", "redis") as backup:
            with backup.part("dump.rdb") as part:
                part.write(b"REDIS" * 100)
            backup.commit(Taken(method="rdb", consistent_as_of=at))
    return [entry.folder for entry in vault(place).entries("tiny")]


def there(place):
    return [entry.folder for entry in vault(place).entries("tiny")]


def kept(place, flow):
    found = sorted((place / "state" / "reports").glob(f"tiny/{flow}/*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


@pytest.mark.usefixtures("tiny", "locks")
async def test_what_no_rule_keeps_goes_and_every_backup_has_its_reason(place, slack):
    folders = fill(place, 10)
    state = await prune("tiny", return_state=True)
    assert state.is_completed()
    assert there(place) == folders[2:]
    (report,) = kept(place, "prune")
    (plan,) = report["vaults"]
    assert sorted(plan["removed"]) == folders[:2]
    assert all(one["reasons"] for one in (*plan["keep"], *plan["remove"]))
    (message,) = slack.messages("#tiny")
    assert "2 backups removed" in message["text"]
    shown = await artifacts(state.state_details.flow_run_id)
    assert all(folder in shown["prune-tiny"] for folder in folders)


@pytest.mark.usefixtures("tiny", "locks")
async def test_more_than_the_cap_waits_until_a_person_approves_that_very_plan(place):
    folders = fill(place, 20)
    state = await prune("tiny", return_state=True)
    assert state.name == "Warned"
    assert there(place) == folders
    (first,) = kept(place, "prune")
    assert f"approve={first['fingerprint']}" in (await artifacts(state.state_details.flow_run_id))["prune-tiny"]
    wrong = await prune("tiny", approve="0123456789ab", return_state=True)
    assert wrong.name == "Warned"
    assert there(place) == folders
    assert "was approved, and the plan is" in kept(place, "prune")[-1]["notes"][0]
    assert (await prune("tiny", approve=first["fingerprint"], return_state=True)).name == "Completed"
    assert there(place) == folders[12:]


@pytest.mark.usefixtures("tiny", "locks")
async def test_a_plan_that_is_only_asked_for_removes_nothing(place):
    folders = fill(place, 10)
    await prune("tiny", apply=False, return_state=True)
    assert there(place) == folders
    (report,) = kept(place, "prune")
    assert [len(plan["remove"]) for plan in report["vaults"]] == [2]


@pytest.mark.usefixtures("tiny", "locks")
async def test_nothing_goes_after_a_backup_that_failed(place):
    folders = fill(place, 10)
    failed = {
        "id": "tiny-backup-20260101T000000Z-000",
        "platform": "tiny",
        "title": "Tiny",
        "timezone": "UTC",
        "started": NOW.isoformat(),
        "finished": NOW.isoformat(),
        "restore_point": "x",
        "failed": [
            {"system": "cache", "title": "c", "kind": "redis", "method": "rdb", "vault": "local", "reason": "down"}
        ],
    }
    path = place / "state" / "reports" / "tiny" / "backup" / f"{failed['id']}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(failed), encoding="utf-8")
    assert (await prune("tiny", return_state=True)).is_completed()
    assert there(place) == folders


@pytest.mark.usefixtures("tiny")
async def test_without_the_locks_nothing_is_removed_and_the_report_says_why(place, slack):
    folders = fill(place, 10)
    state = await prune("tiny", return_state=True)
    assert state.is_failed()
    assert there(place) == folders
    assert "cannot be had" in kept(place, "prune")[0]["vaults"][0]["error"]
    assert len(slack.messages("#tiny")) == 1


@pytest.mark.usefixtures("tiny")
async def test_a_sound_vault_passes_and_its_bytes_are_read(place, slack):
    fill(place, 3)
    state = await vault_check("tiny", read_data=100, return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    (report,) = kept(place, "vault-check")
    assert report["vaults"][0]["backups"] == 3
    assert report["vaults"][0]["bytes_read"] > 0
    assert "3 backups in 1 vault" in slack.messages("#tiny")[0]["text"]


@pytest.mark.usefixtures("tiny")
async def test_a_part_that_was_changed_fails_the_check_after_it_was_told(place, slack):
    folders = fill(place, 3)
    part = place / "vault" / folders[1] / "data" / "dump.rdb.zst"
    part.write_bytes(bytes(part.stat().st_size))
    state = await vault_check("tiny", read_data=100, return_state=True)
    assert state.is_failed()
    (message,) = slack.messages("#tiny")
    assert "backups are lost" in message["text"]
    assert folders[1] in str(message["blocks"])


@pytest.mark.usefixtures("tiny")
async def test_what_is_being_written_just_now_is_no_flaw_and_what_was_begun_yesterday_is_one(place):
    fill(place, 2)
    for at in (NOW, NOW - timedelta(days=2)):
        unended = place / "vault" / "tiny" / "cache" / f"{at:%Y%m%dT%H%M%SZ}-00000000" / "data" / "dump.rdb"
        unended.parent.mkdir(parents=True)
        unended.write_bytes(b"half")
    state = await vault_check("tiny", return_state=True)
    assert state.name == "Warned"
    (flaw,) = kept(place, "vault-check")[0]["vaults"][0]["flaws"]
    assert flaw["folder"].endswith(f"{NOW - timedelta(days=2):%Y%m%dT%H%M%SZ}-00000000")
    assert not flaw["lost"]


@pytest.mark.usefixtures("tiny")
async def test_a_vault_that_cannot_be_looked_at_fails_the_check(place):
    (place / "vault").write_text("in the way", encoding="utf-8")
    state = await vault_check("tiny", return_state=True)
    assert state.is_failed()
    assert kept(place, "vault-check")[0]["vaults"][0]["error"]
