"""Restoring, verifying and drilling as flows, on a real Prefect API and real files in a real vault."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from flows.dr_drill import dr_drill
from flows.dr_quarter import dr_quarter
from flows.restore_datastore import restore_datastore
from flows.verify_backups import verify_backups
from tasks.backing_up import BackupRun, back_up
from tasks.core.restore import Phase
from tasks.core.settings import Settings
from tasks.recoveries import publish_crashed
from tasks.timers import Timer
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
async def test_the_quarters_paper_is_red_until_the_platform_is_drilled_and_told_with_its_charts(place, slack):
    red = await dr_quarter(return_state=True)
    assert (red.type.value, "not drilled: Tiny" in red.message) == ("FAILED", True)
    await dr_drill("tiny", scenario="complete-platform", tell=False, return_state=True)
    green = await dr_quarter(return_state=True)
    assert (green.type.value, green.name) == ("COMPLETED", "Completed")
    assert ["1 of 1 platform was drilled, 1 would be back" in text for text in told(slack)] == [False, True]
    shown = await artifacts(green.state_details.flow_run_id)
    assert "data:image/png" in shown["dr-quarter-all-platforms"]
    kept_papers = sorted((place / "state" / "reports").glob("all-platforms/dr-quarter/*.json"))
    (drilled,) = json.loads(kept_papers[-1].read_text())["platforms"][0]["drills"]
    assert Path(drilled["evidence"].removeprefix("file://")).name == f"{drilled['id']}.zip"


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
    assert "into scratch: nothing is done yet" in planned.message
    shown = await artifacts(planned.state_details.flow_run_id)
    assert "watchkeeper restore tiny/uploads/" in shown["restore-plan-tiny"]
    assert kept(place, "restore-datastore") == []
    into = str(place / "back")
    done = await restore_datastore("tiny", "uploads", into=into, plan=False, return_state=True)
    assert done.type.value == "COMPLETED"
    assert (place / "back" / "one.txt").read_text() == "one"


@pytest.mark.usefixtures("tiny")
async def test_a_live_target_is_refused_and_the_run_fails(place):
    into = str(place / "uploads")
    planned = await restore_datastore("tiny", "uploads", into=into, return_state=True)
    assert (planned.type.value, "cannot be done here" in planned.message) == ("FAILED", True)
    state = await restore_datastore("tiny", "uploads", into=into, plan=False, tell=False, return_state=True)
    assert state.type.value == "FAILED"
    assert "is the live system tiny/uploads" in kept(place, "restore-datastore")[0]["error"]
    assert [path.name for path in (place / "uploads").iterdir()] == ["one.txt"]


def at_phase(monkeypatch, phase, act):
    """Have something happen when a phase is entered, once."""
    real, done = Timer.phase, threading.Event()

    @contextlib.contextmanager
    def entered(self, entering):
        with real(self, entering):
            if entering is phase and not done.is_set():
                done.set()
                act()
                time.sleep(0.2)  # the loop hears of it, and the next step is not taken
                self.check()
            yield

    monkeypatch.setattr(Timer, "phase", entered)


def scratch(place):
    folder = place / "state" / "scratch"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def gone(place):
    while scratch(place):
        time.sleep(0.05)


async def cancelled(running, monkeypatch, phase):
    """Run a flow that is cancelled, as Prefect does it, when a phase is entered."""
    task, loop = asyncio.ensure_future(running), asyncio.get_running_loop()
    at_phase(monkeypatch, phase, lambda: loop.call_soon_threadsafe(task.cancel))
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("phase", [Phase.DETECT, Phase.RESTORE, Phase.VERIFY])
async def test_a_drill_that_is_cancelled_tears_all_down_and_tells_how_far_it_came(place, slack, monkeypatch, phase):
    await cancelled(dr_drill("tiny", return_state=True), monkeypatch, phase)
    (report,) = kept(place, "dr-drill")
    assert (report["verdict"], report["interrupted"]) == ("unknown", "cancelled after 0 of 1 systems")
    assert "ended before its time (cancelled after 0 of 1 systems), and proves nothing" in told(slack)[0]
    assert scratch(place) == []
    assert list((place / "state" / "drills").iterdir()) == []


@pytest.mark.usefixtures("tiny")
async def test_a_restore_and_a_verification_that_are_cancelled_tell_so_and_leave_nothing(place, slack, monkeypatch):
    into = str(place / "back")
    running = restore_datastore("tiny", "uploads", into=into, plan=False, return_state=True)
    await cancelled(running, monkeypatch, Phase.RESTORE)
    assert kept(place, "restore-datastore")[0]["error"] == "it was cancelled"
    await cancelled(verify_backups("tiny", return_state=True), monkeypatch, Phase.VERIFY)
    (found,) = kept(place, "verify-backups")
    assert (found["verdict"], found["backups"][0]["error"]) == ("unknown", "it was cancelled")
    assert len(told(slack)) == 2
    assert scratch(place) == []


@pytest.mark.usefixtures("tiny")
async def test_what_takes_too_long_to_tear_down_is_named_and_the_run_ends_all_the_same(place, monkeypatch):
    held, begun = threading.Event(), threading.Event()

    def stuck(*_):
        begun.set()
        held.wait(60)
        yield from ()

    monkeypatch.setattr("tasks.recoveries._TEAR_DOWN", 0.2)
    monkeypatch.setattr("tasks.systems.files.verify.compare", stuck)
    task = asyncio.ensure_future(dr_drill("tiny", tell=False, return_state=True))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (report,) = kept(place, "dr-drill")
    assert [one["system"] for one in report["systems"]] == ["uploads"]
    assert report["systems"][0]["error"] == "it was in the phase verify"
    assert "scratch/tiny-uploads-" in report["left_running"][0]
    held.set()
    await asyncio.to_thread(gone, place)


async def started(place, spec, prefect_api):
    """Start a drill as a process of its own, and return it once the application's test is under way."""
    waiting = ["sh", "-c", "touch under-way; exec sleep 300"]
    spec["drill"] = {"smoke": {"slow": {"command": waiting, "folder": str(place), "addresses": {"AT": "uploads"}}}}
    write(place, spec)
    async with get_client() as client:
        run = await client.create_flow_run(dr_drill, parameters={"platform": "tiny"})
    entrypoint = f"{Path(__file__).parents[2] / 'flows' / 'dr_drill.py'}:dr_drill"
    environment = os.environ | {
        "PREFECT_API_URL": prefect_api,
        "PREFECT__FLOW_RUN_ID": str(run.id),
        "PREFECT__FLOW_ENTRYPOINT": entrypoint,
    }
    process = subprocess.Popen([sys.executable, "-m", "prefect.engine"], env=environment)  # noqa: ASYNC220 - ours
    try:
        while not (place / "under-way").exists():
            assert process.poll() is None
            await asyncio.sleep(0.05)
    except BaseException:
        process.kill()
        raise
    return run, process


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_drill_whose_process_is_ended_tells_how_far_it_came(place, spec, slack, prefect_api, number):
    run, process = await started(place, spec, prefect_api)
    process.send_signal(number)
    process.wait(60)
    if number is signal.SIGKILL:
        assert kept(place, "dr-drill") == []
        assert scratch(place) != []
        await publish_crashed(dr_drill, run, None)
    (report,) = kept(place, "dr-drill")
    assert report["verdict"] == "unknown"
    assert report["interrupted"].endswith("after 1 of 1 systems")
    assert [(one["system"], one["outcome"]) for one in report["systems"]] == [("uploads", "passed")]
    assert "after 1 of 1 systems), and proves nothing" in told(slack)[0]
    assert scratch(place) == []
    assert list((place / "state" / "drills").iterdir()) == []
