"""Restoring, verifying and drilling as flows, on a real Prefect API and real files in a real vault."""

import json

import pytest

from flows.dr_drill import dr_drill
from flows.restore_datastore import restore_datastore
from flows.verify_backups import verify_backups
from tasks.backing_up import BackupRun, back_up
from tasks.core.settings import Settings
from tasks.vault.keys import new_key
from tests.flows.conftest import artifacts, write

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_api")]


@pytest.fixture
def tiny(place, spec, monkeypatch):
    """A platform whose uploads are backed up into a folder."""
    pair = new_key()
    monkeypatch.setenv("TINY_IDENTITY", pair.identity)
    (place / "uploads").mkdir()
    (place / "uploads" / "one.txt").write_text("one")
    spec["vaults"] = {"local": {"kind": "folder", "path": str(place / "vault"), "keep": {"last": 3}}}
    spec["encryption"] = {"recipients": [pair.recipient], "identity": {"env": "TINY_IDENTITY"}}
    spec["recovery"] = {"rto": "1h", "rpo": "1h"}
    spec["systems"]["uploads"] = {"kind": "files", "root": str(place / "uploads"), "backup": {"to": ["local"]}}
    write(place, spec)
    report = back_up(BackupRun.open("tiny", (), Settings()), told=lambda *_: None, done=lambda _made: None)
    assert not report.failed
    return report


def kept(place, flow):
    found = sorted((place / "state" / "reports").glob(f"tiny/{flow}/*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def told(slack):
    return [message["text"] for message in slack.messages("#tiny")]


def damage(place):
    part = next((place / "vault").rglob("data/*"))
    part.write_bytes(part.read_bytes()[:-1])


@pytest.mark.usefixtures("tiny")
async def test_a_drill_is_kept_shown_and_told_with_its_charts(place, slack):
    state = await dr_drill("tiny", return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    (report,) = kept(place, "dr-drill")
    assert (report["verdict"], report["rto"]["target"]) == ("passed", 3600)
    assert "Tiny would be back in" in told(slack)[0]
    shown = await artifacts(state.state_details.flow_run_id)
    assert "data:image/png" in shown["dr-drill-tiny"]


@pytest.mark.usefixtures("tiny")
async def test_a_drill_of_a_damaged_backup_is_told_first_and_fails_then(place, slack):
    damage(place)
    state = await dr_drill("tiny", return_state=True)
    assert state.type.value == "FAILED"
    assert kept(place, "dr-drill")[0]["verdict"] == "failed"
    assert "would not be back" in told(slack)[0]


@pytest.mark.usefixtures("tiny")
async def test_a_weeks_verification_is_recorded_told_and_fails_where_a_backup_does_not_restore(place, slack):
    assert (await verify_backups("tiny", return_state=True)).type.value == "COMPLETED"
    damage(place)
    assert (await verify_backups("tiny", level=1, return_state=True)).type.value == "FAILED"
    assert [one["verdict"] for one in kept(place, "verify-backups")] == ["passed", "failed"]
    assert "1 of 1 backup restored and compared" in told(slack)[0]


@pytest.mark.usefixtures("tiny")
async def test_a_restore_is_only_planned_until_a_person_says_otherwise(place):
    planned = await restore_datastore("tiny", "uploads", return_state=True)
    assert planned.name == "Planned"
    assert "into scratch" in planned.message
    assert kept(place, "restore-datastore") == []
    into = str(place / "back")
    done = await restore_datastore("tiny", "uploads", into=into, plan=False, return_state=True)
    assert done.type.value == "COMPLETED"
    assert (place / "back" / "one.txt").read_text() == "one"


@pytest.mark.usefixtures("tiny")
async def test_a_live_target_is_refused_and_the_run_fails(place):
    into = str(place / "uploads")
    state = await restore_datastore("tiny", "uploads", into=into, plan=False, tell=False, return_state=True)
    assert state.type.value == "FAILED"
    assert "is the live system tiny/uploads" in kept(place, "restore-datastore")[0]["error"]
    assert [path.name for path in (place / "uploads").iterdir()] == ["one.txt"]
