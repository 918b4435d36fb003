"""The five platforms' specs: complete, told apart, and what their runbooks say."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from deployments.validate import validate
from tasks.clients.secrets import SecretResolver
from tasks.core.loading import load_platform
from tasks.core.platform import PlatformSpec
from tasks.core.references import AddressReference, references_in
from tasks.core.results import Outcome
from tasks.core.retention import Span
from tasks.core.vaults import Encryption, S3Vault
from tasks.systems import platform_model

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "platforms"
PLATFORMS = ("apex", "eyewear", "stario", "stylesync", "synesthesia")
NOTHING = SecretResolver({})


def spec_of(name: str) -> PlatformSpec:
    return load_platform((FOLDER / f"{name}.yaml").read_bytes(), f"{name}.yaml", platform_model())


SPECS = {name: spec_of(name) for name in PLATFORMS}


def test_there_is_a_spec_for_each_of_the_five_platforms():
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.yaml"))) == PLATFORMS
    assert [spec.platform for spec in SPECS.values()] == list(PLATFORMS)


def test_the_specs_have_no_problem_together():
    assert validate(sorted(FOLDER.glob("*.yaml")), secrets=False, resolver=NOTHING) == []


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_spec_opens_with_its_schema_for_editors(name):
    first = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./platform.schema.json"


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_reference_is_named_after_its_platform_and_secrets_have_no_default(name):
    for path, reference in references_in(SPECS[name]):
        assert reference.env is not None, path
        assert re.fullmatch(rf"{name.upper()}(_[A-Z0-9]+)+", reference.env), path
        if not isinstance(reference, AddressReference):
            assert not hasattr(reference, "default"), path


def test_no_spec_holds_a_password():
    for path in FOLDER.glob("*.yaml"):
        assert not re.search(r"://[^\s/@:{]+:[^\s/@{]+@|password: [^{\s]", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", PLATFORMS)
def test_severities_are_written_worst_first_and_the_mildest_only_warn(name):
    respond = [level.respond for level in SPECS[name].severities.values()]
    timed = [wait for wait in respond if isinstance(wait, timedelta)]
    assert all(sooner < later for sooner, later in pairwise(timed))
    outcomes = [level.outcome for level in SPECS[name].severities.values()]
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome is Outcome.WARNED)


@pytest.mark.parametrize(
    ("name", "responses"),
    [
        ("stylesync", {"P0": "within 5 min", "P1": "within 15 min", "P2": "within 1 h", "P3": "next business day"}),
        (
            "stario",
            {"SEV-1": "within 15 min", "SEV-2": "within 30 min", "SEV-3": "within 2 h", "SEV-4": "next business day"},
        ),
        ("apex", {"P0": "within 15 min", "P1": "within 1 h", "P2": "within 4 h", "P3": "next day"}),
        (
            "eyewear",
            {"Sev 1": "within 15 min", "Sev 2": "within 1 h", "Sev 3": "within 4 h", "Sev 4": "next business day"},
        ),
        ("synesthesia", {"P0": "within 15 min", "P1": "within 1 h", "P2": "within 4 h", "P3": "within 1 d"}),
    ],
)
def test_severities_and_response_times_are_the_runbooks(name, responses):
    assert {level: SPECS[name].response_time(level) for level in SPECS[name].severities} == responses


NAMED = {
    "stylesync": """
        @oncall-stylesync @platform-team @api-team #stylesync-alerts #platform-team #api-team
        https://api.stylesync.com https://staging-api.stylesync.com https://prometheus.stylesync.com
        https://grafana.stylesync.com/d/phase4 https://kibana.stylesync.com https://docs.stylesync.com/phase4
        /v1/healthz /v1/readyz /v1/metrics /v1/advice app=stylesync-api stylesync-tls
        """,
    "stario": """
        http://localhost:8000 http://localhost:8002 http://localhost:8003 http://localhost:8004 http://localhost:8005
        http://localhost:8006 http://localhost:8007 oncall@stario.uz eng-lead@stario.uz dba@stario.uz
        security@stario.uz compliance@stario.uz #incidents https://status.stario.uz api.stario.uz:443
        https://status.payme.uz https://status.click.uz video_generation_queue ephemeral_deletion_queue
        stario-ephemeral stario-backups postgres/ api-gateway video-gen-worker ephemeral-cleaner
        """,
    "apex": """
        http://api.example.com /health /ready /signage/common/cabinets/derive apex_pg_pool_used search_fallback
        celery apex-uploads apex-backups http://search:9200 http://minio:9000 #apex-oncall ops@example.com
        https://status.example.com api.example.com:443 apex-api-tls apex-api apex-worker
        """,
    "eyewear": """
        +1-555-0101 +1-555-0102 +1-555-0103 ops-primary@eyewearml.com ops-secondary@eyewearml.com
        ops-manager@eyewearml.com devops@eyewearml.com dev@eyewearml.com security@eyewearml.com
        management@eyewearml.com #incidents #ops-alerts #general https://status.eyewearml.com
        https://monitoring.eyewearml.com api.eyewearml.com:443 http://localhost:8000 /health/monitoring
        /health/dependencies /alerts/active /alerts/dashboard eyewear-ml eyewear-api
        """,
    "synesthesia": """
        http://localhost:8000 /v1/health STORY_GENERATION narrative-worker postgres redis opensearch nats nginx
        """,
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_spec_names_what_its_runbook_names(name):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert [word for word in NAMED[name].split() if word not in text] == []


@pytest.mark.parametrize(("name", "rto", "rpo"), [("apex", 4 * 60, 15), ("synesthesia", 4 * 60, 60)])
def test_recovery_objectives_are_the_runbooks(name, rto, rpo):
    recovery = SPECS[name].recovery
    assert recovery is not None
    assert (recovery.rto, recovery.rpo) == (timedelta(minutes=rto), timedelta(minutes=rpo))


def bounds_of(name: str, system: str, of: str) -> dict[str, str]:
    spec = SPECS[name].systems[system]
    limit = getattr(spec, "objectives", spec.limits)[of]
    return {path[-1]: str(bound) for path, bound in limit.bounds()}


@pytest.mark.parametrize(
    ("name", "system", "of", "bounds"),
    [
        ("stylesync", "metrics", "error_rate", {"P0": "50%", "P1": "10%", "P2": "5%"}),
        ("stylesync", "metrics", "p95_latency", {"P0": "10s", "P1": "2s", "P2": "1s"}),
        ("stylesync", "metrics", "cache_hit_ratio", {"P1": "< 30%"}),
        ("stario", "metrics", "video_generation_p95", {"critical": "40s"}),
        ("stario", "metrics", "poster_generation_p95", {"critical": "5s"}),
        ("stario", "metrics", "face_similarity_p95", {"critical": "200ms"}),
        ("stario", "metrics", "error_rate", {"warn": "0.1%", "critical": "1%"}),
        ("stario", "metrics", "uptime", {"warn": "< 99.9%", "critical": "< 99.5%"}),
        ("stario", "metrics", "payment_failures", {"critical": "5%"}),
        ("stario", "video-queue", "depth", {"warn": "100"}),
        ("apex", "metrics", "error_rate", {"critical": "5%"}),
        ("apex", "metrics", "pool_used", {"warn": "80%", "critical": "100%"}),
        ("apex", "metrics", "search_fallback", {"warn": "20%"}),
        ("apex", "database", "longest_query", {"warn": "5m"}),
        ("apex", "storage", "used", {"warn": "80%", "critical": "95%"}),
        ("apex", "certificate", "expires_in", {"warn": "30d", "critical": "7d"}),
        ("eyewear", "metrics", "error_rate", {"Sev 1": "5%", "Sev 3": "2%", "Sev 4": "1%"}),
        ("eyewear", "metrics", "api_p95", {"Sev 1": "5s", "Sev 3": "1s", "Sev 4": "200ms"}),
        ("eyewear", "metrics", "memory", {"warn": "85%", "critical": "95%"}),
        ("eyewear", "database", "replication_lag", {"warn": "1s", "critical": "30s"}),
        ("synesthesia", "metrics", "p95_latency", {"P1": "1s", "P2": "500ms"}),
        ("synesthesia", "metrics", "success_rate", {"warn": "< 99.5%"}),
        ("synesthesia", "metrics", "pack_success", {"critical": "< 95%"}),
        ("synesthesia", "metrics", "pack_time", {"warn": "45s"}),
        ("synesthesia", "metrics", "satisfaction", {"warn": "< 4.5"}),
        ("synesthesia", "metrics", "failed_authentications", {"warn": "100"}),
        ("synesthesia", "metrics", "rate_limit_violations", {"warn": "1000"}),
    ],
)
def test_a_threshold_is_the_runbooks(name, system, of, bounds):
    assert bounds_of(name, system, of) == bounds


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_objective_has_a_name_of_its_own_and_a_query_that_closes_its_brackets(name):
    for objective in getattr(SPECS[name].systems["metrics"], "objectives", {}).values():
        for opened, closed in ("()", "[]", "{}"):
            assert objective.query.count(opened) == objective.query.count(closed), objective.query


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def told(paths: list[Path], **environment: str) -> list[str]:
    resolver = SecretResolver(environment)
    return [str(problem) for problem in validate(paths, secrets=bool(environment), resolver=resolver)]


def small(platform: str) -> str:
    return f"""\
