"""Every control once green and once red, over facts that were really fetched: of the lab as it is, and broken.

A control without a row in one of the tables fails the last test of this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from deployments.check import check_now, sweep
from deployments.lab import log_lines
from deployments.lab.kubernetes.resources import RESOURCES
from deployments.lab.pieces import Lab
from deployments.lab.servers import seaweedfs
from tasks import evidence
from tasks.backing_up import BackupRun, back_up
from tasks.checklists import ChecklistRun
from tasks.clients.blobs import FolderStore
from tasks.control_runs import judge_clusters
from tasks.controls import about, controls
from tasks.core.backup import Taken
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.control import Result
from tasks.core.platform import PlatformSpec
from tasks.core.report import report_id
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.faces import OfBulletin
from tasks.inspections import Inspection, report_store
from tasks.reports import checklist_words
from tasks.statements import note_downtime, state
from tasks.systems.kubernetes.audit import audit as audit_cluster
from tasks.systems.kubernetes.spec import Spec as Cluster
from tasks.vault import records
from tasks.vault.vault import Vault
from tests.lab.clusters import access
from tests.lab.clusters import lab as cluster
from tests.small import platform_in
from tests.unit.test_drill import drill, held, recovery

pytestmark = pytest.mark.lab

PLATFORM = {
    "access-anomalies": "synesthesia",
    "audit-export": "stario",
    "audit-logs-written": "stario",
    "backups-encrypted": "stylesync",
    "backups-recent": "stylesync",
    "backups-restored": "stylesync",
    "buckets-encrypted": "apex",
    "buckets-private": "apex",
    "buckets-versioned": "apex",
    "certificates": "synesthesia",
    "data-residency": "stario",
    "database-passwords-expire": "stario",
    "database-public-schema": "stario",
    "database-superusers": "stario",
    "ephemeral-deleted": "stario",
    "failed-logins": "stario",
    "incident-contacts": "synesthesia",
    "legal-export": "stario",
    "logins-of-one-address": "synesthesia",
    "personal-data-erased": "stario",
    "post-mortems": "synesthesia",
    "rate-limits-hold": "eyewear",
    "redis-dangerous-commands": "stario",
    "retention-enforced": "stario",
    "secrets-rotated": "synesthesia",
    "sql-injections": "eyewear",
    "stores-ask-for-passwords": "synesthesia",
    "systems-updated": "synesthesia",
    "unusual-volume": "eyewear",
    "vaults-locked": "apex",
}
"""The controls over a platform, and the platform of the lab on which they are seen green and red."""

SCANNERS = {"python-dependencies", "node-dependencies", "images", "code-scan"}
MADE_HERE = {"checks-ran", "disaster-drilled", "evidence-intact", "waivers-current"}
"""Those whose facts are Watchkeeper's own records: each has a test of its own below."""
PLATFORMS = sorted({*PLATFORM.values()})
PATIENCE = 60.0


class Bench:
    """Makes checklists over the lab, each from what is there at the moment."""

    def __init__(self, state: Path, settings: Settings) -> None:
        self.state, self.settings = state, settings
        self.pieces = {piece.target: piece for piece in Lab.read(state).pieces}
        self.changes: dict[str, Callable[[PlatformSpec], PlatformSpec]] = {}

    def open(self, platform: str) -> ChecklistRun:
        """Open a platform's list, with its spec changed where that is what is broken."""
        run = ChecklistRun.open(platform, self.settings)
        run.platform = self.changes.get(platform, lambda spec: spec)(run.platform)
        return run

    def look(self, platform: str) -> dict[str, Any]:
        """Fetch and judge; return the items of the list by their controls."""
        run = self.open(platform)
        return {item.control: item for item in run.report(run.look(plant=True)).items}

    def look_at(self, platforms: list[str]) -> dict[str, dict[str, Any]]:
        """Look at several platforms side by side: most of it is waiting for deadlines."""
        with ThreadPoolExecutor(len(platforms)) as pool:
            return dict(zip(platforms, pool.map(self.look, platforms), strict=True))

    def health(self, platform: str, *systems: str) -> None:
        """Check systems for real, and keep the report as the flow does."""
        report = check_now(platform, systems, self.settings, began=lambda _: None, told=lambda _: None)
        report_store(self.settings).save(report, "")

    def store(self, target: str) -> Any:
        return seaweedfs.client(self.pieces[target].address)


@pytest.fixture(scope="module")
def bench(running_lab, tmp_path_factory) -> Bench:
    state = tmp_path_factory.mktemp("controls")
    (state / "lab").symlink_to(running_lab.state)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PG_BIN", "")
        patched.delenv("PG_BIN")
        yield Bench(running_lab.state, Settings(state=state, lab=state / "lab", confirm=False))


