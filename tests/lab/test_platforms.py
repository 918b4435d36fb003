"""The five platforms on the lab: healthy, then broken for real in each way that their runbooks fear, and mended.

Whatever depends on how quick this machine is at the moment is left out: latencies, and the time of a query.
"""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from deployments.check import check_now
from deployments.lab.pieces import Lab
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.platforms import load, platform_names
from tasks.systems import kinds
from tasks.systems.checking import check_system

pytestmark = pytest.mark.lab

FAILED, WARNED, ERRORED, GAP = Outcome.FAILED, Outcome.WARNED, Outcome.ERRORED, Outcome.NOT_CHECKED
SPEED = {"latency", "query_time"}
REMEMBERED = {"recent_restarts"}
"""What happened within the last hour is still told after it was mended."""
NOT_IN_THE_LAB = {"archive_age", "replication_lag", "connections_used", "slowest_query", "unused_indexes"}
"""No lab's server archives or has a standby; the MongoDB one tells no connections, slow queries or use of indexes."""
NOT_IN_THE_LAB |= {"disk_used", "heap_used", "oldest_unacknowledged"}
"""The server of OpenSearch's API tells of no disk and no heap, and no Celery worker holds a job."""
NOT_IN_THE_LAB |= {"backup_age"}
"""A lab that is fresh has no backups yet."""
NOT_IN_THE_LAB |= {"alert"}
"""VictoriaMetrics evaluates no rules; `test_prometheus_rules.py` looks at those of a real Prometheus."""
BURNS = ("burn_rate_1h", "burn_rate_6h", "burn_rate_1d", "burn_rate_3d")
PATIENCE = 60.0


class Case(NamedTuple):
    """A row of a runbook, what is broken, the systems that are looked at, and the findings that must turn."""

    row: str
    target: str
    fault: str
    others: str
    turns: dict[str, tuple[Outcome, str | None]]

    @property
    def platform(self) -> str:
        return self.target.partition("/")[0]

    @property
    def systems(self) -> list[str]:
        return [self.target.partition("/")[2], *self.others.split()]


def as_expected(system: str, outcome: Outcome = FAILED, **paths: str) -> dict[str, tuple[Outcome, str | None]]:
    return {f"{system}/as_expected[{path}]": (outcome, severity) for path, severity in paths.items()}


def metric(**names: tuple[Outcome, str | None]) -> dict[str, tuple[Outcome, str | None]]:
    return {f"metrics/{name}": what for name, what in names.items()}


def burnt(level: str, page: str, ticket: str) -> dict[str, tuple[Outcome, str | None]]:
    """Every window of a service level, as a fault of the lab goes back for 40 minutes and is a bad one."""
    told = zip(BURNS, [(FAILED, page)] * 2 + [(WARNED, ticket)] * 2, strict=True)
    return {f"metrics/{name}[{level}]": what for name, what in told}


def node(name: str, mount: str = "") -> str:
    disk = ("fstype=ext4, ", f", mountpoint={mount}") if mount else ("", "")
    return f"metrics/{name}[{disk[0]}instance=node-9:9100, job=node, lab=fault{disk[1]}]"


GATEWAYS = ("video-gen", "voice-gen", "face-similarity", "poster-gen", "regtech-filter")

