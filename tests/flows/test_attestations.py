"""A month waits for people without a process: on a real Prefect server, by the form that a person fills in there."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.flow_runs import aresume_flow_run
from prefect.states import Scheduled

from flows.attest_control import attest_control
from flows.collect_attestations import collect_attestations
from flows.note_downtime import note_downtime
from flows.remind_attestations import remind_attestations
from flows.waive_control import waive_control
from tasks import platforms, statements
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tasks.controls import about
from tasks.core.settings import Settings

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api", "tiny"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]
ASKED = sorted(control.id for control in about("platform") if control.attestable)
ANSWER = {
    "by": "Ada Byron",
    "statement": "all five answered",
    "evidence": "https://wiki.example/calls",
    "valid_until": "2099-01-31 Asia/Tashkent",
}


@pytest.fixture
async def waiting():
    """Return what starts the run that asks, as a worker would, and the client that resumes it."""
    async with get_client() as client:
        flow_id = await client.create_flow(collect_attestations)
        deployment = await client.create_deployment(flow_id, name="tiny")
        run = await client.create_flow_run_from_deployment(deployment, parameters={"platform": "tiny"})

        async def carry_on():
            now = await client.read_flow_run(run.id)
            with suppress(Pause):  # by which a suspended run ends its process
                await run_flow_async(collect_attestations, flow_run=now, parameters=now.parameters, return_type="state")
            return (await client.read_flow_run(run.id)).state

        yield run.id, carry_on
        await client.set_flow_run_state(run.id, Scheduled(), force=True)


def attest(*names):
    given = {"by": "Ada Byron", "text": "all five answered", "evidence": "https://wiki.example/calls"}
    for name in names:
        statements.state("attestation", "tiny", name, Settings(), until="2099-01-31 UTC", **given)


def lists(place):
    folder = place / "state" / "reports" / "tiny" / "compliance-checklist"
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [{item["control"]: item for item in one["items"]} for one in found]


def evidence(place):
    ledger = Ledger(FolderStore(place / "state" / "evidence"))
    return [json.loads(data) for _, data in ledger.records()]


async def test_a_run_waits_suspended_for_each_statement_and_publishes_the_list_once_all_were_given(
    place, slack, waiting
):
    run_id, carry_on = waiting
    attest(*ASKED[2:])
    state = await carry_on()
    assert (state.type, state.name) == (StateType.PAUSED, "Suspended")
    left = state.state_details.pause_timeout - datetime.now(UTC)
    assert timedelta(days=6, hours=20) < left <= timedelta(days=7)
    assert "to attest until" in slack.messages("#tiny")[-1]["text"]
    assert lists(place) == []
    with pytest.raises(Exception, match="valid_until"):
        await aresume_flow_run(run_id, run_input=ANSWER | {"control": ASKED[0], "valid_until": "2099-01-31"})
    told = len(slack.messages("#tiny"))
    await aresume_flow_run(run_id, run_input=ANSWER | {"control": ASKED[0], "valid_until": "2001-01-31 UTC"})
    state = await carry_on()
    assert state.name == "Suspended"  # what is over already is asked for again
    for name in ASKED[:2]:
        assert state.name == "Suspended", name
        await aresume_flow_run(run_id, run_input=ANSWER | {"control": name})
        state = await carry_on()
    assert state.is_completed(), state
    (made,) = lists(place)
    assert {made[name]["result"] for name in ASKED} == {"attested"}
    assert "Ada Byron: all five answered" in made[ASKED[0]]["reason"]
    assert len(slack.messages("#tiny")) == told + 1
    flows = [record["flow"] for record in evidence(place)]
    assert flows[len(ASKED[2:]) :] == ["collect-attestations", "attestation", "attestation", "compliance-checklist"]


async def test_what_nobody_answered_is_closed_as_not_attested_and_the_rest_is_published(place, waiting, monkeypatch):
    _, carry_on = waiting
    assert (await carry_on()).name == "Suspended"
    assert (await remind_attestations(return_state=True)).is_completed()
    assert lists(place) == []
    later = platforms.access

    def in_a_week(settings):
        access = later(settings)
        return access.__class__(**{**vars(access), "now": lambda: datetime.now(UTC) + timedelta(days=8)})

    monkeypatch.setattr("tasks.platforms.access", in_a_week)
    assert "1 request closed" in (await remind_attestations(return_state=True)).message
    (made,) = lists(place)
    assert made[ASKED[0]]["result"] == "fail"
    assert made[ASKED[0]]["findings"][0].startswith("not attested: people were asked")
    assert made["evidence-intact"]["result"] == "pass"
    assert "0 requests closed" in (await remind_attestations(return_state=True)).message
    assert len(lists(place)) == 1


async def test_what_is_answered_by_another_form_lets_the_waiting_run_go_on(place, waiting):
    run_id, carry_on = waiting
    assert (await carry_on()).name == "Suspended"
    attest(*ASKED)
    assert (await remind_attestations(return_state=True)).is_completed()
    async with get_client() as client:
        assert (await client.read_flow_run(run_id)).state.is_scheduled()
    assert (await carry_on()).is_completed()
    assert {lists(place)[0][name]["result"] for name in ASKED} == {"attested"}


async def test_a_reminder_is_told_once(place, slack):
    soon = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%MZ")
    given = {"owner": "Ada", "statement": "seen", "evidence": "https://wiki.example/1", "valid_until": soon}
    assert attest_control("tiny", ASKED[0], **given, return_state=True).is_completed()
    for reminders in (1, 1):
        assert (await remind_attestations(return_state=True)).is_completed()
        assert sum("soon to lapse" in message["text"] for message in slack.messages("#tiny")) == reminders
    assert [record["flow"] for record in evidence(place)] == ["attestation", "remind-attestations"]


def test_a_form_that_is_refused_fails_with_the_cure_and_keeps_nothing(place):
    given = {"owner": "Ada", "statement": "seen", "evidence": "trust me", "valid_until": "2099-01-31 UTC"}
    state = attest_control("tiny", ASKED[0], **given, return_state=True)
    assert state.is_failed()
    assert "evidence attach" in state.message
    waiver = {"reason": "moved", "owner": "Ada", "approver": "ada", "until": "2099-01-31 UTC"}
    state = waive_control("tiny", "backups-encrypted", **waiver, return_state=True)
    assert (state.is_failed(), "somebody else" in state.message) == (True, True)
    state = waive_control("tiny", "backups-encrypted", **waiver | {"approver": "Bob"}, return_state=True)
    assert (state.is_completed(), "approved by Bob" in state.message) == (True, True)
    times = {"begin": "2026-11-20T06:00Z", "until": "2026-11-20T05:00Z"}
    state = note_downtime("tiny", **times, reason="moved", owner="Ada", return_state=True)
    assert (state.is_failed(), "before it begins" in state.message) == (True, True)
    assert [record["flow"] for record in evidence(place)] == ["waiver"]
