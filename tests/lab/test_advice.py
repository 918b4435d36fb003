"""Advice from live systems: read with the least grants, its patches taken by the lab's API, and then nothing to say."""

from __future__ import annotations

import functools
import math
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
import redis as redis_client
import yaml

import tasks.systems.kubernetes as kubernetes_kind
from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.cluster import Cluster as LabCluster
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.kubernetes.serving import kubeconfig
from deployments.lab.loopback import Listeners
from tasks.clients.cluster import Connection, Place
from tasks.clients.secrets import SecretResolver
from tasks.core.advice.amounts import GIB, MIB
from tasks.core.advice.bundle import Aim, Facts, Namespace, advise_all
from tasks.core.advice.facts import Usage
from tasks.core.advice.model import Advice, Fine, Unjudged, When
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.core.units import parse_duration
from tasks.looking_ahead import CapacityPlan
from tasks.systems import kinds, platform_model
from tests.unit.test_advice_workloads import frame

pytestmark = pytest.mark.lab

TOKEN = "lab-token-of-apex"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
SCALED_OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "apex-worker-scaler", "namespace": "apex"},
    "spec": {
        "scaleTargetRef": {"name": "apex-worker"},
        "minReplicaCount": 2,
        "maxReplicaCount": 10,
        "triggers": [
            {"type": "redis", "metadata": {"address": "r:6379", "listName": "celery", "listLength": "100"}},
        ],
    },
}


class Lab:
    """A cluster on a port, with the clock in the test's hands."""

    def __init__(self, folder):
        self.cluster = LabCluster.for_admin("apex", TOKEN, lambda: NOW)
        plant(self.cluster, SEEDS["apex"])
        self.store, self.config = self.cluster.store, folder / "kubeconfig"

    def connection(self):
        return Connection(Place(str(self.config), None, None, 60))


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    listeners = Listeners()
    lab.port = listeners.add(0, functools.partial(handle, lab.cluster))
    kubeconfig(lab.config, lab.cluster, lab.port, TOKEN)
    with listeners:
        yield lab
        lab.cluster.stop()


def spec_of(**systems):
    return platform_model().model_validate(
        {
            "platform": "apex",
            "title": "Apex",
            "slack": {"channel": "#apex"},
            "severities": {"P0": {"means": "down", "respond": "15m"}},
            "default_severity": {"warn": "P0", "critical": "P0"},
            "systems": systems,
        }
    )


def access_with(**values):
    return Access(SecretResolver({name: str(value) for name, value in values.items()}), lambda: NOW, pause=None)


async def facts_of(system, access):
    (spec,) = spec_of(it=system).systems.values()
    return await kinds()[spec.kind].facts()(spec, access)


async def cluster_of(lab):
    system = {"kind": "kubernetes", "kubeconfig": {"env": "CONFIG"}, "namespace": "apex", "timeout": "20s"}
    return await facts_of(system, access_with(CONFIG=lab.config))


def usage(containers, cpu, memory, pods):
    return Usage({name: frame(cpu, memory, pods=pods) for name in containers})


async def test_a_namespace_is_read_with_its_autoscalers_claims_nodes_and_what_ran_out_of_memory(lab):
    lab.store.add(known("scaledobjects"), SCALED_OBJECT)
    (pod, *_) = [one for one in lab.store.all("pods", "apex", "") if one["metadata"]["name"].startswith("apex-worker")]
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": f"{NOW - timedelta(hours=3):%FT%TZ}"}}
    statuses = [{**one, "lastState": ended} for one in pod["status"]["containerStatuses"]]
    lab.store.put(known("pods"), {**pod, "status": {**pod["status"], "containerStatuses": statuses}})
    found = await cluster_of(lab)
    assert found.missing == {}
    named = {one.subject: one for one in found.workloads}
    api, worker = named["deployment/apex-api"], named["deployment/apex-worker"]
    (container,) = api.containers
    assert (container.name, container.cpu_request, container.memory_limit) == ("api", 0.25, GIB)
    assert [(one.container, one.limit) for one in worker.kills] == [("worker", GIB)]
    scalers = {one.name: one for one in found.autoscalers}
    assert (scalers["apex-api-hpa"].maximum, scalers["apex-api-hpa"].utilization("cpu")) == (10, 0.7)
    (trigger,) = scalers["apex-worker-scaler"].triggers
    assert (trigger.field, trigger.threshold, trigger.queue) == ("listLength", 100.0, "celery")
    (claim,) = found.claims
    assert (claim.name, claim.size, claim.expandable) == ("minio-data", 100 * GIB, None)
    assert len(found.nodes) == 3
    assert all(0 < node.cpu_used < node.cpu for node in found.nodes)