CASES = (
    Case(
        "SS1",
        "stylesync/api",
        "unhealthy",
        "segmentation",
        as_expected("api", **{"/v1/healthz": "P0", "/v1/readyz": "P1", "/v1/metrics": "P2", "/v1/advice": "P0"}),
    ),
    Case(
        "SS1",
        "stylesync/api",
        "error-body",
        "segmentation",
        as_expected("api", **{"/v1/healthz": "P0", "/v1/readyz": "P1", "/v1/metrics": "P2", "/v1/advice": "P0"}),
    ),
    Case("SS2", "stylesync/metrics", "down", "cache", metric(targets_up=(FAILED, "P0"))),
    Case("SS2", "stylesync/metrics", "business", "cache", metric(cache_hit_ratio=(FAILED, "P1"))),
    Case(
        "SS2",
        "stylesync/metrics",
        "latency",
        "cache",
        metric(p95_latency=(FAILED, "P1")) | {"metrics/phase_p95_latency[segmentation]": (WARNED, "P2")},
    ),
    Case("SS3", "stylesync/metrics", "errors", "cache", metric(error_rate=(FAILED, "P0"))),
    Case("SS5", "stylesync/cache", "full", "storage", {"cache/memory_used": (FAILED, "P1")}),
    Case(
        "SS5",
        "stylesync/cache",
        "no-expiry",
        "storage",
        {f"cache/without_ttl[{name}]": (WARNED, "P3") for name in ("l1", "l2")},
    ),
    Case("SS5", "stylesync/cache", "bgsave-failed", "storage", {"cache/last_save_ok": (FAILED, "P1")}),
    Case(
        "SS6",
        "stylesync/cluster",
        "image-pull",
        "cache",
        {"cluster/pods_not_ready": (WARNED, "P3")},
    ),
    Case(
        "SS12",
        "stylesync/cluster",
        "hpa-at-ceiling",
        "cache",
        {
            "cluster/hpa_at_ceiling[hpa/stylesync-api]": (WARNED, "P3"),
            "cluster/cpu[deployment/stylesync-api]": (WARNED, "P3"),
            "cluster/memory[deployment/stylesync-api]": (WARNED, "P3"),
        },
    ),
    Case(
        "SS6",
        "stylesync/cluster",
        "crashloop",
        "cache",
        {
            "cluster/available[deployment/stylesync-api]": (FAILED, "P0"),
            "cluster/endpoints[service/stylesync-api-service]": (FAILED, "P0"),
            "cluster/pods_not_ready": (WARNED, "P3"),
            "cluster/recent_restarts": (WARNED, "P3"),
        },
    ),
    Case(
        "SS6",
        "stylesync/cluster",
        "service-without-endpoints",
        "cache",
        {"cluster/endpoints[service/stylesync-api-service]": (FAILED, "P0")},
    ),
    Case(
        "SS6",
        "stylesync/cluster",
        "node-busy",
        "cache",
        {f"cluster/node_{resource}": (WARNED, "P3") for resource in ("cpu", "memory")},
    ),
    Case("SS6", "stylesync/cluster", "job-failed", "cache", {"cluster/jobs_failed": (WARNED, "P3")}),
    Case("AX4", "apex/cluster", "pvc-pending", "cache", {"cluster/claims_not_bound": (WARNED, "P2")}),
    Case(
        "AX9",
        "apex/cluster",
        "cronjob-missed",
        "cache",
        {"cluster/missed_runs[cronjob/database-backup]": (FAILED, "P1")},
    ),
    Case("SS19", "stylesync/cache", "stopped", "storage", {"cache/reachable": (FAILED, "P1")}),
    Case("SS19", "stylesync/storage", "stopped", "cache", {"storage/reachable": (FAILED, "P1")}),
    Case(
        "SS19",
        "stylesync/segmentation",
        "stopped",
        "api extraction",
        {"segmentation/reachable": (FAILED, "P1")} | as_expected("api", **{"/v1/readyz": "P1"}),
    ),
    Case("SS19", "stylesync/harmony", "error-body", "extraction", as_expected("harmony", **{"/healthz": "P1"})),
    Case(
        "ST1",
        "stario/gateway",
        "error-body",
        "voice-gen",
        as_expected("gateway", **{f"/health/{name}": "SEV-2" for name in GATEWAYS})
        | as_expected("gateway", **{"/health": "SEV-1", "/health/merch-engine": "SEV-3", "/metrics": "SEV-4"}),
    ),
    *(
        Case(
            "ST1",
            f"stario/{name}",
            "unhealthy",
            "gateway",
            as_expected("gateway", **{f"/health/{name}": severity}) | as_expected(name, **paths),
        )
        for name, severity, paths in (
            ("video-gen", "SEV-2", {"/health": "SEV-2"}),
            ("voice-gen", "SEV-2", {"/health": "SEV-2"}),
            ("face-similarity", "SEV-2", {"/health": "SEV-2", "/metrics": "SEV-4"}),
            ("poster-gen", "SEV-2", {"/health": "SEV-2"}),
            ("merch-engine", "SEV-3", {"/health": "SEV-3"}),
            ("regtech-filter", "SEV-2", {"/health": "SEV-2"}),
        )
    ),
    Case(
        "ST2",
        "stario/metrics",
        "latency",
        "cache",
        metric(
            video_generation_p95=(FAILED, "SEV-2"),
            poster_generation_p95=(FAILED, "SEV-3"),
            face_similarity_p95=(FAILED, "SEV-3"),
            api_p95=(WARNED, "SEV-4"),
        ),
    ),
    Case("ST2", "stario/metrics", "errors", "cache", metric(error_rate=(FAILED, "SEV-2"))),
    Case(
        "ST2",
        "stario/metrics",
        "down",
        "cache",
        metric(uptime=(FAILED, "SEV-2"))
        | burnt("availability", "SEV-2", "SEV-3")
        | {"metrics/error_budget_left[availability]": (WARNED, "SEV-3")},
    ),
    Case("ST3", "stario/database", "connections", "cache", {"database/connections_used": (FAILED, "SEV-1")}),
    Case("ST3", "stario/database", "stopped", "cache", {"database/reachable": (FAILED, "SEV-1")}),
    Case("ST3", "stario/cache", "full", "database", {"cache/memory_used": (FAILED, "SEV-2")}),
    Case("ST3", "stario/cache", "stopped", "database", {"cache/reachable": (FAILED, "SEV-2")}),
    Case(
        "ST4 ST6",
        "stario/metrics",
        "business",
        "cache",
        metric(payment_failures=(FAILED, "SEV-1")) | {"metrics/gpu_memory[2]": (WARNED, "SEV-4")},
    ),
    Case("ST6", "stario/payme", "error-body", "click", as_expected("payme", **{"/api/status": "SEV-2"})),
    Case("ST6", "stario/click", "stopped", "payme", {"click/reachable": (FAILED, "SEV-2")}),
    Case("ST7", "stario/certificate", "expiring", "cache", {"certificate/expires_in": (FAILED, "SEV-2")}),
    Case(
        "ST7",
        "stario/certificate",
        "expired",
        "cache",
        {"certificate/expires_in": (FAILED, "SEV-2"), "certificate/trusted": (FAILED, "SEV-2")},
    ),
    Case("ST8", "stario/ephemeral", "no-lifecycle", "backups", {"ephemeral/lifecycle_rules": (FAILED, "SEV-1")}),
    Case("ST10", "stario/database", "slow-queries", "cache", {"database/slowest_query": (WARNED, "SEV-4")}),
    Case(
        "AX1",
        "apex/api",
        "error-body",
        "cache",
        as_expected(
            "api", **{"/health": "P0", "/ready": "P1", "/metrics": "P3", "/signage/common/cabinets/derive": "P1"}
        ),
    ),
    Case(
        "AX1 AX6",
        "apex/cache",
        "stopped",
        "api database",
        {"cache/reachable": (FAILED, "P1")} | as_expected("api", **{"/ready": "P1"}),
    ),
    Case("AX2", "apex/database", "connections", "cache", {"database/connections_used": (FAILED, "P0")}),
    Case(
        "AX2 AX7",
        "apex/metrics",
        "business",
        "cache",
        metric(pool_used=(WARNED, "P2"), search_fallback=(WARNED, "P2")),
    ),
    Case("AX3", "apex/metrics", "latency", "cache", metric(derive_p95=(WARNED, "P2"))),
    Case("AX4", "apex/storage", "no-lifecycle", "backups", {"storage/lifecycle_rules": (WARNED, "P2")}),
    Case(
        "AX5",
        "apex/metrics",
        "errors",
        "cache",
        metric(error_rate=(FAILED, "P0"))
        | {f"metrics/failing_endpoints[{path}]": (WARNED, "P1") for path in ("/", "/signage/common/cabinets/derive")},
    ),
    Case("AX8", "apex/certificate", "expiring", "cache", {"certificate/expires_in": (FAILED, "P1")}),
    Case(
        "AX8",
        "apex/cluster",
        "certificate-fails",
        "cache",
        {
            "cluster/certificate_ready[certificate/apex-api-tls]": (FAILED, "P1"),
            "cluster/certificate_expires_in[certificate/apex-api-tls]": (FAILED, "P1"),
        },
    ),
    Case(
        "EY2",
        "eyewear/metrics",
        "busy",
        "cache",
        {
            "metrics/cpu_peak[node-9:9100]": (FAILED, "Sev 2"),
            "metrics/cpu_average[node-9:9100]": (WARNED, "Sev 3"),
            node("memory"): (FAILED, "Sev 2"),
            node("system_disks", "/"): (FAILED, "Sev 2"),
            node("data_disks", "/data"): (WARNED, "Sev 3"),
        },
    ),
    Case(
        "EY2",
        "eyewear/metrics",
        "traffic",
        "cache",
        {f"metrics/network_change[node-{number}:9100]": (WARNED, "Sev 3") for number in (1, 2)},
    ),
    Case("EY3", "eyewear/metrics", "latency", "cache", metric(api_p95=(WARNED, "Sev 4"))),
    Case("EY3 EY17", "eyewear/metrics", "errors", "cache", metric(error_rate=(FAILED, "Sev 1"))),
    Case(
        "EY4",
        "eyewear/api",
        "error-body",
        "cache",
        as_expected(
            "api",
            **{"/health": "Sev 1", "/health/monitoring": "Sev 2", "/health/dependencies": "Sev 2"},
            **{"/alerts/active": "Sev 3", "/alerts/dashboard": "Sev 3", "/metrics": "Sev 3"},
        ),
    ),
    Case(
        "EY4 EY7 EY17",
        "eyewear/cache",
        "stopped",
        "api storage",
        {"cache/reachable": (FAILED, "Sev 2")}
        | as_expected("api", **{"/health/dependencies": "Sev 2", "/alerts/active": "Sev 3"}),
    ),
    Case(
        "EY5",
        "eyewear/metrics",
        "business",
        "cache",
        metric(try_on_success=(WARNED, "Sev 3"), transaction_success=(WARNED, "Sev 3")),
    ),
    Case("EY6 EY17", "eyewear/database", "stopped", "cache", {"database/reachable": (FAILED, "Sev 1")}),
    Case("EY7", "eyewear/storage", "stopped", "cache", {"storage/reachable": (FAILED, "Sev 2")}),
    Case(
        "SY1",
        "synesthesia/api",
        "error-body",
        "web",
        as_expected("api", **{"/v1/health": "P0", "/metrics": "P3"}),
    ),
    Case("SY1", "synesthesia/web", "error-body", "api", as_expected("web", **{"/": "P0"})),
    Case(
        "SY1 SY2",
        "synesthesia/metrics",
        "latency",
        "cache",
        metric(p95_latency=(FAILED, "P1"), pack_time=(WARNED, "P2")),
    ),
    Case(
        "SY1",
        "synesthesia/metrics",
        "errors",
        "cache",
        metric(error_rate=(FAILED, "P0"), success_rate=(WARNED, "P2")) | burnt("requests", "P1", "P2"),
    ),
    Case(
        "SY1",
        "synesthesia/metrics",
        "busy",
        "cache",
        {
            "metrics/cpu[node-9:9100]": (WARNED, "P2"),
            node("memory"): (WARNED, "P2"),
            node("disk", "/"): (WARNED, "P2"),
            node("disk", "/data"): (WARNED, "P2"),
        },
    ),
    Case(
        "SY2",
        "synesthesia/metrics",
        "business",
        "cache",
        metric(pack_success=(FAILED, "P1"), satisfaction=(WARNED, "P3")),
    ),
    Case("SY4", "synesthesia/database", "connections", "cache", {"database/connections_used": (FAILED, "P0")}),
    Case("SY4", "synesthesia/database", "slow-queries", "cache", {"database/slowest_query": (WARNED, "P2")}),
    Case("SY6", "synesthesia/cache", "stopped", "database", {"cache/reachable": (FAILED, "P1")}),
    Case(
        "SY9",
        "synesthesia/storage",
        "stopped",
        "backups database",
        {"storage/reachable": (FAILED, "P1"), "backups/reachable": (FAILED, "P1")},
    ),
    Case(
        "SY10",
        "synesthesia/storage",
        "replication-stopped",
        "content-copy",
        {"storage/unreplicated": (WARNED, "P2")},
    ),
    Case(
        "SY14",
        "synesthesia/metrics",
        "attack",
        "cache",
        metric(failed_authentications=(WARNED, "P2"), rate_limit_violations=(WARNED, "P3")),
    ),
    Case("SY14", "synesthesia/certificate", "untrusted", "cache", {"certificate/trusted": (FAILED, "P1")}),
    Case(
        "SS4",
        "stylesync/logs",
        "degraded",
        "cache",
        {f"logs/matches[{name}]": (WARNED, "P2") for name in ("slow_phases", "circuit_opened", "degraded")},
    ),
    Case(
        "ST4",
        "stario/gpus",
        "gpu-memory",
        "cache",
        {f"gpus/gpu_memory_used[{number}]": (FAILED, "SEV-2") for number in (0, 1)},
    ),
    Case("ST5", "stario/video-queue", "backlog", "database", {"video-queue/depth": (WARNED, "SEV-3")}),
    Case("ST8", "stario/deletion-queue", "backlog", "database", {"deletion-queue/depth": (FAILED, "SEV-1")}),
    Case("AX3", "apex/work", "backlog", "database", {"work/depth": (WARNED, "P2")}),
    Case("AX5", "apex/logs", "failing-endpoint", "cache", {"logs/matches[failing_endpoints]": (WARNED, "P1")}),
    Case("AX5", "apex/logs", "errors", "cache", {"logs/matches[derive_timeouts]": (WARNED, "P1")}),
    Case(
        "AX7",
        "apex/search",
        "red",
        "cache",
        {"search/primaries_assigned": (FAILED, "P2"), "search/replicas_assigned": (WARNED, "P2")},
    ),
    Case(
        "EY2",
        "eyewear/machines",
        "disk-full",
        "cache",
        {f"machines/disk_used[node-{number}:9100 /]": (FAILED, "Sev 2") for number in (1, 2)},
    ),
    Case("EY7", "eyewear/search", "write-block", "cache", {"search/read_only_indices": (FAILED, "Sev 2")}),
    Case("EY7", "eyewear/queue", "backlog", "cache", {"queue/messages[try-on]": (WARNED, "Sev 3")}),
    Case(
        "EY7",
        "eyewear/queue",
        "consumers-gone",
        "cache",
        {f"queue/consumers[{name}]": (FAILED, "Sev 2") for name in ("try-on", "face-analysis")},
    ),
    Case("EY7", "eyewear/cache", "service-gone", "storage", {"cache/service_registered[api]": (FAILED, "Sev 2")}),
    Case("EY7", "eyewear/cache", "service-unwell", "storage", {"cache/service_healthy[api]": (FAILED, "Sev 2")}),
    Case("EY7", "eyewear/cache", "service-silent", "storage", {"cache/heartbeat_age[api]": (FAILED, "Sev 2")}),
    Case("EY10", "eyewear/configuration", "path-gone", "cache", {"configuration/missing": (FAILED, "Sev 3")}),
    Case("EY14", "eyewear/logs", "brute-force", "cache", {"logs/matches[failed_logins]": (WARNED, "Sev 3")}),
    Case("SY1", "synesthesia/machine", "disk-full", "cache", {"machine/disk_used[swarm-1:9100 /]": (WARNED, "P2")}),
    Case("SY3", "synesthesia/services", "exited", "cache", {"services/running[api]": (FAILED, "P0")}),
    Case("SY3", "synesthesia/services", "missing", "cache", {"services/running[api]": (FAILED, "P0")}),
    Case("SY3", "synesthesia/services", "unhealthy", "cache", {"services/healthy[api]": (FAILED, "P0")}),
    Case(
        "SY5",
        "synesthesia/messages",
        "backlog",
        "cache",
        {"messages/backlog[STORY_GENERATION/story-generation-worker]": (WARNED, "P2")},
    ),
    Case("SY6", "synesthesia/search", "yellow", "cache", {"search/replicas_assigned": (WARNED, "P2")}),
    Case("SY6", "synesthesia/search", "stopped", "cache", {"search/reachable": (FAILED, "P2")}),
    Case(
        "SY14",
        "synesthesia/logs",
        "brute-force",
        "cache",
        {"logs/most_by_one[failed_logins]": (FAILED, "P1"), "logs/matches[failed_logins]": (WARNED, "P2")},
    ),
    Case("SY14", "synesthesia/logs", "injection", "cache", {"logs/matches[sql_injection]": (FAILED, "P1")}),
)


