"""The checklist as a flow: what is not kept is told first and fails the run, and the list is evidence itself."""

import json

import pytest

from flows.compliance_checklist import compliance_checklist
from flows.health_check import health_check
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tests.flows.conftest import artifacts

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


@pytest.mark.usefixtures("tiny")
async def test_a_checklist_is_kept_shown_told_and_becomes_evidence(place, slack):
    await health_check("tiny", return_state=True)
    state = await compliance_checklist("tiny", return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Warned")
    (kept,) = (place / "state" / "reports" / "tiny" / "compliance-checklist").glob("*.json")
    results = {one["control"]: one["result"] for one in json.loads(kept.read_text(encoding="utf-8"))["items"]}
    assert (results["checks-ran"], results["evidence-intact"]) == ("not checked", "pass")
    assert results["incident-contacts"] == "not checked"
    assert "compliance-checklist-tiny" in await artifacts(state.state_details.flow_run_id)
    assert "not checked" in slack.messages("#tiny")[-1]["text"]
    assert Ledger(FolderStore(place / "state" / "evidence")).verify().records == 2


@pytest.mark.usefixtures("tiny")
async def test_a_ledger_that_was_tampered_with_fails_the_checklist(place):
    await health_check("tiny", return_state=True)
    (path,) = (place / "state" / "evidence" / "records").rglob("*.json")
    path.write_bytes(path.read_bytes().replace(b"passed", b"failed"))
    state = await compliance_checklist("tiny", return_state=True)
    assert state.is_failed()
    assert "not kept: evidence-intact" in state.message
