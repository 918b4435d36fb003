"""The kind `kubernetes` against the lab's API server, over real HTTP with the official client."""

import functools
import itertools
import json
import logging
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

import tasks.systems.kubernetes as kind
from deployments.lab.kubernetes import faults
from deployments.lab.kubernetes.api import handle
from deployments.lab.kubernetes.cluster import Cluster
from deployments.lab.kubernetes.kubelet import Troubles
from deployments.lab.kubernetes.resources import known
from deployments.lab.kubernetes.seeds import SEEDS, plant
from deployments.lab.kubernetes.serving import control, kubeconfig
from deployments.lab.loopback import Answer, Hangup, Listeners, Request
from tasks.clients.cluster import PAGE
from tasks.clients.secrets import SecretResolver
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems import platform_model
from tasks.systems.checking import check_system

TOKEN = "lab-token-of-apex"


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 22, 9, tzinfo=UTC)

    def __call__(self):
        return self.now


class Lab:
    """A cluster on a port, with the clock in the test's hands and controllers that look when told."""

    def __init__(self, folder, planted):
        self.clock = Clock()
        self.cluster = Cluster.for_admin("apex", TOKEN, self.clock)
        self.cluster.store.version = planted.version
        self.cluster.store._objects = {name: dict(shelf) for name, shelf in planted._objects.items()}
        self.config = folder / "kubeconfig"

    def break_(self, fault, looks=5):
        faults.play(self.cluster, fault)
        for _ in range(looks):
            self.cluster.step()


@pytest.fixture(scope="module")
def planted():
    cluster = Cluster.for_admin("apex", TOKEN, Clock())
    plant(cluster, SEEDS["apex"])
    return cluster.store


@pytest.fixture
def lab(tmp_path, planted):
    lab = Lab(tmp_path, planted)
    listeners = Listeners()
    lab.port = listeners.add(0, functools.partial(handle, lab.cluster))
    kubeconfig(lab.config, lab.cluster, lab.port, TOKEN)
    with listeners:
        yield lab
        lab.cluster.stop()


@contextmanager
def server(answer):
    listeners = Listeners()
    port = listeners.add(0, answer)
    with listeners:
        yield port


def platform(**more):
    cluster = {
        "kind": "kubernetes",
        "kubeconfig": {"env": "KUBECONFIG_OF_APEX"},
        "namespace": "apex",
        "timeout": "20s",
        "deployments": {"apex-api": {"severity": "P0"}, "apex-worker": {}},
        "stateful_sets": {"redis": {"severity": "P1"}},
        "certificates": {"apex-api-tls": {"severity": "P0"}},
    }
    severities = {"P0": {"means": "down", "respond": "15m"}, "P1": {"means": "degraded", "respond": "1h"}}
    severities |= {"P2": {"means": "warnings", "respond": "4h", "outcome": "warned"}}
    return platform_model().model_validate(
        {
            "platform": "apex",
            "title": "Apex",
            "slack": {"channel": "#apex"},
            "severities": severities,
            "default_severity": {"warn": "P2", "critical": "P1"},
            "systems": {"cluster": cluster | more},
        }
    )


async def check(config, *, now=None, **more):
    resolver = SecretResolver({"KUBECONFIG_OF_APEX": str(config)})
    access = Access(resolver, now or (lambda: datetime.now(UTC)), pause=None)
    return Result(await check_system(platform(**more), "cluster", access))


class Result:
    def __init__(self, report):
        self.report = report

    def value(self, name, subject=""):
        return self.measurement(name, subject).value

    def measurement(self, name, subject=""):
        return next(m for m in self.report.measurements if (m.name, m.subject) == (name, subject))

    def finding(self, name, subject=""):
        return next(f for f in self.report.findings if (f.measurement, f.subject) == (name, subject))

    @property
    def problems(self):
        return {f.key.removeprefix("cluster/") for f in self.report.findings if f.outcome.is_problem}


async def test_a_cluster_at_rest_is_green_and_everything_was_measured(lab):
    result = await check(lab.config, now=lab.clock)
    assert result.problems == set()
    assert {f.outcome for f in result.report.findings} == {Outcome.PASSED}
    assert result.value("available", "deployment/apex-api") == 1.0
    assert (result.value("pods"), result.value("nodes"), result.value("nodes_ready")) == (8, 3, 1.0)
    assert 0 < result.value("cpu", "deployment/apex-api") < 1
    assert 0 < result.value("memory", "statefulset/redis") < 1
    assert result.value("hpa_at_ceiling", "hpa/apex-api-hpa") is False


