"""The manifests that belong to the platforms, held against a cluster that refuses what the real one refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.resources import RESOURCES
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.loopback import Request

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "kubernetes"
MANIFESTS = sorted(FOLDER.glob("*/*.yaml"))


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster.for_admin("apex", "token", lambda: datetime(2026, 11, 25, 9, tzinfo=UTC))
    plant(cluster, SEEDS["apex"])
    return cluster


def applied(cluster, document):
    resource = next(r for r in RESOURCES if (r.kind, r.api_version) == (document["kind"], document["apiVersion"]))
    base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    meta = document["metadata"]
    path = f"{base}/namespaces/{meta['namespace']}/{resource.plural}/{meta['name']}"
    headers = {"authorization": "Bearer token", "content-type": "application/apply-patch+yaml"}
    query = {"fieldManager": "watchkeeper", "force": "true"}
    answer = handle(cluster, Request("PATCH", path, query, headers, yaml.safe_dump(document).encode()))
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_manifest_is_accepted_by_the_cluster_and_kept_as_it_is_written(cluster, path):
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        status, kept = applied(cluster, document)
        assert status in (200, 201), kept
        part = "data" if "data" in document else "spec"
        assert kept[part].items() >= {k: v for k, v in document[part].items() if not isinstance(v, dict)}.items()
    cluster.settle()


def test_the_manifests_are_those_that_the_runbook_has():
    assert [path.name for path in MANIFESTS] == ["backup-cronjob.yaml", "keda-scaler.yaml", "postgresql-archiving.yaml"]


def manifest(name):
    return yaml.safe_load((FOLDER / "apex" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "path", "value", "field"),
    [
        ("backup-cronjob.yaml", ("schedule",), "every night", "spec.schedule"),
        ("backup-cronjob.yaml", ("timeZone",), "Mars/Base", "spec.timeZone"),
        ("backup-cronjob.yaml", ("concurrencyPolicy",), "Never", "spec.concurrencyPolicy"),
        ("backup-cronjob.yaml", ("jobTemplate",), {}, "spec.jobTemplate.spec.template.spec.containers"),
        ("keda-scaler.yaml", ("triggers",), [], "spec.triggers"),
        ("keda-scaler.yaml", ("scaleTargetRef",), {}, "spec.scaleTargetRef.name"),
        ("keda-scaler.yaml", ("triggers", 0, "metadata", "listLength"), 100, "spec.triggers[0].metadata.listLength"),
    ],
)
def test_the_cluster_would_refuse_a_wrong_one(cluster, name, path, value, field):
    document = manifest(name)
    document["metadata"]["name"] = "wrong"
    here = document["spec"]
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    status, refusal = applied(cluster, document)
    assert status == 422
    assert field in {cause["field"] for cause in refusal["details"]["causes"]}