async def test_the_patches_are_taken_by_the_api_and_leave_nothing_to_advise(lab):
    found = await cluster_of(lab)
    given = {
        "deployment/apex-api": usage(["api"], np.full(672, 2.6), 900 * MIB, 8),
        "deployment/apex-worker": usage(["worker"], np.full(672, 0.1), 200 * MIB, 2),
    }

    def judged(cluster):
        space = Namespace(cluster, given, no_usage="not measured")
        return {one.key: one for one in advise_all(Facts(namespaces={"cluster": space}), Aim(NOW))}

    before = judged(found)
    api, worker = before["cluster/hpa/apex-api-hpa"], before["cluster/deployment/apex-worker"]
    assert isinstance(api, Advice)
    assert isinstance(worker, Advice)
    types = {"strategic": "application/strategic-merge-patch+json", "merge": "application/merge-patch+json"}
    paths = {"deployment": "/apis/apps/v1/namespaces/apex/deployments", "hpa": ""}
    paths["hpa"] = "/apis/autoscaling/v2/namespaces/apex/horizontalpodautoscalers"
    connection = lab.connection()
    for patch in (*api.patches, *worker.patches):
        resource, name = patch.title.split(" ")
        how = patch.command.split("--type ")[1].split(" ")[0]
        connection.send("PATCH", f"{paths[resource]}/{name}", yaml.safe_load(patch.text), types[how])
    connection.close()
    after = judged(await cluster_of(lab))
    assert isinstance(after["cluster/hpa/apex-api-hpa"], Fine)
    assert isinstance(after["cluster/deployment/apex-worker"], Fine)


async def test_the_role_beside_the_probe_is_enough_for_advice_too(lab):
    lab.store.add(known("scaledobjects"), SCALED_OBJECT)
    lab.store.add(
        known("storageclasses"),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "lab",
            "allowVolumeExpansion": True,
        },
    )
    role = (Path(kubernetes_kind.__file__).parent / "role.yaml").read_text(encoding="utf-8")
    for document in yaml.safe_load_all(role):
        lab.store.add(known(document["kind"].lower() + "s"), document)
    lab.cluster.tokens = {"little": "system:serviceaccount:apex:watchkeeper"}
    kubeconfig(lab.config, lab.cluster, lab.port, "little")
    found = await cluster_of(lab)
    assert found.missing == {}
    assert found.claims[0].expandable is True
    assert [one.name for one in found.autoscalers if one.triggers] == ["apex-worker-scaler"]


async def test_without_a_metrics_api_nodes_are_known_and_their_use_is_not(lab):
    lab.cluster.troubles.metrics = False
    found = await cluster_of(lab)
    assert {node.cpu_used for node in found.nodes} == {None}


async def test_a_redis_is_read_with_no_more_than_the_probes_grant(redis_server):
    with redis_client.Redis.from_url(redis_server.address) as admin:
        admin.execute_command("ACL", "SETUSER", "adviser", "on", ">pw", "-@all", "+ping", "+select", "+info")
        admin.config_set("maxmemory", 100 << 20)
        try:
            url = f"redis://adviser:pw@127.0.0.1:{redis_server.port}/0"
            found = await facts_of({"kind": "redis", "url": {"env": "URL"}}, access_with(URL=url))
        finally:
            admin.config_set("maxmemory", 0)
            admin.execute_command("ACL", "DELUSER", "adviser")
    assert found.server.maximum == 100 * MIB
    assert found.server.peak >= found.server.used > 0
    assert found.server.machine > GIB
    assert found.alert == 0.8