async def test_crashing_pods_are_found_by_reason_though_their_phase_is_running(lab):
    lab.break_("crashloop")
    phases = {pod["status"]["phase"] for pod in lab.cluster.store.all("pods", "apex", "")}
    assert phases == {"Running"}
    result = await check(lab.config, now=lab.clock)
    finding = result.finding("available", "deployment/apex-api")
    assert (finding.outcome, finding.severity, finding.value) == (Outcome.FAILED, "P0", 0.0)
    assert result.value("pods_not_ready") == 3
    assert "CrashLoopBackOff" in result.measurement("pods_not_ready").note
    assert result.value("recent_restarts") == 3
    assert "exit code 1" in result.measurement("recent_restarts").note
    assert result.measurement("warnings").note == "BackOff (3)"
    assert result.value("available", "deployment/apex-worker") == 1.0


async def test_a_restart_of_yesterday_is_not_recent(lab):
    lab.break_("crashloop")
    faults.mend(lab.cluster)
    lab.cluster.settle()
    lab.clock.now += timedelta(days=1)
    lab.cluster.settle()
    result = await check(lab.config, now=lab.clock)
    assert (result.value("recent_restarts"), result.value("restarts"), result.value("warnings")) == (0, 1, 0)
    assert result.problems == set()


async def test_an_image_that_cannot_be_pulled_leaves_the_old_pods_and_in_time_a_stuck_rollout(lab):
    lab.break_("image-pull", looks=10)
    result = await check(lab.config, now=lab.clock)
    assert result.value("available", "deployment/apex-api") == 1.0
    assert "ImagePullBackOff" in result.measurement("pods_not_ready").note
    assert result.value("rollout_running", "deployment/apex-api") is True
    assert result.finding("rollout_stuck", "deployment/apex-api").outcome is Outcome.PASSED
    lab.clock.now += timedelta(minutes=11)
    lab.cluster.step()
    stuck = (await check(lab.config, now=lab.clock)).finding("rollout_stuck", "deployment/apex-api")
    assert (stuck.outcome, stuck.severity) == (Outcome.FAILED, "P0")
    assert "timed out progressing" in stuck.note


async def test_a_lost_node_shows_in_nodes_and_in_pods_that_still_say_running(lab):
    lab.break_("node-not-ready", looks=2)
    result = await check(lab.config, now=lab.clock)
    assert result.finding("nodes_ready").outcome is Outcome.WARNED
    assert "apex-node-3: NodeStatusUnknown" in result.measurement("nodes_ready").note
    assert result.value("pods_not_ready") > 0


async def test_an_autoscaler_at_its_ceiling_is_a_warning_with_the_count(lab):
    lab.break_("hpa-at-ceiling", looks=10)
    lab.cluster.settle()
    finding = (await check(lab.config, now=lab.clock)).finding("hpa_at_ceiling", "hpa/apex-api-hpa")
    assert (finding.outcome, finding.note) == (Outcome.WARNED, "10 of at most 10 replicas")


async def test_without_metrics_server_usage_is_not_checked_and_the_rest_goes_on(lab):
    lab.break_("no-metrics")
    result = await check(lab.config, now=lab.clock)
    for name in ("cpu", "memory"):
        finding = result.finding(name)
        assert (finding.outcome, finding.remedy) == (Outcome.NOT_CHECKED, "install metrics-server")
    assert result.finding("hpa_active", "hpa/apex-api-hpa").outcome is Outcome.WARNED
    assert result.value("available", "deployment/apex-api") == 1.0


async def test_what_rbac_forbids_is_not_checked_with_the_grant_that_is_missing_and_the_rest_goes_on(lab):
    lab.break_("forbidden")
    result = await check(lab.config, now=lab.clock)
    missing = {
        "pods_not_ready": "list on pods",
        "nodes_ready": "list on nodes",
        "node_cpu": "list on nodes",
        "services_without_endpoints": "list on services",
        "warnings": "list on events",
        "hpa_at_ceiling": "list on horizontalpodautoscalers.autoscaling",
        "jobs_failed": "list on jobs.batch",
        "missed_runs": "list on cronjobs.batch",
        "claims_not_bound": "list on persistentvolumeclaims",
        "cpu": "list on pods.metrics.k8s.io",
    }
    for name, grant in missing.items():
        finding = result.finding(name)
        assert finding.outcome is Outcome.NOT_CHECKED, name
        assert "is forbidden" in finding.note
        assert f"grant {grant}: " in finding.remedy
        assert "role.yaml" in finding.remedy
    assert result.finding("available", "deployment/apex-api").outcome is Outcome.PASSED


