"""The flow on a real Prefect API, real sockets and Slack's stand-in: published first, then failed."""

import json

import pytest

from deployments.lab.servers import free_ports
from deployments.lab.slack import SlackStandIn
from flows.deliver_reports import deliver_reports
from flows.health_check import health_check
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tests.flows.conftest import PASSWORD, artifacts, checks, logs, reports, write

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_api"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Prefect's own connections to its server
]


async def run(**parameters):
    return await health_check("tiny", return_state=True, **parameters)


def told(slack):
    return [message["text"] for message in slack.messages("#tiny")]


@pytest.mark.usefixtures("tiny")
async def test_a_healthy_platform_completes_and_is_kept_shown_and_told(place, slack):
    state = await run()
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    (report,) = reports(place)
    assert report["verdict"] == "passed"
    assert report["run_url"].endswith(str(state.state_details.flow_run_id))
    (text,) = told(slack)
    assert "Tiny" in text
    shown = await artifacts(state.state_details.flow_run_id)
    assert set(shown) == {"health-check-tiny", "health-check-tiny-findings", "health-check-tiny-progress"}
    assert shown["health-check-tiny-progress"] == 100
    assert "Tiny" in shown["health-check-tiny"]


@pytest.mark.usefixtures("tiny")
async def test_a_sick_platform_is_published_first_and_then_the_run_fails_with_its_verdict(place, slack, service):
    service.status = 503
    state = await run()
    assert state.is_failed()
    assert "Tiny: failed" in state.message
    assert "503" in state.message
    (report,) = reports(place)
    assert report["verdict"] == "failed"
    assert len(told(slack)) == 1
    assert "503" in (await artifacts(state.state_details.flow_run_id))["health-check-tiny"]


@pytest.mark.usefixtures("tiny")
async def test_what_changed_since_the_report_before_is_said(place, service):
    await run()
    service.status = 503
    await run()
    first, second = reports(place)
    assert second["changes"]["previous"] == first["id"]
    assert [finding["subject"] for finding in second["changes"]["new"]] == ["/health"]


@pytest.mark.usefixtures("tiny")
async def test_what_is_published_is_evidence_whose_head_is_told_outside(place, slack):
    await run()
    state = await run()
    ledger = Ledger(FolderStore(place / "state" / "evidence"))
    found = ledger.verify()
    assert (found.records, found.fault) == (2, None)
    (_, first), (_, second) = ledger.records()
    assert json.loads(first)["facts"]["id"] == reports(place)[0]["id"]
    assert str(state.state_details.flow_run_id) in json.loads(second)["by"]
    seal = f"evidence 2:{found.head.sha256[:16]}"
    assert [seal in json.dumps(message["blocks"]) for message in slack.messages("#tiny")] == [False, True]


@pytest.mark.usefixtures("tiny")
async def test_a_ledger_that_cannot_be_written_is_told_and_holds_nothing_up(place, slack):
    (place / "state").mkdir()
    (place / "state" / "evidence").write_text("", encoding="utf-8")
    state = await run()
    assert state.name == "Warned"
    (text,) = told(slack)
    assert "evidence ledger" in text
    assert len(reports(place)) == 1


@pytest.mark.usefixtures("tiny")
async def test_slack_that_is_down_is_told_later_and_once(place, monkeypatch):
    (port,) = free_ports(1)
    monkeypatch.setenv("WATCHKEEPER_SLACK_URL", f"http://127.0.0.1:{port}/api/")
    state = await run()
    assert (state.type.value, state.name) == ("COMPLETED", "Warned")
    assert "Slack was not told yet" in state.message
    assert len(reports(place)) == 1
    assert (await deliver_reports(return_state=True)).name == "Pending"
    with SlackStandIn(place / "later", port) as slack:
        assert (await deliver_reports(return_state=True)).name == "Completed"
        assert (await deliver_reports(return_state=True)).name == "Completed"
        assert len(told(slack)) == 1


@pytest.mark.usefixtures("tiny")
async def test_a_token_that_slack_refuses_is_seen_in_the_run_and_shows_no_secret(place, monkeypatch):
    monkeypatch.setenv("TINY_SLACK_TOKEN", "xoxp-wrong-and-secret")
    state = await run()
    assert state.name == "Warned"
    assert "invalid_auth" in state.message
    text = await logs(state.state_details.flow_run_id, "invalid_auth")
    assert "invalid_auth" in text
    assert "xoxp-wrong-and-secret" not in text + state.message
    assert len(list((place / "state" / "outbox").rglob("parcel.json"))) == 1


