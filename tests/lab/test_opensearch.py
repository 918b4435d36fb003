"""A server of OpenSearch's API, made yellow, red and read-only; what it does not tell is answered as documented."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from deployments.lab.servers import free_ports, osmem, running
from tasks.core.results import Outcome
from tests.hostile import answer, check, finding, measured, routed, serving

pytestmark = pytest.mark.lab
PASSWORD = "s3cret-of-search"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(osmem.server(tmp_path_factory.mktemp("opensearch"), free_ports(1)[0])) as one:
        osmem.ask(one.address, "PUT", "/frames", {"settings": {"number_of_replicas": 0}})
        osmem.ask(one.address, "PUT", "/frames/_doc/1?refresh=true", {"brand": "Halo"})
        yield one


async def checked(address, **fields):
    return await check({"kind": "opensearch", "url": address, **fields})


async def test_a_green_cluster_passes_and_what_it_does_not_tell_is_not_checked(server):
    limits = {"disk_used": {"warn": "80%"}, "documents": {"warn": "< 1"}}
    report = await checked(server.address, limits=limits)
    assert finding(report, "replicas_assigned").outcome is Outcome.PASSED
    assert finding(report, "documents", "frames").outcome is Outcome.PASSED
    assert measured(report, "status").value == "green"
    assert measured(report, "nodes").value == 1
    for untold in ("disk_used", "heap_used"):
        assert finding(report, untold).outcome is Outcome.NOT_CHECKED
    assert not report.outcome.is_problem


async def test_a_replica_without_a_node_is_a_warning_until_none_is_wanted(server):
    osmem.ask(server.address, "PUT", "/frames/_settings", {"index": {"number_of_replicas": 1}})
    report = await checked(server.address)
    assert finding(report, "replicas_assigned").outcome is Outcome.WARNED
    assert finding(report, "replicas_assigned").note == "1 shards have no node"
    assert finding(report, "primaries_assigned").outcome is Outcome.PASSED
    osmem.ask(server.address, "PUT", "/frames/_settings", {"index": {"number_of_replicas": 0}})
    assert finding(await checked(server.address), "replicas_assigned").outcome is Outcome.PASSED


async def test_a_primary_that_is_gone_is_a_failure_that_names_the_index_until_it_is_back(server):
    osmem.ask(server.address, "POST", "/frames/_close")
    report = await checked(server.address, limits={"red_indices": {"critical": 0}})
    assert finding(report, "primaries_assigned").outcome is Outcome.FAILED
    assert finding(report, "red_indices").outcome is Outcome.FAILED
    assert finding(report, "red_indices").note == "frames"
    osmem.ask(server.address, "POST", "/frames/_open")
    report = await checked(server.address, limits={"red_indices": {"critical": 0}})
    assert finding(report, "primaries_assigned").outcome is Outcome.PASSED
    assert finding(report, "red_indices").outcome is Outcome.PASSED


async def test_an_index_that_refuses_writes_is_a_failure_until_it_takes_them(server):
    block = "index.blocks.read_only_allow_delete"
    osmem.ask(server.address, "PUT", "/frames/_settings", {block: True})
    report = await checked(server.address)
    assert finding(report, "read_only_indices").outcome is Outcome.FAILED
    assert finding(report, "read_only_indices").note == "frames"
    osmem.ask(server.address, "PUT", "/frames/_settings", {block: None})
    assert finding(await checked(server.address), "read_only_indices").outcome is Outcome.PASSED


async def test_an_index_that_the_spec_names_and_that_is_gone_is_a_failure_until_it_is_back(server):
    report = await checked(server.address, indices=["frames", "stores"])
    assert finding(report, "index_present", "stores").outcome is Outcome.FAILED
    assert finding(report, "index_present", "frames").outcome is Outcome.PASSED
    osmem.ask(server.address, "PUT", "/stores", {"settings": {"number_of_replicas": 0}})
    report = await checked(server.address, indices=["stores"])
    osmem.ask(server.address, "DELETE", "/stores")
    assert finding(report, "index_present", "stores").outcome is Outcome.PASSED


HEALTH = {
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 2,
    "number_of_data_nodes": 2,
    "unassigned_shards": 0,
    "initializing_shards": 0,
    "relocating_shards": 1,
    "number_of_pending_tasks": 3,
    "task_max_waiting_in_queue_millis": 1500,
}


def node(name, used, heap):
    disk = {"total_in_bytes": 1000, "available_in_bytes": 1000 - used}
    return {"name": name, "fs": {"total": disk}, "jvm": {"mem": {"heap_used_percent": heap}}}


def documented(health=HEALTH, nodes=(), indices=(), blocks=None):
    """Answer as OpenSearch documents it, to who has the password."""
    token = b64encode(f"watchkeeper:{PASSWORD}".encode()).decode()
    parts = {
        "/_cluster/health": health,
        "/_nodes/stats": {"nodes": {str(number): one for number, one in enumerate(nodes)}},
        "/_cat/indices": indices,
        "/_all/_settings": blocks or {},
    }

    def routes(target, headers):
        if headers.get("authorization") != f"Basic {token}":
            return answer("Unauthorized", status="401 Unauthorized")
        body = next(body for path, body in parts.items() if target.startswith(path))
        return answer(json.dumps(body))

    return routed(routes)


async def asked(handler, password=PASSWORD, **fields):
    system = {"kind": "opensearch", "user": "watchkeeper", "password": {"env": "IT_PASSWORD"}, "timeout": "8s"}
    async with serving(handler) as port:
        system |= {"url": f"http://127.0.0.1:{port}"}
        return await check(system | fields, {"IT_PASSWORD": password})


async def test_a_node_whose_disk_or_heap_fills_up_is_named():
    report = await asked(documented(nodes=[node("a", 600, 40), node("b", 920, 90)]))
    assert finding(report, "disk_used", "a").outcome is Outcome.PASSED
    assert finding(report, "disk_used", "b").outcome is Outcome.FAILED
    assert finding(report, "heap_used", "b").outcome is Outcome.WARNED
    assert finding(report, "heap_used", "a").outcome is Outcome.PASSED
    assert measured(report, "oldest_pending_task").value == 1.5
    assert measured(report, "relocating_shards").value == 1


async def test_a_wrong_password_is_errored_and_not_shown():
    report = await asked(documented(), password="wr0ng-s3cret")
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "role.json" in finding(report, "check").remedy
    assert "wr0ng-s3cret" not in report.model_dump_json()


async def test_a_cluster_whose_manager_does_not_answer_is_down():
    report = await asked(documented(health=HEALTH | {"timed_out": True}))
    assert finding(report, "reachable").outcome is Outcome.FAILED


async def test_more_indices_than_can_be_listed_are_told():
    indices = [{"index": f"logs-{number}", "health": "green", "docs.count": "1"} for number in range(10_000)]
    report = await asked(documented(nodes=[node("a", 1, 1)], indices=indices))
    assert finding(report, "documents").outcome is Outcome.ERRORED
    assert "10,000 indices" in finding(report, "documents").note
    assert len(report.measurements) < 30


@pytest.mark.parametrize(
    "health", [[], None, {}, HEALTH | {"number_of_nodes": "two"}, pytest.param("x" * (17 << 20), id="long")]
)
async def test_a_health_of_another_form_is_errored(health):
    report = await asked(documented(health=health))
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "the probe itself failed" not in report.model_dump_json()


async def test_a_part_that_is_broken_is_an_error_of_that_part_alone():
    report = await asked(documented(nodes=[{"name": "a", "fs": {"total": {"total_in_bytes": "much"}}}]))
    assert finding(report, "disk_used").outcome is Outcome.ERRORED
    assert finding(report, "read_only_indices").outcome is Outcome.PASSED
