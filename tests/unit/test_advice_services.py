"""Advice on a Swarm's services, and on read replicas of a PostgreSQL."""

import numpy as np
import pytest
import yaml

from tasks.core.advice import read_replicas, services
from tasks.core.advice.amounts import GIB, MIB
from tasks.core.advice.facts import Container, Kill, Usage
from tasks.core.advice.model import Advice, Fine, Unjudged, When
from tests.unit.test_advice import series
from tests.unit.test_advice_workloads import DAY, NOW, frame


def service(busiest, memory, *, reserved=512 * MIB, limit=GIB, cores=2.0, tasks=2, kills=()):
    container = Container("api", None, cores, reserved, limit)
    used = frame(busiest * tasks, memory, pods=tasks)
    return services.Service("shop_api", tasks, container, Usage({"api": used}, kills=kills, source="test"))


def test_a_service_that_fits_is_left_as_it_is():
    assert isinstance(services.advise("m/service/shop_api", service(0.5 + 0.1 * DAY, 420 * MIB), NOW), Fine)


def test_a_service_that_ran_out_of_memory_gets_more_by_a_command_and_in_its_stack_file():
    killed = service(0.5 + 0.1 * DAY, 1000 * MIB, kills=(Kill("api", NOW, GIB),))
    found = services.advise("m/service/shop_api", killed, NOW)
    assert isinstance(found, Advice)
    assert found.when is When.NOW
    assert [(one.what, one.before) for one in found.changes] == [
        ("memory reservation", "512M"),
        ("memory limit", "1024M"),
    ]
    command, document = found.patches
    size = found.changes[1].after
    assert command.text == f"docker service update --limit-memory {size} --reserve-memory {size} shop_api\n"
    deploy = yaml.safe_load(document.text)["services"]["api"]["deploy"]
    assert deploy == {
        "replicas": 2,
        "resources": {"limits": {"memory": size, "cpus": "2"}, "reservations": {"memory": size}},
    }
    assert "pod" not in "".join(found.evidence)


def test_a_service_that_comes_near_its_processors_gets_more_tasks():
    found = services.advise("m/service/shop_api", service(1.5 + 0.1 * DAY, 420 * MIB), NOW, ahead=2.1)
    assert [(one.what, one.before, one.after) for one in found.changes] == [("tasks", "2", "3")]
    assert found.why == "its busiest task comes to 2.1 cores within a month, and may use 2.0 cores"
    assert "--replicas 3" in found.patches[0].text


def test_what_a_service_reserves_is_not_advised_on_where_nobody_tells_it():
    assert isinstance(services.advise("k", service(0.5 + 0.1 * DAY, 420 * MIB, reserved=None), NOW), Fine)
    found = services.advise("k", service(0.5 + 0.1 * DAY, 1000 * MIB, reserved=None), NOW)
    assert [one.what for one in found.changes] == ["memory limit"]
    assert "reserve" not in "".join(one.text for one in found.patches)
    nothing = services.Service("shop_api", 1, Container("api"), Usage(reason="Prometheus does not tell"))
    assert services.advise("k", nothing, NOW).reason == "Prometheus does not tell"


ADD = 'terraform apply -var="db_read_replicas={count}"'


def replicas(reads=0.9, connections=0.9, processor=None, count=1):
    busy = None if processor is None else series(np.float64(processor) + 0.0 * DAY)
    return read_replicas.Replicas(count, ADD, reads, series(np.float64(connections) + 0.0 * DAY), busy)


def test_a_server_that_reads_bring_near_its_limits_gets_a_replica_by_the_runbooks_command():
    found = read_replicas.advise("database/replicas", replicas(processor=0.8))
    assert isinstance(found, Advice)
    assert (found.when, found.do) == (When.MONTH, "add a read replica: 1 → 2, and send it what only reads")
    assert found.why == "connections at most 90%, processor at most 80%, and 90% of its rows are read"
    assert found.patches[0].text == 'terraform apply -var="db_read_replicas=2"\n'
    # of 10 % writes and 90 % reads the primary keeps 55 % with one replica and 40 % with two
    assert [(one.before, one.after) for one in found.replay] == [(90, 65), (80, 58)]


@pytest.mark.parametrize(
    ("given", "ahead", "outcome", "said"),
    [
        ({"connections": 0.3}, {}, Fine, "1 read replicas are enough: connections at most 30%"),
        ({"connections": 0.3}, {"connections": 0.75}, Advice, ""),
        ({"reads": 0.4}, {}, Fine, "a larger server helps, a replica does not"),
        ({"reads": None}, {}, Unjudged, "younger than a day"),
    ],
)
def test_a_replica_is_advised_only_where_it_would_take_the_load(given, ahead, outcome, said):
    found = read_replicas.advise("database/replicas", replicas(**given), ahead)
    assert isinstance(found, outcome)
    assert said in getattr(found, "note", "") + getattr(found, "reason", "")


def test_a_server_of_which_nothing_was_measured_is_not_judged():
    blank = read_replicas.Replicas(0, ADD, 0.9)
    assert isinstance(read_replicas.advise("database/replicas", blank), Unjudged)