@pytest.fixture(scope="module")
def look(running_lab, tmp_path_factory):
    """Check systems of a platform as `watchkeeper check --lab` does, and return the report."""
    settings = Settings(state=tmp_path_factory.mktemp("state"), lab=running_lab.state, confirm=False)

    def check(platform, systems=()):
        return check_now(platform, list(systems), settings, began=lambda _: None, told=lambda _: None)

    return check


def skip_what_cannot_be_had(lab, target):
    """Say why, where this machine has not the server that plays a system."""
    piece = next(one for one in Lab.read(lab.state).pieces if one.target == target)
    if piece.note:
        pytest.skip(piece.note)


def turned(report):
    """Every finding that is a problem, with its outcome and severity."""
    return {f.key: (f.outcome, f.severity) for f in report.problems if f.measurement not in SPEED}


def awaited(look, platform, systems, wanted):
    """Look until what is wanted is seen, as some of it takes its time, and return what was seen last."""
    deadline = time.monotonic() + PATIENCE
    while True:
        report = look(platform, systems)
        if wanted(turned(report)) or time.monotonic() > deadline:
            return report
        time.sleep(0.2)


@pytest.mark.parametrize("platform", platform_names())
def test_a_healthy_platform_has_no_problem_and_whatever_the_lab_plays_is_checked(look, platform):
    report = awaited(look, platform, (), lambda problems: not any(map(is_new, problems)))  # a busy machine is slow
    assert {key: what for key, what in turned(report).items() if is_new(key)} == {}
    unseen = {(system.name, f.measurement) for system in report.systems for f in system.findings if f.outcome is GAP}
    assert {what for _, what in unseen} <= NOT_IN_THE_LAB
    assert {system.name for system in report.systems} == set(load(platform).systems)


