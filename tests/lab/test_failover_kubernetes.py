"""A service of the lab is moved to another region's pods by its selector, rehearsed first, and moved back."""

import pytest

from deployments.lab.kubernetes.resources import known
from tasks.core.errors import ConfigError, PermanentError
from tasks.core.results import Outcome
from tasks.systems.kubernetes import failover
from tests.lab import clusters
from tests.lab.clusters import access, until

SERVICE, STANDBY = "stylesync-api-service", "stylesync-api-us-west-2"
LABELS = {"region": "us-west-2"}
BEFORE = {"app": "stylesync-api"}


@pytest.fixture
def made(tmp_path):
    with clusters.lab(tmp_path, "stylesync", runs=True) as made:
        yield made


def stand_by(made, replicas=2):
    """Let so many pods of the other region run, which the service's selector takes in as well as the first's."""
    standby = made.get("deployments", STANDBY, "default")
    made.cluster.store.put(known("deployments"), {**standby, "spec": {**standby["spec"], "replicas": replicas}})
    until(lambda: len(endpoints(made)) == 3 + replicas)


def endpoints(made):
    slices = made.cluster.store.all("endpointslices", "default")
    (mine,) = (item for item in slices if item["metadata"]["labels"]["kubernetes.io/service-name"] == SERVICE)
    return [one["targetRef"]["name"] for one in mine["endpoints"] if one["conditions"]["ready"]]


def selector(made):
    return made.get("services", SERVICE, "default")["spec"]["selector"]


def spec(made):
    return clusters.spec(made, namespace="default")


def outcomes(assertions):
    return [assertion.outcome for assertion in assertions]


def test_a_rehearsal_shows_that_the_move_would_be_taken_and_writes_nothing(made):
    stand_by(made)
    asked = len(made.asked)
    told = failover.rehearse(spec(made), access(), SERVICE, LABELS)
    assert outcomes(told) == [Outcome.PASSED] * 4, told
    assert told[0].observed == "2"
    assert selector(made) == BEFORE
    written = [request for request in made.asked[asked:] if request.method != "GET"]
    assert [request.query["dryRun"] for request in written] == ["All"]


def test_a_rehearsal_is_red_where_no_pod_of_the_other_region_is_ready(made):
    stand_by(made, 0)
    told = failover.rehearse(spec(made), access(), SERVICE, LABELS)
    assert outcomes(told) == [Outcome.FAILED, Outcome.PASSED, Outcome.PASSED, Outcome.PASSED]
    assert told[0].name == "pods of app=stylesync-api,region=us-west-2 are ready"


def test_a_switch_moves_the_endpoints_and_the_way_back_restores_the_very_selector(made):
    stand_by(made)
    with failover.opened(spec(made), access()) as moving:
        move = moving.plan(SERVICE, LABELS)
        assert outcomes(moving.switch(move)) == [Outcome.PASSED] * 2
        assert selector(made) == BEFORE | LABELS
        assert sorted(endpoints(made)) == list(move.pods_after)
        assert outcomes(moving.switch(move.back)) == [Outcome.PASSED] * 2
        assert selector(made) == BEFORE
        assert sorted(endpoints(made)) == list(move.pods_before)


def test_a_switch_to_a_region_where_nobody_is_ready_is_refused(made):
    stand_by(made, 0)
    with failover.opened(spec(made), access()) as moving:
        move = moving.plan(SERVICE, LABELS)
        with pytest.raises(ConfigError, match="no pod that is ready"):
            list(moving.switch(move))
    assert selector(made) == BEFORE


def test_a_selector_that_somebody_changed_is_not_overwritten(made):
    stand_by(made)
    with failover.opened(spec(made), access()) as moving:
        move = moving.plan(SERVICE, LABELS)
        service = made.get("services", SERVICE, "default")
        changed = {**service["spec"], "selector": {"app": "another"}}
        made.cluster.store.put(known("services"), {**service, "spec": changed})
        with pytest.raises(PermanentError, match="changed since: it is app=another"):
            list(moving.switch(move))
        assert Outcome.FAILED in outcomes(moving.rehearse(move))
    assert selector(made) == {"app": "another"}


def test_endpoints_that_do_not_follow_in_time_are_told(made):
    stand_by(made)
    made.cluster.stop()
    with failover.opened(spec(made), access()) as moving:
        told = list(moving.switch(moving.plan(SERVICE, LABELS), within=0.5))
    assert outcomes(told) == [Outcome.PASSED, Outcome.FAILED]
    assert len(told[1].observed.split(", ")) == 5


@pytest.mark.parametrize(
    ("service", "labels", "why"),
    [
        ("nowhere", LABELS, "no service nowhere"),
        (SERVICE, BEFORE, "selects app=stylesync-api already"),
        ("bare", LABELS, "has no selector"),
    ],
)
def test_what_cannot_be_moved_is_refused(made, service, labels, why):
    made.add("services", "bare", "default", spec={"ports": [{"port": 80}], "clusterIP": "None"})
    with failover.opened(spec(made), access()) as moving, pytest.raises(ConfigError, match=why):
        moving.plan(service, labels)
