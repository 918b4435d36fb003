"""A real RabbitMQ, seen by a user with the documented grant; what one node cannot show is answered as documented."""

from __future__ import annotations

import contextlib
import json

import psutil
import pytest

from deployments.lab.servers import HOST, free_ports, rabbitmq, running
from tasks.core.errors import NotOffered
from tasks.core.results import Outcome
from tests.hostile import answer, check, finding, measured, routed, serving
from tests.lab.waiting import eventually

pytestmark = pytest.mark.lab
PASSWORD = "wk-rabbit-s3cret"


@contextlib.contextmanager
def broker(folder, **options):
    try:
        server = rabbitmq.server(folder, free_ports(1)[0], **options)
    except NotOffered as error:
        pytest.skip(str(error))
    with running(server, timeout=90):
        rabbitmq.monitoring_user(server.address, "watchkeeper", PASSWORD)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("rabbitmq")) as one:
        rabbitmq.declare(one.address, "try-on")
        yield one


async def checked(port, password=PASSWORD, **fields):
    system = {"kind": "rabbitmq", "url": f"http://{HOST}:{port}", "user": "watchkeeper"}
    return await check(system | {"password": {"env": "IT"}, "timeout": "8s"} | fields, {"IT": password})


async def seen(server, measurement, subject, outcome, **fields):
    """Wait for an outcome: the management API gathers its figures once a second."""

    async def as_expected():
        report = await checked(server.port, **fields)
        found = [f.outcome for f in report.findings if (f.measurement, f.subject) == (measurement, subject)]
        return report if found == [outcome] else None

    return await eventually(as_expected)


async def test_a_healthy_broker_is_measured_by_a_user_with_just_the_grant(server):
    report = await seen(server, "memory_used", rabbitmq.NODE, Outcome.PASSED)
    report = await seen(server, "consumers", "try-on", Outcome.PASSED, limits={"consumers": {"critical": "< 0"}})
    assert {f.outcome for f in report.findings} == {Outcome.PASSED}
    names = {m.name for m in report.measurements}
    assert names >= {"alarms", "partitions", "nodes_running", "disk_free", "files_used", "messages", "channels"}


async def test_a_backlog_is_found_and_gone_when_it_was_worked_off(server):
    limits = {"messages": {"warn": 50}}
    rabbitmq.publish(server.address, "try-on", 60)
    report = await seen(server, "messages", "try-on", Outcome.WARNED, limits=limits)
    assert finding(report, "messages", "try-on").value == 60
    rabbitmq.purge(server.address, "try-on")
    await seen(server, "messages", "try-on", Outcome.PASSED, limits=limits)


async def test_a_queue_without_consumers_fails_until_there_is_one(server):
    fields = {"queues": ["try-on"], "limits": {"consumers": {"critical": "< 1"}, "unacknowledged": {"warn": 0}}}
    await seen(server, "consumers", "try-on", Outcome.FAILED, **fields)
    with rabbitmq.consuming(server.address, "try-on"):
        await seen(server, "consumers", "try-on", Outcome.PASSED, **fields)
        rabbitmq.publish(server.address, "try-on", 1)
        await seen(server, "unacknowledged", "try-on", Outcome.WARNED, **fields)
    await seen(server, "consumers", "try-on", Outcome.FAILED, **fields)
    rabbitmq.purge(server.address, "try-on")


async def test_a_queue_that_is_gone_fails_and_is_well_once_it_is_back(server):
    report = await checked(server.port, queues=["late/queue"])
    assert finding(report, "queue_present", "late/queue").outcome is Outcome.FAILED
    rabbitmq.declare(server.address, "late/queue")
    report = await checked(server.port, queues=["late/queue"])
    rabbitmq.ask(server.address, "DELETE", "/api/queues/%2F/late%2Fqueue")
    assert finding(report, "queue_present", "late/queue").outcome is Outcome.PASSED


async def test_a_wrong_password_is_errored_and_not_shown(server):
    report = await checked(server.port, password="wr0ng-s3cret")
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "monitoring" in finding(report, "check").remedy
    assert "wr0ng-s3cret" not in report.model_dump_json()