async def test_what_rbac_forbids_is_errored_where_the_spec_asks_for_it(lab):
    lab.break_("forbidden")
    wanted = {"services": {"apex-api": {}}, "limits": {"cpu": {"warn": "70%"}, "jobs_failed": {"warn": 3}}}
    result = await check(lab.config, now=lab.clock, **wanted)
    errored = {f.measurement for f in result.report.findings if f.outcome is Outcome.ERRORED}
    assert errored == {"endpoints", "cpu", "jobs_failed", "certificate_ready", "certificate_expires_in"}


async def test_a_service_that_selects_no_pod_is_found_by_its_endpoints_and_well_once_it_does(lab):
    lab.break_("service-without-endpoints")
    named = await check(lab.config, now=lab.clock, services={"apex-api": {"severity": "P0"}, "gone": {}})
    finding = named.finding("endpoints", "service/apex-api")
    assert (finding.outcome, finding.severity, finding.note) == (Outcome.FAILED, "P0", "selects app=apex-api-renamed")
    assert named.finding("endpoints", "service/gone").note == "there is no service gone"
    assert named.value("services_without_endpoints") == 0
    other = (await check(lab.config, now=lab.clock)).finding("services_without_endpoints")
    assert (other.outcome, other.note) == (Outcome.WARNED, "apex-api: app=apex-api-renamed")
    faults.mend(lab.cluster)
    lab.cluster.settle()
    mended = await check(lab.config, now=lab.clock, services={"apex-api": {}})
    assert (mended.value("endpoints", "service/apex-api"), mended.problems) == (3, set())


async def test_pods_that_are_not_ready_are_no_endpoints(lab):
    lab.break_("crashloop")
    assert (await check(lab.config, now=lab.clock)).value("services_without_endpoints") == 1


async def test_an_endpoint_that_does_not_say_whether_it_is_ready_counts_as_the_api_has_it(lab):
    resource = known("endpointslices")
    for item in lab.cluster.store.all("endpointslices", "apex"):
        endpoints = [{**endpoint, "conditions": {}} for endpoint in item["endpoints"]]
        lab.cluster.store.put(resource, {**item, "endpoints": endpoints})
    assert (await check(lab.config, now=lab.clock, services={"redis": {}})).value("endpoints", "service/redis") == 1


async def test_a_job_that_gave_up_is_told_for_a_day(lab):
    lab.break_("job-failed")
    finding = (await check(lab.config, now=lab.clock)).finding("jobs_failed")
    assert (finding.outcome, finding.note) == (Outcome.WARNED, "lab-migration: BackoffLimitExceeded")
    lab.clock.now += timedelta(days=1)
    assert (await check(lab.config, now=lab.clock)).value("jobs_failed") == 0


def job(lab, name, kind, ended):
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "database-backup", "uid": "1"}
    condition = {"type": kind, "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": ended}
    item = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "apex"}}
    item["metadata"]["ownerReferences"] = [owner]
    pod = {"containers": [{"name": "b", "image": "b:1"}], "restartPolicy": "Never"}
    lab.cluster.store.add(
        known("jobs"), item | {"spec": {"template": {"spec": pod}}, "status": {"conditions": [condition]}}
    )


async def test_a_failed_run_of_a_cron_job_is_forgotten_once_a_newer_one_was_well(lab):
    job(lab, "backup-1", "Failed", "2026-11-22T02:10:00Z")
    assert (await check(lab.config, now=lab.clock)).measurement("jobs_failed").note == "backup-1: DeadlineExceeded"
    job(lab, "backup-2", "Complete", "2026-11-22T08:10:00Z")
    assert (await check(lab.config, now=lab.clock)).value("jobs_failed") == 0