async def test_a_postgres_is_held_against_the_runbook_by_a_user_who_only_monitors(postgres_server):
    with psycopg.connect(postgres_server.address, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS adviser")
        admin.execute("CREATE ROLE adviser LOGIN PASSWORD 'pw'")
        admin.execute("GRANT pg_monitor TO adviser")
        admin.execute("CREATE TABLE advised (a int, b int)")
        admin.execute("CREATE INDEX idx_there ON advised (a)")
        try:
            dsn = psycopg.conninfo.make_conninfo(postgres_server.address, user="adviser", password="pw")
            statement = "CREATE INDEX CONCURRENTLY idx_gone ON advised (b)"
            system = {
                "kind": "postgres",
                "dsn": {"env": "DSN"},
                "settings": {"work_mem": "16MB", "random_page_cost": 1.1, "max_connections": "1000000"},
                "indexes": {"idx_there": "CREATE INDEX idx_there ON advised (a)", "idx_gone": statement},
                "pools": {"api": {"size": 20, "replicas": 3}},
                "read_replicas": {"add": "terraform apply -var=replicas={count}"},
            }
            found = await facts_of(system, access_with(DSN=dsn))
            judged = {one.key: one for one in advise_all(Facts(databases={"database": found}), Aim(NOW))}
            settings, indexes = judged["database"], judged["database/indexes"]
            changes = {one.what: one.after for one in settings.changes}
            assert changes == {"work_mem": "16MB", "random_page_cost": "1.1", "max_connections": "1000000"}
            assert [one.what for one in indexes.changes] == ["idx_gone"]
            assert (found.replicas.count, found.replicas.reads) == (0, None)
            assert "younger than a day" in judged["database/replicas"].reason
            for line in indexes.patches[0].text.splitlines():
                admin.execute(line)
            again = await facts_of(system, access_with(DSN=dsn))
            judged = {one.key: one for one in advise_all(Facts(databases={"database": again}), Aim(NOW))}
            assert isinstance(judged["database/indexes"], Fine)
            assert isinstance(judged["database/pools"], Fine | Advice)
        finally:
            admin.execute("DROP TABLE advised")
            admin.execute("DROP ROLE adviser")


DAYS = 15
STEP = 300


def seeded_lines():
    """Tell what cAdvisor and kube-state-metrics would have told of two weeks: an autoscaler too small, a kill."""
    lines, count = [], DAYS * 86400 // STEP
    totals = dict.fromkeys(("a", "b", "w"), 0.0)
    for at in range(count + 1):
        moment = NOW.timestamp() - (count - at) * STEP
        stamp = int(moment * 1000)
        busy = 4.0 + 3.0 * math.sin(2 * math.pi * moment / 86400)
        pods = {
            "a": ("apex-api-7d9f8c6b5-abcde", "api", busy / 2, 400 * MIB),
            "b": ("apex-api-7d9f8c6b5-fghij", "api", busy / 2, 380 * MIB),
            "w": ("apex-worker-5c4d8-klmno", "worker", 0.2, 900 * MIB),
        }
        for key, (pod, container, cores, memory) in pods.items():
            totals[key] += cores * STEP
            labels = f'namespace="apex",pod="{pod}",container="{container}"'
            lines.append(f"container_cpu_usage_seconds_total{{{labels}}} {totals[key]:.3f} {stamp}")
            lines.append(f"container_memory_working_set_bytes{{{labels}}} {memory:.0f} {stamp}")
            if key == "w":
                killed = at > count - 288
                lines.append(f"kube_pod_container_status_restarts_total{{{labels}}} {int(killed)} {stamp}")
                lines.append(f'kube_pod_container_resource_limits{{{labels},resource="memory"}} {GIB:.0f} {stamp}')
                reason = "kube_pod_container_status_last_terminated_reason"
                lines.append(f'{reason}{{{labels},reason="OOMKilled"}} {int(killed)} {stamp}')
        if at % 12 == 0:
            claim = 'namespace="apex",persistentvolumeclaim="minio-data"'
            lines.append(f"kubelet_volume_stats_used_bytes{{{claim}}} {(50 + 30 * at / count) * GIB:.0f} {stamp}")
            lines.append(f'keda_scaler_metrics_value{{scaledObject="apex-worker-scaler"}} {300 * busy:.0f} {stamp}')
    return lines


@pytest.fixture(scope="module")
def told(prometheus_server):
    body = "\n".join(seeded_lines()).encode() + b"\n"
    for path, data in (("api/v1/import/prometheus", body), ("internal/force_flush", None)):
        urllib.request.urlopen(f"{prometheus_server.address}/{path}", data=data, timeout=60).close()  # noqa: S310
    return prometheus_server.address


@pytest.fixture
def plan(lab, told, tmp_path, monkeypatch):
    lab.store.add(known("scaledobjects"), SCALED_OBJECT)
    monkeypatch.setenv("CONFIG", str(lab.config))
    spec = {
        "platform": "seeded",
        "title": "Seeded",
        "slack": {"channel": "#seeded"},
        "severities": {"P0": {"means": "down", "respond": "15m"}},
        "default_severity": {"warn": "P0", "critical": "P0"},
        "capacity": {"prices": {"core": 20, "memory_gib": 3, "storage_gib": 0.1}},
        "systems": {
            "cluster": {"kind": "kubernetes", "kubeconfig": {"env": "CONFIG"}, "namespace": "apex", "timeout": "30s"},
            "metrics": {"kind": "prometheus", "url": told, "objectives": {"gone": {"query": "no_such", "warn": 1}}},
        },
    }
    (tmp_path / "seeded.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    settings = Settings(platforms=tmp_path, state=tmp_path / "state")
    return CapacityPlan.open("seeded", settings, horizon=parse_duration("30d"))


async def test_two_weeks_of_use_name_the_autoscaler_the_kill_the_volume_and_the_queue(plan):
    await plan.gather()
    plan.look()
    report = plan.report()
    assert report.notes == ()
    advice = {one.key: one for one in report.advice}
    scaler = advice["cluster/hpa/apex-api-hpa"]
    assert scaler.when is When.NOW
    maximum = int(next(one.after for one in scaler.changes if one.what == "max replicas"))
    assert maximum >= math.ceil(7.0 / (0.7 * 0.25))
    worker = advice["cluster/deployment/apex-worker"]
    assert worker.when is When.NOW
    assert "worker ran out of memory 1 time with 1Gi" in worker.why
    assert {one.what: one.after for one in worker.changes}["worker: memory limit"] == "1536Mi"
    assert advice["cluster/pvc/minio-data"].unknown == ("whether its StorageClass lets it grow",)
    assert advice["cluster/scaledobject/apex-worker-scaler"].changes[0].what == "max replicas"
    assert worker.saving.money is not None
    blank = {one.key: one.reason for one in report.unjudged}
    assert "Prometheus has no container_cpu_usage_seconds_total" in blank["cluster/statefulset/redis"]


async def test_a_prometheus_that_does_not_answer_leaves_the_reason_in_its_place(plan, lab, tmp_path):
    path = tmp_path / "seeded.yaml"
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    spec["systems"]["metrics"]["url"] = f"http://127.0.0.1:{lab.port}"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    again = CapacityPlan.open("seeded", plan.settings, horizon=plan.horizon)
    await again.gather()
    again.look()
    report = again.report()
    reasons = {one.key: one.reason for one in report.unjudged if isinstance(one, Unjudged)}
    assert reasons["cluster/hpa/apex-api-hpa"].startswith("metrics does not tell what its pods used")
    assert report.advice == ()