async def test_the_broker_listens_on_loopback_only_and_its_command_line_has_no_secret(server):
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == server.port]
    process = psutil.Process(listening[0].pid)
    ours = {process.pid, *(child.pid for child in process.children(recursive=True))}
    every = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid in ours]
    assert {c.laddr.ip for c in every} == {HOST}
    assert server.address.split("@")[0].rsplit(":", 1)[1] not in " ".join(process.cmdline())


async def test_a_disk_that_is_full_raises_an_alarm_that_is_found(tmp_path):
    with broker(tmp_path / "full", disk_free_limit=10**18) as server:
        report = await seen(server, "alarms", "", Outcome.FAILED)
    assert finding(report, "alarms").note == f"disk of {rabbitmq.NODE}"


FIGURES = {"messages_ready": 0, "messages_unacknowledged": 0, "consumers": 1}
NODE = {"name": "rabbit@a", "running": True, "mem_alarm": False, "disk_free_alarm": False, "partitions": []}
NODE |= {"mem_used": 10, "mem_limit": 100, "disk_free": 9}


def documented(*nodes, queues=()):
    def routes(target, _):
        if target.startswith("/api/overview"):
            body = {"object_totals": {"connections": 1, "channels": 1}}
        elif target.startswith("/api/nodes"):
            body = nodes
        else:
            body = {"items": queues[:500], "filtered_count": len(queues)}
        return answer(json.dumps(body))

    return routed(routes)


async def test_a_node_that_stopped_a_partition_and_a_memory_alarm_are_each_found_and_named():
    sick = NODE | {"mem_alarm": True, "mem_used": 99, "partitions": ["rabbit@b"]}
    async with serving(documented(sick, {"name": "rabbit@b", "running": False})) as port:
        report = await checked(port)
    assert finding(report, "nodes_running").outcome is Outcome.FAILED
    assert finding(report, "nodes_running").note == "not running: rabbit@b"
    assert finding(report, "partitions").outcome is Outcome.FAILED
    assert finding(report, "alarms").note == "memory of rabbit@a"
    assert finding(report, "memory_used", "rabbit@a").outcome is Outcome.FAILED
    async with serving(documented(NODE)) as port:
        assert not (await checked(port)).outcome.is_problem


async def test_a_queue_without_its_majority_fails_and_the_age_of_its_oldest_message_is_measured():
    queues = [FIGURES | {"name": "q", "state": "minority", "head_message_timestamp": 1}]
    async with serving(documented(NODE, queues=queues)) as port:
        report = await checked(port, limits={"oldest_message": {"warn": "1h"}})
    assert finding(report, "queue_running", "q").outcome is Outcome.FAILED
    assert finding(report, "oldest_message", "q").outcome is Outcome.WARNED


async def test_what_has_told_no_figures_yet_is_not_checked_rather_than_well():
    young = {"name": "rabbit@a", "running": True}
    async with serving(documented(young, queues=[{"name": "q"}])) as port:
        report = await checked(port)
    assert finding(report, "alarms").outcome is Outcome.NOT_CHECKED
    assert finding(report, "messages", "q").outcome is Outcome.NOT_CHECKED
    assert finding(report, "consumers", "q").outcome is Outcome.NOT_CHECKED


async def test_more_queues_than_can_be_listed_are_told():
    queues = [FIGURES | {"name": f"q{number}"} for number in range(800)]
    async with serving(documented(NODE, queues=queues)) as port:
        report = await checked(port)
    assert finding(report, "messages").outcome is Outcome.ERRORED
    assert "800 queues" in finding(report, "messages").note
    assert measured(report, "messages", "q0").value == 0


@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"object_totals": {"connections": "many"}}', "<html>"])
async def test_an_overview_of_another_form_is_errored(body):
    async with serving(routed(lambda *_: answer(body))) as port:
        report = await checked(port)
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "the probe itself failed" not in report.model_dump_json()