@pytest.fixture(scope="module")
def green(bench) -> dict[str, dict[str, Any]]:
    """The lists of the lab as it is, once it was checked, backed up, and a backup was proven."""
    run = BackupRun.open("stylesync", ("cache",), bench.settings)
    made = back_up(run, told=lambda *_: None, done=lambda _: None)
    assert made.verdict.value in ("passed", "warned")
    bench.changes["stylesync"] = _cache_alone
    vault = run.vault("local")
    for entry in vault.entries("stylesync", "cache"):
        records.record(vault, entry.folder, level=3, outcome=Outcome.PASSED)
    bench.health("stylesync", "cache")
    bench.health("synesthesia", "certificate", "logs")
    return bench.look_at(PLATFORMS)


def _cache_alone(spec: PlatformSpec) -> PlatformSpec:
    """Let only the cache count as protected: the other systems have no backup in this lab."""
    cluster = spec.systems["cluster"].model_copy(update={"backup": None})
    return spec.model_copy(update={"systems": spec.systems | {"cluster": cluster}})


@pytest.fixture(scope="module")
def red(bench, green, running_lab) -> dict[str, dict[str, Any]]:
    """The lists of the lab when all is broken at once; it is mended again at the end."""
    assert green
    with ExitStack() as broken:
        for fault in FAULTS:
            running_lab.break_(*fault)
        broken.callback(running_lab.mend)
        for make in BREAKING:
            broken.enter_context(make(bench))
        bench.health("synesthesia", "certificate", "logs")
        others = [platform for platform in PLATFORMS if platform != "stylesync"]
        return bench.look_at(others) | {"stylesync": _unprotected(bench)}


FAULTS = (
    ("stario/gateway", "careless"),
    ("stario/cluster", "node-abroad"),
    ("synesthesia/logs", "brute-force"),
    ("stario/gateway-logs", "brute-force"),
    ("synesthesia/certificate", "expiring"),
    ("synesthesia/machine", "updates"),
)


def _unprotected(bench: Bench) -> dict[str, Any]:
    """Look in 100 days at StyleSync's backups, the newest of which is encrypted for nobody."""
    run = bench.open("stylesync")
    later = datetime.now(UTC) + timedelta(days=100)
    run.access = replace(run.access, now=lambda: later)
    vault = Vault("local", FolderStore(bench.state / "vaults" / "stylesync" / "local"), encrypted=False)
    with vault.begin("stylesync", "cache", "redis") as backup:
        with backup.part("dump.rdb") as part:
            part.write(b"REDIS")
        made = backup.commit(Taken(method="rdb", consistent_as_of=datetime.now(UTC)))
    try:
        inspection = Inspection.open("health-check", "stylesync", ("cache",), bench.settings)
        inspection.access = run.access
        health = inspection.report(asyncio.run(sweep(inspection, lambda _: None)))
        facts = replace(run.look(), health=health)
    finally:
        shutil.rmtree(bench.state / "vaults" / "stylesync" / "local" / made.folder)
    return {item.control: item for item in run.report(facts).items}


@contextmanager
def _accounts(bench: Bench) -> Iterator[None]:
    """A superuser without an end; PUBLIC may create; an old row; a Redis of which anybody may do everything."""
    with (
        psycopg.connect(bench.pieces["stario/database"].address, dbname="stario", autocommit=True) as database,
        redis.Redis.from_url(bench.pieces["stario/cache"].address) as cache,
        redis.Redis.from_url(bench.pieces["synesthesia/cache"].address) as other,
    ):
        database.execute("CREATE ROLE intruder SUPERUSER LOGIN PASSWORD 'x'")
        database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        database.execute("INSERT INTO audit_logs (actor, action, subject, at) VALUES ('x', 'x', 'x', '2020-01-01')")
        password = other.connection_pool.connection_kwargs["password"]
        cache.execute_command("ACL", "SETUSER", "intruder", "on", ">x", "~*", "+@all")
        other.execute_command("ACL", "SETUSER", "default", "nopass")
        try:
            yield
        finally:
            other.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password}")
            cache.execute_command("ACL", "DELUSER", "intruder")
            database.execute("DELETE FROM audit_logs WHERE at < '2021-01-01'")
            database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            database.execute("DROP ROLE intruder")