async def test_a_cron_job_that_does_not_start_is_told_with_the_time_at_which_it_was_due(lab):
    lab.break_("cronjob-missed")
    finding = (await check(lab.config, now=lab.clock)).finding("missed_runs", "cronjob/database-backup")
    assert (finding.outcome, finding.value) == (Outcome.WARNED, 2)
    assert finding.note == "it was due at 2026-11-21 02:00 UTC; it last started at 2026-11-20T09:00:00Z"
    faults.mend(lab.cluster)
    lab.cluster.settle()
    assert (await check(lab.config, now=lab.clock)).value("missed_runs", "cronjob/database-backup") == 0


async def test_a_cron_job_is_late_by_its_own_time_zone_only_after_two_minutes(lab):
    lab.cluster.troubles.cron = False
    item = lab.cluster.store.get(known("cronjobs"), "apex", "database-backup")
    spec = {**item["spec"], "schedule": "15 14 * * *", "timeZone": "Asia/Tashkent"}
    status = {"lastScheduleTime": "2026-11-21T09:15:00Z"}
    lab.cluster.store.put(known("cronjobs"), {**item, "spec": spec, "status": status})
    counts = []
    for at in ("09:14", "09:16", "09:17"):
        lab.clock.now = datetime.fromisoformat(f"2026-11-22T{at}:00+00:00")
        counts.append((await check(lab.config, now=lab.clock)).value("missed_runs", "cronjob/database-backup"))
    assert counts == [0, 0, 1]


async def test_a_suspended_cron_job_is_skipped_and_said_to_be_so(lab):
    lab.break_("cronjob-missed")
    item = lab.cluster.store.get(known("cronjobs"), "apex", "database-backup")
    lab.cluster.store.put(known("cronjobs"), {**item, "spec": {**item["spec"], "suspend": True}})
    result = await check(lab.config, now=lab.clock)
    finding = result.finding("missed_runs", "cronjob/database-backup")
    assert (finding.outcome, finding.note) == (Outcome.SKIPPED, "it is suspended")
    assert result.value("suspended", "cronjob/database-backup") is True


async def test_a_claim_that_waits_for_a_minute_is_told_with_its_class(lab):
    lab.break_("pvc-pending")
    finding = (await check(lab.config, now=lab.clock)).finding("claims_not_bound")
    assert (finding.outcome, finding.note) == (Outcome.WARNED, "lab-data: Pending, class none")
    lab.clock.now -= timedelta(days=1)
    assert (await check(lab.config, now=lab.clock)).value("claims_not_bound") == 0


async def test_the_busiest_node_is_named_with_the_next_ones(lab):
    lab.break_("node-busy")
    result = await check(lab.config, now=lab.clock)
    for name in ("node_cpu", "node_memory"):
        finding = result.finding(name)
        assert (finding.outcome, finding.observed) == (Outcome.WARNED, "97%")
        assert finding.note.startswith("apex-node-1: 97%, apex-node-")


async def test_the_revision_of_a_deployment_and_its_age_are_told(lab):
    before = await check(lab.config, now=lab.clock)
    lab.break_("image-pull")
    lab.clock.now += timedelta(hours=3)
    after = await check(lab.config, now=lab.clock)
    revisions = [one.value("revision", "deployment/apex-api") for one in (before, after)]
    ages = [timedelta(seconds=one.value("rolled_out", "deployment/apex-api")) for one in (before, after)]
    assert revisions == [1, 2]
    assert ages[0] > timedelta(days=5)
    assert timedelta(hours=2) < ages[1] < timedelta(hours=4)


@pytest.mark.parametrize(("hours", "side"), [(2, "behind"), (-2, "ahead of")])
async def test_a_cluster_with_another_time_is_told_and_ages_are_told_by_its_clock(lab, hours, side):
    lab.break_("crashloop")
    lab.break_("pvc-pending")
    result = await check(lab.config, now=lambda: lab.clock.now + timedelta(hours=hours))
    finding = result.finding("clock_skew")
    assert (finding.outcome, finding.note) == (Outcome.WARNED, f"the server's clock is {side} this host's")
    assert finding.value == pytest.approx(7200, abs=2)
    told = {name: result.value(name) for name in ("pods_not_ready", "recent_restarts", "claims_not_bound")}
    assert told == {"pods_not_ready": 3, "recent_restarts": 3, "claims_not_bound": 1}