# pymongo forgets a socket whose connecting is cancelled by the client's end; it is collected, and told, in this test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row.replace(' ', '+')}-{case.target}-{case.fault}")
def test_what_a_runbook_fears_turns_just_that_finding_and_is_seen_to_recover(look, lab, case):
    skip_what_cannot_be_had(lab, case.target)
    lab.break_(case.target, case.fault)

    def told(problems):
        return {key: what for key, what in problems.items() if key in case.turns or is_new(key)}

    broken = awaited(look, case.platform, case.systems, lambda problems: told(problems) == case.turns)
    assert told(turned(broken)) == case.turns
    assert {system.name for system in broken.systems} == set(case.systems)
    assert any(finding.outcome is Outcome.PASSED for finding in broken.findings)
    lab.mend(case.target)
    mended = awaited(look, case.platform, case.systems, lambda problems: not any(map(is_new, problems)))
    assert [key for key in turned(mended) if is_new(key)] == []
    if case.target == "eyewear/database":
        gc.collect()


def is_new(key):
    return key.partition("/")[2] not in REMEMBERED


def test_a_store_that_answers_late_is_slow_and_not_down(look, lab):
    systems = ["cache", "search"]

    def late():
        report = look("synesthesia", systems)
        assert all(f.outcome is Outcome.PASSED for f in report.findings if f.measurement == "reachable")
        return {f.system for f in report.problems if f.measurement == "latency"}

    for system in systems:
        lab.break_(f"synesthesia/{system}", "sluggish")
    assert late() == set(systems)
    lab.mend()
    deadline = time.monotonic() + PATIENCE
    while (still := late()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert still == set()


def test_a_full_database_says_how_many_there_are_and_what_to_do(look, lab):
    lab.break_("stario/database", "connections")
    (found,) = look("stario", ["database"]).problems
    assert (found.observed, found.note) == ("100%", "34 of 34")
    assert found.remedy == "End sessions idle for 10 minutes; scale api-gateway down to 2."


def test_an_outage_that_was_mended_leaves_no_trace_in_the_history_of_the_lab(look, lab):
    def uptime():
        return next(f for f in look("stario", ["metrics"]).findings if f.measurement == "uptime")

    lab.break_("stario/metrics", "down")
    assert uptime().outcome is not Outcome.PASSED
    lab.mend("stario/metrics")
    deadline = time.monotonic() + PATIENCE
    while uptime().value != 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert uptime().value == 1


def test_the_page_on_coverage_names_this_table_for_just_the_rows_that_are_in_it():
    page = (Path(__file__).resolve().parents[2] / "docs" / "coverage.md").read_text(encoding="utf-8")
    name = test_what_a_runbook_fears_turns_just_that_finding_and_is_seen_to_recover.__name__
    named = [line.split("|")[1].strip() for line in page.splitlines() if f"::{name}`" in line]
    assert sorted(named) == sorted({row for case in CASES for row in case.row.split()})


def test_every_kind_that_a_platform_has_and_that_measures_is_broken_somewhere():
    broken = {load(case.platform).systems[case.systems[0]].kind for case in CASES}
    used = {system.kind for name in platform_names() for system in load(name).systems.values()}
    assert broken == {name for name, kind in kinds().items() if kind.can("probe") and name in used}


STOPPED = {"stario/ephemeral": "stale-uploads", "synesthesia/storage": "replication-stopped"}
"""What must break before time makes it worse."""


@pytest.mark.parametrize(
    ("target", "later", "turns"),
    [
        ("stario/ephemeral", timedelta(minutes=2), {"oldest_object": (FAILED, "SEV-1")}),
        ("stario/backups", timedelta(hours=27), {"newest_object": (WARNED, "SEV-4")}),
        ("stario/backups", timedelta(days=3), {"newest_object": (FAILED, "SEV-2")}),
        ("apex/backups", timedelta(days=3), {"newest_object": (FAILED, "P0")}),
        ("synesthesia/backups", timedelta(hours=8), {"newest_object": (WARNED, "P2")}),
        ("synesthesia/backups", timedelta(hours=13), {"newest_object": (FAILED, "P1")}),
        ("synesthesia/storage", timedelta(minutes=20), {"replication_lag": (WARNED, "P2")}),
        ("synesthesia/storage", timedelta(hours=2), {"replication_lag": (FAILED, "P1")}),
        ("apex/certificate", timedelta(days=50), {"expires_in": (WARNED, "P2")}),
        ("apex/cluster", timedelta(days=40), {"certificate_expires_in": (WARNED, "P2")}),
    ],
    ids=str,
)
async def test_what_grows_old_is_told_as_time_goes_by(lab, target, later, turns):
    platform, _, system = target.partition("/")
    if (fault := STOPPED.get(target)) is not None:
        lab.break_(target, fault)
    access = lab.access
    ahead = replace(access, now=lambda: datetime.now(UTC) + later)
    now, then = [await check_system(load(platform), system, clock) for clock in (access, ahead)]
    assert not [f for f in now.findings if f.measurement in turns and f.outcome.is_problem]
    assert {f.measurement: (f.outcome, f.severity) for f in then.findings if f.measurement in turns} == turns