@contextmanager
def _buckets(bench: Bench) -> Iterator[None]:
    """A bucket that anybody may list, that keeps no versions and is not encrypted."""
    bucket = bench.pieces["apex/storage"].details["bucket"]
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    with contextlib.closing(bench.store("apex/storage")) as store:
        encryption = store.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        store.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [anybody]}))
        store.delete_bucket_encryption(Bucket=bucket)
        store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        try:
            yield
        finally:
            store.delete_bucket_policy(Bucket=bucket)
            store.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)
            store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


@contextmanager
def _unlocked(bench: Bench) -> Iterator[None]:
    """The off-site vault of a platform stands in a bucket that was made without object lock."""

    def moved(spec: PlatformSpec) -> PlatformSpec:
        vault, storage = spec.vaults["offsite"], spec.systems["storage"]
        keys = {field: getattr(storage, field) for field in ("bucket", "endpoint", "access_key", "secret_key")}
        return spec.model_copy(update={"vaults": spec.vaults | {"offsite": vault.model_copy(update=keys)}})

    bench.changes["apex"] = moved
    yield
    del bench.changes["apex"]


@contextmanager
def _files(bench: Bench) -> Iterator[None]:
    """An old secret, logs full of attacks, late post-mortems, silent contacts, and scanners that found holes."""
    folder = bench.state / "compliance" / "synesthesia"
    long_ago = time.time() - 100 * 86_400
    lists = {name: (folder / name).read_text(encoding="utf-8") for name in ("incidents.json", "calls.json")}
    (incident,), calls = json.loads(lists["incidents.json"]), json.loads(lists["calls.json"])
    (folder / "incidents.json").write_text(json.dumps([incident | {"written": None}]), encoding="utf-8")
    (folder / "calls.json").write_text(json.dumps(calls[1:]), encoding="utf-8")
    os.utime(folder / "secret-0", (long_ago, long_ago))
    log = Path(bench.pieces["eyewear/logs"].details["file"])
    before = log.stat().st_size
    with log.open("a", encoding="utf-8") as file:
        lines = log_lines.written({"flood", "hoarding", "injection"}, datetime.now(UTC))
        file.writelines(f"{log_lines.stamped(at, text)}\n" for at, text in lines)
    scans = {path: path.read_text(encoding="utf-8") for path in (folder / "scans").iterdir()}
    for path in scans:
        path.write_text(json.dumps(HOLES[path.name]), encoding="utf-8")
    try:
        yield
    finally:
        os.truncate(log, before)
        os.utime(folder / "secret-0")
        for name, text in lists.items():
            (folder / name).write_text(text, encoding="utf-8")
        for path, text in scans.items():
            path.write_text(text, encoding="utf-8")


BREAKING: tuple[Callable[[Bench], Any], ...] = (_accounts, _buckets, _unlocked, _files)
_HOLE = {"VulnerabilityID": "CVE-1", "PkgName": "openssl", "Severity": "CRITICAL"}
HOLES: dict[str, Any] = {
    "pip-audit.json": {"dependencies": [{"name": "jinja2", "version": "2.4", "vulns": [{"id": "PYSEC-9"}]}]},
    "npm-audit.json": {"vulnerabilities": {"tar": {"severity": "high", "via": [{"source": 1}], "range": "<4"}}},
    "trivy.json": {"Results": [{"Target": "debian", "Vulnerabilities": [_HOLE]}]},
    "code.sarif": {"runs": [{"tool": {"driver": {"name": "s"}}, "results": [{"ruleId": "r", "level": "error"}]}]},
}


@pytest.mark.parametrize("control", sorted(PLATFORM))
def test_a_control_is_green_on_the_lab_as_it_is(green, control):
    item = green[PLATFORM[control]][control]
    assert (item.result, item.reason, item.findings) == (Result.PASS, "", ())
    assert item.looked_at > 0


@pytest.mark.parametrize("control", sorted(PLATFORM))
def test_a_control_is_red_on_the_lab_when_it_is_broken(red, control):
    item = red[PLATFORM[control]][control]
    assert item.result is Result.FAIL, item.reason
    assert all(item.findings)


@pytest.mark.parametrize("control", sorted(SCANNERS))
def test_what_scanners_wrote_is_green_and_red_in_the_list_of_a_platform(green, red, control):
    assert green["synesthesia"][control].result is Result.PASS
    assert red["synesthesia"][control].result is Result.FAIL


KUBERNETES = sorted(control.id for control in about("kubernetes"))
PLURALS = {resource.kind: resource.plural for resource in RESOURCES}


