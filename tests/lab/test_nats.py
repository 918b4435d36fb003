"""A real NATS server with JetStream, made sick in the ways the runbook fears."""

from __future__ import annotations

import json

import psutil
import pytest

from deployments.lab.servers import HOST, free_ports, nats, running
from tasks.core.results import Outcome
from tests.hostile import answer, check, finding, measured, routed, serving
from tests.lab.waiting import eventually

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(nats.server(tmp_path_factory.mktemp("nats"), free_ports(1)[0], more="max_connections: 5")) as one:
        with nats.client(one.address) as client:
            nats.stream(client, "STORY_GENERATION", "story.*", "narrative-worker", max_msgs=1000)
            nats.stream(client, "OTHER", "other.*", "worker")
        yield one


async def checked(port, **fields):
    return await check({"kind": "nats", "url": f"http://{HOST}:{port}", **fields})


@pytest.fixture
def client(server):
    with nats.client(server.address) as one:
        yield one
        one.request("$JS.API.STREAM.PURGE.STORY_GENERATION", {})


async def test_everything_is_measured_and_a_healthy_server_passes(server):
    report = await checked(server.port)
    assert {f.outcome for f in report.findings} == {Outcome.PASSED}
    assert {m.subject for m in report.measurements if m.name == "messages"} == {"STORY_GENERATION", "OTHER"}
    assert measured(report, "consumers", "STORY_GENERATION").value == 1
    assert 0 <= measured(report, "storage_used").value < 0.8
    assert measured(report, "slow_consumers").value == 0


async def test_a_backlog_is_found_and_gone_when_it_was_purged(server, client):
    limits = {"backlog": {"warn": 100}, "stream_used": {"warn": "10%"}}
    subject = "STORY_GENERATION/narrative-worker"
    for number in range(150):
        client.request("story.new", {"number": number})
    report = await checked(server.port, streams=["STORY_GENERATION"], limits=limits)
    assert finding(report, "backlog", subject).outcome is Outcome.WARNED
    assert finding(report, "backlog", subject).value == 150
    assert finding(report, "stream_used", "STORY_GENERATION").outcome is Outcome.WARNED
    client.request("$JS.API.STREAM.PURGE.STORY_GENERATION", {})
    report = await checked(server.port, streams=["STORY_GENERATION"], limits=limits)
    assert finding(report, "backlog", subject).outcome is Outcome.PASSED
    assert finding(report, "stream_used", "STORY_GENERATION").outcome is Outcome.PASSED


async def test_what_a_worker_took_and_did_not_acknowledge_is_counted(server, client):
    client.request("story.new", {})
    client.request("$JS.API.CONSUMER.MSG.NEXT.STORY_GENERATION.narrative-worker", {"batch": 1})
    report = await checked(server.port, limits={"unacknowledged": {"warn": 0}})
    assert finding(report, "unacknowledged", "STORY_GENERATION/narrative-worker").outcome is Outcome.WARNED


async def test_a_stream_that_is_gone_fails_and_is_well_once_it_is_back(server):
    report = await checked(server.port, streams=["STORY_GENERATION", "LATE"])
    assert finding(report, "stream_present", "LATE").outcome is Outcome.FAILED
    assert finding(report, "stream_present", "STORY_GENERATION").outcome is Outcome.PASSED
    with nats.client(server.address) as client:
        nats.stream(client, "LATE", "late.*", "worker")
        report = await checked(server.port, streams=["LATE"])
        client.request("$JS.API.STREAM.DELETE.LATE", {})
    assert finding(report, "stream_present", "LATE").outcome is Outcome.PASSED


async def test_a_server_that_is_out_of_connections_is_found(server):
    async def share():
        return finding(await checked(server.port), "connections_used").outcome

    with nats.client(server.address) as a, nats.client(server.address) as b, nats.client(server.address) as c:
        for one in (a, b, c):
            one.request("$JS.API.INFO", {})
        with nats.client(server.address) as d, nats.client(server.address) as e:
            for one in (d, e):
                one.request("$JS.API.INFO", {})
            assert await share() is Outcome.FAILED

    async def free():
        return await share() is Outcome.PASSED

    assert await eventually(free)


def test_the_server_listens_on_loopback_only_and_its_command_line_has_no_secret(server):
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == server.port]
    process = psutil.Process(listening[0].pid)
    every = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid == process.pid]
    assert {c.laddr.ip for c in every} == {HOST}
    assert len(every) == 2
    assert server.address.split("@")[0].rsplit(":", 1)[1] not in " ".join(process.cmdline())


async def test_a_server_without_jetstream_has_none_to_check(tmp_path):
    folder, port = tmp_path / "plain", free_ports(1)[0]
    plain = nats.server(folder, port)
    path = folder / "nats.conf"
    kept = [line for line in path.read_text().splitlines() if not line.startswith("jetstream")]
    path.write_text("\n".join(kept))
    with running(plain):
        report = await checked(port, streams=["STORY_GENERATION"])
    assert finding(report, "healthy").outcome is Outcome.PASSED
    assert finding(report, "stream_present").outcome is Outcome.NOT_CHECKED


async def test_a_server_that_says_it_is_unhealthy_fails_with_its_reason():
    told = json.dumps({"status": "unavailable", "status_code": 503, "error": "JetStream is not current"})

    def routes(target, _):
        if target == "/healthz":
            return answer(told, status="503 Service Unavailable")
        return answer(json.dumps({"connections": 1}) if target == "/varz" else "{}")

    async with serving(routed(routes)) as port:
        report = await checked(port)
    assert finding(report, "healthy").outcome is Outcome.FAILED
    assert finding(report, "healthy").note == "JetStream is not current"


@pytest.mark.parametrize(
    "body", ["[]", "null", '{"connections": "many"}', pytest.param("[" * 100_000, id="deep"), "1" * 100]
)
async def test_an_answer_of_another_form_is_errored(body):
    def routes(target, _):
        return answer('{"status": "ok"}' if target == "/healthz" else body)

    async with serving(routed(routes)) as port:
        report = await checked(port)
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "the probe itself failed" not in report.model_dump_json()


async def test_more_streams_than_can_be_listed_are_told_and_those_named_are_still_checked():
    streams = [{"name": f"S{number}", "state": {"messages": number}} for number in range(3000)]
    jsz = json.dumps({"account_details": [{"name": "$G", "stream_detail": streams}]})

    def routes(target, _):
        if target.startswith("/jsz"):
            return answer(jsz)
        return answer('{"status": "ok"}' if target == "/healthz" else '{"connections": 1}')

    async with serving(routed(routes)) as port:
        report = await checked(port, timeout="8s")
        named = await checked(port, timeout="8s", streams=["S2999"])
    assert finding(report, "backlog").outcome is Outcome.ERRORED
    assert "3,000 streams" in finding(report, "backlog").note
    assert measured(named, "messages", "S2999").value == 2999
    assert {f.outcome for f in named.findings} == {Outcome.PASSED}
