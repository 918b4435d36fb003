"""What a cluster tells of how it is guarded: where its nodes are, when Secrets were changed; never what is in them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest

from deployments.lab.kubernetes import faults
from deployments.lab.loopback import Answer
from tasks.core.audit import Part
from tasks.core.compliance_plan import CompliancePlan, Rotation
from tasks.systems.kubernetes.audit import audit
from tasks.systems.kubernetes.spec import Spec
from tests.lab.clusters import access, lab

pytestmark = pytest.mark.lab


@pytest.fixture
def cluster(tmp_path):
    with lab(tmp_path) as made:
        yield made


def told(cluster, **rotation):
    spec = Spec(kind="kubernetes", kubeconfig=str(cluster.config), namespace="apex")
    return asyncio.run(audit(spec, CompliancePlan(rotation=Rotation(**rotation)), access()))


def test_a_node_that_stands_abroad_is_told_until_it_is_mended(cluster):
    assert {place.region for place in told(cluster).places} == {"eu-central-1"}
    faults.FAULTS["node-abroad"](cluster.cluster)
    assert sorted(place.region for place in told(cluster).places) == ["eu-central-1", "eu-central-1", "us-east-1"]
    faults.mend(cluster.cluster)
    assert {place.region for place in told(cluster).places} == {"eu-central-1"}


def test_a_secret_was_changed_when_its_annotation_its_managers_or_its_creation_say_so(cluster):
    at = "2026-05-01T00:00:00+00:00"
    fields = [
        {"manager": "helm", "time": "2026-02-01T00:00:00Z", "fieldsV1": {"f:data": {}}},
        {"manager": "labels", "time": "2026-06-01T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    cluster.add("secrets", "stated", metadata={"annotations": {"watchkeeper/rotated-at": at}}, data={})
    cluster.add("secrets", "managed", metadata={"managedFields": fields}, data={})
    cluster.add("secrets", "renewed-tls", data={})
    cluster.add("secrets", "token", metadata={"annotations": {"kubernetes.io/service-account.name": "x"}}, data={})
    found = {one.name: one for one in told(cluster, exempt=("*-tls",)).secrets}
    assert set(found) == {"Secret apex-secrets", "Secret stated", "Secret managed"}
    assert found["Secret stated"].changed == datetime.fromisoformat(at)
    assert found["Secret managed"].changed == datetime.fromisoformat("2026-02-01T00:00:00Z")
    assert found["Secret apex-secrets"].by == "its creation"


def test_a_server_that_sends_whole_secrets_is_refused_and_their_values_go_nowhere(cluster):
    def whole(request):
        if request.path.endswith("/secrets"):
            item = {
                "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "data": {"x": "aHVudGVyMg=="},
            }
            return Answer.of({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [item]})
        return None

    cluster.between = whole
    found = told(cluster)
    assert found.secrets == []
    assert "whole objects" in found.gaps[Part.SECRETS]
    assert "aHVudGVyMg" not in repr(found)


def test_no_value_of_a_secret_is_ever_asked_for(cluster):
    cluster.asked.clear()
    found = told(cluster)
    asked = [request for request in cluster.asked if "secrets" in request.path]
    assert asked
    assert all("PartialObjectMetadataList" in request.headers["accept"] for request in asked)
    assert "lab-apex-secrets-value" not in json.dumps(found.resources)


def test_what_is_not_granted_is_a_gap_of_its_part_and_the_others_are_told(cluster):
    cluster.limit_to([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])
    found = told(cluster)
    assert len(found.places) == 3
    assert set(found.gaps) == {Part.RESOURCES, Part.SECRETS}


def test_what_others_made_is_judged_where_it_was_written(cluster):
    kinds = [resource["kind"] for resource in told(cluster).resources]
    assert "Deployment" in kinds
    assert "Pod" not in kinds
    cluster.add("pods", "alone", spec={"containers": []})
    assert [one["metadata"]["name"] for one in told(cluster).resources if one["kind"] == "Pod"] == ["alone"]
    assert not any(one["metadata"]["name"] == "cluster-admin" for one in told(cluster).resources)