async def test_a_namespace_with_nothing_in_it_is_measured_and_what_is_named_is_missing(lab):
    result = await check(lab.config, now=lab.clock, namespace="default", deployments={}, certificates={})
    zero = ("pods", "pods_not_ready", "services_without_endpoints", "jobs_failed", "claims_not_bound", "warnings")
    assert {name: result.value(name) for name in zero} == dict.fromkeys(zero, 0)
    assert result.problems == {"available[statefulset/redis]"}


async def test_ten_thousand_sick_pods_are_read_in_pages_and_folded_into_one_line(lab):
    pod = lab.cluster.store.get(known("pods"), "apex", "redis-0")
    waiting = {
        **pod["status"]["containerStatuses"][0],
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    sick = {"phase": "Running", "conditions": [], "containerStatuses": [waiting]}
    text = json.dumps({"metadata": {**pod["metadata"], "name": "@"}, "spec": pod["spec"], "status": sick})
    pages = []

    def answered(request):
        if not request.path.endswith("/api/v1/namespaces/apex/pods"):
            return handle(lab.cluster, request)
        begin = int(request.query.get("continue") or 0)
        end = begin + int(request.query["limit"])
        pages.append(end)
        more = f'{{"continue": "{end}"}}' if end < 10_000 else "{}"
        items = ",".join(text.replace("@", f"pod-{number:05}") for number in range(begin, end))
        return Answer(200, f'{{"metadata": {more}, "items": [{items}]}}'.encode())

    with server(answered) as port:
        result = await check(pointed_at(lab, port), now=lab.clock, timeout="60s")
    assert (len(pages), result.value("pods"), result.value("pods_not_ready")) == (10_000 // PAGE, 10_000, 10_000)
    note = result.measurement("pods_not_ready").note
    assert note.startswith("pod-00000: CrashLoopBackOff, ")
    assert note.endswith(", and 9,995 more")
    assert len(result.report.findings) < 40


async def test_the_role_beside_the_probe_is_enough(lab):
    store = lab.cluster.store
    for document in yaml.safe_load_all((Path(kind.__file__).parent / "role.yaml").read_text(encoding="utf-8")):
        plural = document["kind"].lower() + "s"
        store.add(known(plural), document)
    lab.cluster.tokens = {"little": "system:serviceaccount:apex:watchkeeper"}
    kubeconfig(lab.config, lab.cluster, lab.port, "little")
    result = await check(lab.config, now=lab.clock)
    assert {f.outcome for f in result.report.findings} == {Outcome.PASSED}


async def test_a_workload_that_is_missing_or_scaled_to_nothing_is_failed(lab):
    store = lab.cluster.store
    store.remove(known("statefulsets"), "apex", "redis")
    item = store.get(known("deployments"), "apex", "apex-worker")
    store.put(known("deployments"), {**item, "spec": {**item["spec"], "replicas": 0}})
    lab.cluster.settle()
    result = await check(lab.config, now=lab.clock)
    gone, idle = result.finding("available", "statefulset/redis"), result.finding("available", "deployment/apex-worker")
    assert (gone.outcome, gone.severity) == (Outcome.FAILED, "P1")
    assert gone.note == "there is no statefulset/redis in the namespace apex"
    assert (idle.outcome, idle.note) == (Outcome.FAILED, "it is scaled to nothing")


async def test_pods_of_finished_jobs_and_pods_that_only_just_start_do_not_count(lab):
    pod = {"spec": {"containers": [{"name": "b", "image": "b:1"}], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "backup", "namespace": "apex"}}
    lab.cluster.store.add(known("jobs"), job | {"spec": {"template": pod}})
    lab.cluster.settle()
    store = lab.cluster.store
    done = [p for p in store.all("pods", "apex", "") if p["status"]["phase"] == "Succeeded"]
    assert len(done) == 1
    store.remove(known("pods"), "apex", "redis-0")
    lab.cluster.step()
    result = await check(lab.config, now=lab.clock)
    assert (result.value("pods"), result.value("pods_not_ready"), result.value("pods_failed")) == (8, 0, 0)
    lab.clock.now += timedelta(minutes=2)
    assert (await check(lab.config, now=lab.clock)).value("pods_not_ready") == 1


async def test_a_pod_that_does_not_end_is_found(lab):
    store = lab.cluster.store
    pod = store.get(known("pods"), "apex", "redis-0")
    gone = "2026-11-22T08:50:00Z"
    store.mark(known("pods"), pod, deletionTimestamp=gone, finalizers=["lab/hold"])
    result = await check(lab.config, now=lab.clock)
    assert result.measurement("pods_not_ready").note == "redis-0: does not end"


async def test_many_pods_come_in_pages(lab):
    store = lab.cluster.store
    pod = store.get(known("pods"), "apex", "redis-0")
    for number in range(2 * PAGE):
        meta = {"name": f"many-{number}", "namespace": "apex", "labels": {}}
        store.add(known("pods"), {**pod, "metadata": meta})
    result = await check(lab.config, now=lab.clock)
    assert result.value("pods") == 2 * PAGE + 8


async def test_the_stylesync_limits_of_cpu_hold_against_shares(lab):
    limits = {"cpu": {"warn": "1%"}, "memory": {"warn": "80%"}}
    result = await check(lab.config, now=lab.clock, limits=limits)
    assert result.finding("cpu", "deployment/apex-api").outcome is Outcome.WARNED
    assert result.finding("memory", "deployment/apex-api").outcome is Outcome.PASSED


# What cannot be told, and who does not answer


async def test_a_refused_token_is_errored_and_shows_no_secret(lab, caplog):
    caplog.set_level(logging.DEBUG)
    lab.cluster.tokens.clear()
    result = await check(lab.config, now=lab.clock)
    (finding,) = result.report.findings
    assert (finding.outcome, finding.note) == (Outcome.ERRORED, "the credentials are refused")
    assert "kubeconfig" in finding.remedy
    assert TOKEN not in result.report.model_dump_json() + caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda _: "",
        lambda _: "users: [{name: x, user: {token: hunter22hunter22}}",
        lambda _: "[1, 2]",
        lambda text: text.replace("clusters:", "other:"),
    ],
    ids=["missing", "empty", "no YAML", "a list", "no cluster"],
)
async def test_a_kubeconfig_that_is_none_is_errored_with_a_hint(lab, change):
    text = change(lab.config.read_text())
    lab.config.unlink() if text is None else lab.config.write_text(text)
    (finding,) = (await check(lab.config)).report.findings
    assert finding.outcome is Outcome.ERRORED
    assert "kubeconfig" in finding.note
    assert finding.remedy
    assert "hunter22" not in finding.note