platform: {platform}
title: Shop
slack: {{channel: "#shop"}}
severities: {{P1: {{means: down, respond: 15m}}}}
default_severity: {{warn: P1, critical: P1}}
systems:
  cache:
    kind: redis
    url: {{env: CACHE_URL}}
"""


def test_two_files_of_the_same_platform_are_a_problem(tmp_path):
    first, second = write(tmp_path, "a.yaml", small("shop")), write(tmp_path, "b.yaml", small("shop"))
    assert told([first, second, first]) == [f"{second}:1:1: platform: 'shop' is the name of {first} already"]


def test_a_file_that_cannot_be_read_is_a_problem_and_the_others_are_looked_at(tmp_path):
    bad = write(tmp_path, "bad.yaml", b"\xff\xfe")
    broken = write(tmp_path, "broken.yaml", small("shop").replace("15m", "soon"))
    problems = told([tmp_path / "none.yaml", tmp_path, bad, broken])
    assert problems[0] == f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory"
    assert problems[1] == f"{tmp_path}:1:1: cannot be read: Is a directory"
    assert problems[2] == f"{bad}:1:1: byte 0xff is not UTF-8 text"
    assert problems[3].startswith(f"{broken}:4:32: severities.P1.respond: 'soon'")
    assert len(problems) == 4


def test_a_reference_that_cannot_be_resolved_is_told_with_its_place_and_no_value(tmp_path):
    path = write(tmp_path, "shop.yaml", small("shop"))
    assert told([path], OTHER="hunter2") == [
        f"{path}:9:5: systems.cache.url: the environment variable CACHE_URL is not set (export CACHE_URL=...)"
    ]
    assert told([path], CACHE_URL="redis://:hunter2@cache") == []


def test_without_secrets_no_reference_is_resolved(tmp_path):
    assert told([write(tmp_path, "shop.yaml", small("shop"))]) == []


@pytest.mark.parametrize(
    ("name", "vault", "keep"),
    [
        ("apex", "local", {"within": "30d"}),
        ("synesthesia", "local", {"within": "30d"}),
        ("synesthesia", "offsite", {"within": "1y"}),
        ("eyewear", "local", {"within_daily": "30d", "weekly": 8, "monthly": 12}),
    ],
)
def test_what_is_kept_and_where_is_the_runbooks(name, vault, keep):
    found = SPECS[name].vaults[vault].keep
    assert {rule: getattr(found, rule) for rule in found.model_fields_set} == {
        rule: Span.parse(value) if isinstance(value, str) else value for rule, value in keep.items()
    }


@pytest.mark.parametrize("name", PLATFORMS)
def test_everything_that_is_backed_up_is_encrypted_and_has_a_locked_copy_off_site(name):
    spec = SPECS[name]
    assert spec.protected
    assert isinstance(spec.encryption, Encryption)
    assert isinstance(spec.vaults["offsite"], S3Vault)
    assert spec.vaults["offsite"].lock is not None
    for system in spec.protected.values():
        assert system.backup is not None
        assert system.backup.to == ("local", "offsite")


def test_uploads_that_are_personal_data_are_never_backed_up():
    assert "ephemeral" not in SPECS["stario"].protected