@pytest.fixture(scope="module")
def clusters(tmp_path_factory) -> Iterator[Any]:
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def _fetched(made: Any, control: str, *, case: str) -> Any:
    """Put a control's own case into a namespace of a cluster, read it back through the API, and judge it."""
    namespace = f"{control}-{case}"
    made.add("namespaces", namespace, namespace="")
    kinds = set()
    for number, resource in enumerate(getattr(controls()[control], case)().resources):
        document = json.loads(json.dumps(resource.data))
        meta = {key: value for key, value in document.pop("metadata", {}).items() if key != "namespace"}
        kind = document.pop("kind")
        document.pop("apiVersion")
        kinds.add(kind)
        name = meta.pop("name", f"case-{number}")
        made.add(PLURALS[kind], f"{name}-{control}-{case}", namespace, metadata=meta, **document)
    spec = Cluster(kind="kubernetes", kubeconfig=str(made.config), namespace=namespace)
    found = asyncio.run(audit_cluster(spec, CompliancePlan(), access()))
    found.system, found.kind = "cluster", "kubernetes"
    wide = ("ClusterRole", "ClusterRoleBinding")
    found.resources = [
        one
        for one in found.resources
        if one["kind"] not in wide or one["metadata"]["name"].endswith(f"{control}-{case}")
    ]
    assert found.gaps == {}
    return next(one for one in judge_clusters({"cluster": found}) if one.control.id == control)


@pytest.mark.parametrize("control", KUBERNETES)
def test_a_control_over_a_cluster_is_green_and_red_on_what_its_api_tells(clusters, control):
    bad, good = (_fetched(clusters, control, case=case) for case in ("bad", "good"))
    assert bad.result is Result.FAIL
    assert all("/" in breach.what for breach in bad.breaches)
    assert good.result is Result.PASS


@pytest.fixture
def own(tmp_path, monkeypatch) -> Callable[[str], Result]:
    """A platform of nothing but a folder; returns what becomes of a control, as Watchkeeper's own records tell."""
    files = f'files: {{kind: files, root: {tmp_path}, paths: ["*"], backup: {{to: [local]}}}}'
    platform_in(tmp_path, monkeypatch, files, name="apex")
    settings = Settings(state=tmp_path / "state", platforms=tmp_path / "platforms")

    def result(control: str) -> Result:
        run = ChecklistRun.open("apex", settings)
        return next(item.result for item in run.report(run.look()).items if item.control == control)

    result.settings = settings  # type: ignore[attr-defined]
    return result


def recorded(settings: Settings, *, days: int) -> None:
    """Make a checklist as of some days ago a record of the ledger."""
    run = ChecklistRun.open("apex", settings)
    then = datetime.now(UTC) - timedelta(days=days)
    made = run.report(run.look()).model_copy(update={"started": then, "finished": then})
    evidence.record(OfBulletin(made, checklist_words.bulletin(made)), run.platform, run.access, settings)


def test_the_evidence_is_green_as_it_was_written_and_red_when_a_byte_was_changed(own):
    recorded(own.settings, days=0)
    assert own("evidence-intact") is Result.PASS
    path = next((own.settings.state / "evidence" / "records").rglob("*.json"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"apex", b"apey", 1))
    assert own("evidence-intact") is Result.FAIL


def test_what_did_not_run_when_it_was_to_is_red_until_somebody_explains_it(own):
    recorded(own.settings, days=3)
    assert own("checks-ran") is Result.FAIL
    now = datetime.now(UTC)
    note_downtime("apex", own.settings, by="ada", text="moved", begin=now - timedelta(days=4), until=now)
    assert own("checks-ran") is Result.PASS


def test_a_disaster_that_was_never_rehearsed_is_red_and_one_that_was_is_green(own):
    assert own("disaster-drilled") is Result.FAIL
    now = datetime.now(UTC)
    made = drill(recovery(assertions=(held(Outcome.PASSED),))).model_copy(
        update={"platform": "apex", "started": now, "finished": now}
    )
    made = made.model_copy(update={"id": report_id("apex", "dr-drill", now, "1")})
    report_store(own.settings).save(made, "")
    assert own("disaster-drilled") is Result.PASS


def test_a_waiver_that_is_needed_is_green_and_one_of_nothing_is_red(own):
    until = datetime.now(UTC) + timedelta(days=9)
    given = {"text": "because", "by": "ada", "approver": "bob", "until": until}
    state("waiver", "apex", "disaster-drilled", own.settings, **given)
    assert own("waivers-current") is Result.PASS
    assert own("disaster-drilled") is Result.WAIVED
    state("waiver", "apex", "buckets-private", own.settings, **given)
    assert own("waivers-current") is Result.FAIL


def test_every_control_there_is_has_a_green_and_a_red_case():
    assert {*PLATFORM, *SCANNERS, *MADE_HERE, *KUBERNETES} == set(controls())