async def test_a_context_that_is_not_there_is_errored(lab):
    (finding,) = (await check(lab.config, context="staging")).report.findings
    assert finding.outcome is Outcome.ERRORED
    assert "staging" in finding.note


async def test_a_kubeconfigs_text_serves_as_well_as_its_path(lab):
    result = await check("unused", now=lab.clock, kubeconfig={"file": str(lab.config)})
    assert result.problems == set()


async def test_outside_of_a_cluster_no_kubeconfig_is_errored(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    (finding,) = (await check("unused", kubeconfig=None)).report.findings
    assert finding.outcome is Outcome.ERRORED


def pointed_at(lab, port, scheme="http"):
    config = yaml.safe_load(lab.config.read_text())
    config["clusters"][0]["cluster"]["server"] = f"{scheme}://127.0.0.1:{port}"
    lab.config.write_text(yaml.safe_dump(config))
    return lab.config


async def unreachable(config, **more):
    finding = (await check(config, **more)).finding("reachable")
    assert finding.outcome is Outcome.FAILED
    return finding.note


async def test_a_port_where_nobody_listens_is_unreachable(lab):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert await unreachable(pointed_at(lab, port)) == "the connection is refused"


async def test_a_server_that_takes_the_connection_and_says_nothing_ends_with_the_time_out(lab):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        config = pointed_at(lab, silent.getsockname()[1])
        assert await unreachable(config, timeout="300ms") in ("it did not answer in time", "no answer within 300 ms")


async def test_plain_http_where_tls_is_meant_is_unreachable(lab):
    assert "TLS failed" in await unreachable(pointed_at(lab, lab.port, "https"))


def _hang_up(_: Request):
    raise Hangup


def _endless(_: Request):
    return Answer(body=itertools.repeat(b" " * 65536))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_hang_up, "the connection broke"),
        (lambda _: Answer.of({"kind": "Status", "message": "etcd is away"}, 503), "it answers 503: etcd is away"),
        (lambda _: Answer.text("<html>", 502), "it answers 502"),
        (lambda _: Answer.of({"message": "slow down"}, 429), "it asks to come back later"),
    ],
)
async def test_an_answer_that_is_of_no_use_is_unreachable(lab, answer, words):
    with server(answer) as port:
        assert words in await unreachable(pointed_at(lab, port))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: Answer.text("<html>hello</html>"), "the answer is no JSON"),
        (lambda _: Answer(body=b'{"a": "\xff\xfe"}'), "the answer is no JSON"),
        (lambda _: Answer.of([1, 2]), "the answer is no object"),
        (_endless, "the answer does not end"),
    ],
)
async def test_an_answer_that_is_no_kubernetes_is_errored(lab, answer, words):
    with server(answer) as port:
        (finding,) = (await check(pointed_at(lab, port))).report.findings
        assert (finding.outcome, finding.note) == (Outcome.ERRORED, words)