@pytest.mark.usefixtures("tiny")
async def test_a_report_store_that_cannot_be_written_is_told_and_the_report_is_not_lost(place, slack, monkeypatch):
    (place / "in-the-way").write_text("", encoding="utf-8")
    monkeypatch.setenv("WATCHKEEPER_REPORTS", str(place / "in-the-way"))
    state = await run()
    assert state.name == "Warned"
    (text,) = told(slack)
    assert "report store" in text
    assert "report store" in (await artifacts(state.state_details.flow_run_id))["health-check-tiny"]


async def test_a_broken_spec_is_told_to_the_channel_that_it_names(place, slack, spec):
    write(place, spec | {"systmes": {}})
    state = await run()
    assert state.is_failed()
    (text,) = told(slack)
    assert "Tiny" in text
    (report,) = reports(place)
    assert report["verdict"] == "unknown"
    assert "tiny.yaml:" in report["systems"][0]["findings"][0]["note"]


async def test_a_spec_that_is_no_yaml_is_told_to_the_channel_of_the_settings(place, slack, monkeypatch):
    monkeypatch.setenv("WATCHKEEPER_SLACK_CHANNEL", "#tiny")
    (place / "platforms" / "tiny.yaml").write_text("a: [", encoding="utf-8")
    assert (await run()).is_failed()
    assert len(told(slack)) == 1


async def test_a_secret_that_is_not_set_spoils_its_own_system_only(place, tiny):
    tiny["systems"]["cache"] = {"kind": "redis", "url": {"env": "TINY_REDIS_URL"}}
    write(place, tiny)
    state = await run()
    assert state.is_failed()
    outcomes = {s["name"]: [f["outcome"] for f in s["findings"]] for s in reports(place)[0]["systems"]}
    assert outcomes["cache"] == ["errored"]
    assert set(outcomes["api"]) == {"passed"}


async def test_no_secret_is_in_a_log_an_artifact_or_a_report(place, tiny, monkeypatch):
    (port,) = free_ports(1)
    monkeypatch.setenv("TINY_REDIS_URL", f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    tiny["systems"]["cache"] = {"kind": "redis", "url": {"env": "TINY_REDIS_URL"}}
    write(place, tiny)
    state = await run()
    run_id = state.state_details.flow_run_id
    seen = [await logs(run_id, "Tiny"), str(await artifacts(run_id)), str(reports(place)), state.message]
    assert not [text for text in seen if PASSWORD in text]


@pytest.mark.usefixtures("tiny")
async def test_only_the_chosen_systems_are_checked_and_a_wrong_name_is_answered_with_the_likely_one(place):
    assert (await run(systems=["api"], tell=False)).is_completed()
    state = await run(systems=["apo"], tell=False)
    assert state.is_failed()
    assert "did you mean 'api'?" in state.message
    assert len(reports(place)) == 1


@pytest.mark.usefixtures("tiny")
async def test_a_platform_that_does_not_exist_is_answered_with_the_likely_one():
    state = await health_check("tinny", return_state=True)
    assert state.is_failed()
    assert "did you mean 'tiny'?" in state.message


@pytest.mark.usefixtures("tiny")
async def test_slack_is_left_alone_where_the_form_says_so(slack):
    assert (await run(tell=False)).is_completed()
    assert told(slack) == []


async def test_five_hundred_systems_are_checked_in_batches_and_told_as_one(place, spec, service, slack):
    (closed,) = free_ports(1)
    expect = {"/health": {"requests": 1, "latency": {"critical": "60s"}}}
    ports = [closed if number in (7, 499) else service.server_port for number in range(500)]
    spec["confirm"] = {"looks": 1}
    spec["systems"] = {
        f"api-{number:03}": {"kind": "http", "url": f"http://127.0.0.1:{port}", "timeout": "60s", "expect": expect}
        for number, port in enumerate(ports)
    }
    write(place, spec)
    state = await run()
    assert state.is_failed()
    (report,) = reports(place)
    assert [one["name"] for one in report["systems"]] == list(spec["systems"])
    bad = [one["name"] for one in report["systems"] if {f["outcome"] for f in one["findings"]} != {"passed"}]
    assert bad == ["api-007", "api-499"]
    (message,) = slack.messages("#tiny")
    assert len(message["blocks"]) <= 50
    assert "api-007" in message["text"]
    run_id = state.state_details.flow_run_id
    assert {"check api-000 to api-024", "check api-475 to api-499"} <= await checks(run_id)
    assert len(await checks(run_id)) == 20
    shown = await artifacts(run_id)
    assert shown["health-check-tiny-progress"] == 100
    assert len(json.loads(shown["health-check-tiny-findings"])) >= 500