async def test_a_list_without_the_fields_that_it_must_have_is_errored_and_the_rest_goes_on(lab):
    def answer(request):
        if request.path.endswith("/deployments"):
            return Answer.of({"kind": "DeploymentList", "items": [{"metadata": {}}]})
        return handle(lab.cluster, request)

    with server(answer) as port:
        result = await check(pointed_at(lab, port), now=lab.clock)
    assert result.finding("available").outcome is Outcome.ERRORED
    assert result.finding("nodes_ready").outcome is Outcome.PASSED


async def test_a_server_that_goes_away_in_the_middle_keeps_what_came_before(lab):
    def answer(request):
        if request.path.endswith("/pods"):
            raise Hangup
        return handle(lab.cluster, request)

    with server(answer) as port:
        result = await check(pointed_at(lab, port), now=lab.clock)
    assert result.value("available", "deployment/apex-api") == 1.0
    assert result.finding("reachable").outcome is Outcome.FAILED


# The control port and the process


def test_the_control_port_lists_plays_and_mends_faults(lab):
    def ask(method, path="/faults", **body):
        answer = control(lab.cluster, Request(method, path, {}, {}, json.dumps(body).encode()))
        return answer.status, json.loads(answer.body)

    assert ask("GET") == (200, {"faults": sorted(faults.FAULTS)})
    assert ask("POST", target="apex/cluster", fault="no-metrics")[0] == 200
    assert lab.cluster.troubles.metrics is False
    assert ask("POST", target="apex/cluster", fault=None)[0] == 200
    assert lab.cluster.troubles == Troubles()
    assert ask("POST", target="apex/cluster", fault="nonsense")[0] == 400
    assert ask("POST", target="stario/cluster", fault=None)[0] == 404
    assert ask("POST", fault=None)[0] == 400
    assert ask("GET", "/other")[0] == 404


@pytest.mark.parametrize("fault", sorted({*faults.FAULTS} - {"node-abroad"}))  # which the checklist sees
async def test_every_fault_is_seen_and_mended(lab, fault):
    lab.break_(fault, looks=10)
    findings = (await check(lab.config, now=lab.clock)).report.findings
    assert any(f.outcome is not Outcome.PASSED for f in findings)
    faults.mend(lab.cluster)
    lab.cluster.settle()
    lab.clock.now += timedelta(hours=2)
    lab.cluster.settle()
    assert (await check(lab.config, now=lab.clock)).problems == set()


def test_a_kubeconfig_is_for_its_owners_eyes_only(lab):
    assert lab.config.stat().st_mode & 0o077 == 0


def test_the_process_serves_its_clusters_and_ends_when_told(tmp_path):
    settings = {"port": 0, "control": 0, "token": TOKEN, "kubeconfig": str(tmp_path / "kubeconfig")}
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"clusters": {"eyewear": settings}}))
    command = [sys.executable, "-m", "deployments.lab.kubernetes", "--config", str(config)]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own module
        try:
            address = served(tmp_path / "kubeconfig") + "/apis/apps/v1/namespaces/eyewear-ml/deployments"
            answer = httpx.get(address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
            names = {item["metadata"]["name"] for item in answer.json()["items"]}
        finally:
            process.terminate()
        assert process.wait(timeout=60) == 0
    assert names == {"eyewear-api", "mongodb"}


def served(path):
    """Wait for the kubeconfig, which is written once the port is open, and return the address in it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return yaml.safe_load(text)["clusters"][0]["cluster"]["server"]
        time.sleep(0.05)
    raise TimeoutError(path)
