"""Every result becomes evidence, of flows and of commands alike, without any secret in it."""

import json
import multiprocessing
import sys

import pytest
from click.testing import CliRunner

from deployments.cli import main
from deployments.recording import record
from tasks import evidence, faces, platforms
from tasks.clients.blobs import FolderStore
from tasks.clients.ledger import Ledger
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.report import Report, SystemReport
from tasks.core.results import Finding, Outcome
from tasks.core.settings import Settings
from tests.small import platform_in
from tests.unit.test_checklist import AT

SECRETS = {"plain": "hunter2-secret", "odd": 'pa"ss\\wörd\n42', "key": "key-in-a-name-77"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("1", encoding="utf-8")
    return platform_in(tmp_path, monkeypatch, f"files: {{kind: files, root: {tmp_path}/data, backup: {{to: [local]}}}}")


def recorded(place):
    return [json.loads(data) for _, data in Ledger(FolderStore(place / "state" / "evidence")).records()]


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_what_commands_find_becomes_evidence_of_its_kind(place):
    (place / "auth.log").write_text("", encoding="utf-8")
    (place / "pod.yaml").write_text("kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {}\n", encoding="utf-8")
    run("check", "shop")
    run("backup", "shop")
    run("verify", "shop", "--level", "1")
    run("restore", "shop/files", "--latest", "--into", "scratch")
    run("drill", "shop")
    run("prune", "shop")
    run("prune", "shop", "--apply")
    run("controls", "run", "kubernetes", "--manifests", place / "pod.yaml", "--platform", "shop")
    run("controls", "run", "kubernetes", "--manifests", place / "pod.yaml")
    run("logs", "scan", place / "auth.log", "--platform", "shop")
    run("checklist", "shop")
    found = recorded(place)
    assert [(one["flow"], one["kind"]) for one in found] == [
        ("health-check", "health"),
        ("backup", "backup"),
        ("verify-backups", "verification"),
        ("restore-datastore", "operation"),
        ("dr-drill", "drill"),
        ("prune", "operation"),
        ("controls", "control"),
        ("logs", "control"),
        ("compliance-checklist", "control"),
    ]
    for one in found:
        assert one["platform"] == "shop"
        assert one["by"].startswith("user ")
        assert set(one) >= {"said", "verdict", "effective", "collected_at", "spec", "watchkeeper", "facts"}
    assert evidence.verify(Settings()).fault is None


def report(note):
    finding = Finding(system="s", measurement="m", outcome=Outcome.FAILED, observed=note, note=note, at=AT)
    system = SystemReport(name="s", kind="http", title=note, seconds=0, findings=(finding,))
    return Report(
        id="r", platform="shop", title="Shop", timezone="UTC", flow="health-check", started=AT, finished=AT,
        systems=(system,),
    )  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.usefixtures("place")
def test_a_secret_inside_a_fact_is_scrubbed_before_anything_is_hashed(monkeypatch, name):
    monkeypatch.setenv("SHOP_SECRET", SECRETS[name])
    settings = Settings()
    access, spec = platforms.access(settings), platforms.load("shop", settings)
    secret = access.resolver.resolve(platforms.reference("env:SHOP_SECRET"))
    found = report(f"it said {secret} and postgres://u:{'x' * 9}@db/1")
    evidence.record(faces.OfReport(found, spec), spec, access, settings)
    evidence.record_facts("controls", "failed", f"of {secret}", {secret: [secret, 1, None]}, spec, access, settings)
    (_, first), (_, second) = evidence.open_ledger(settings).records()
    text = json.dumps([json.loads(first), json.loads(second)], ensure_ascii=False)
    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text
    assert "x" * 9 not in text
    assert json.loads(second)["facts"] == {"***": ["***", 1, None]}
    assert evidence.verify(settings).fault is None


def test_a_ledger_that_cannot_be_written_holds_no_answer_up(place, monkeypatch, capsys):
    def down(*_arguments, **_options):
        raise Unreachable("no answer")

    monkeypatch.setattr("tasks.evidence.record", down)
    spec = platforms.load("shop", Settings())

    class Run:
        platform, access, settings = spec, None, None

    record(Run(), faces.OfReport(report("x"), spec))
    assert "the evidence could not be written: no answer" in capsys.readouterr().err
    assert recorded(place) == []


def test_a_folder_that_is_to_be_locked_is_refused(place):
    with pytest.raises(ConfigError, match="cannot lock"):
        evidence.open_ledger(Settings(state=place, evidence_lock="30d"))


def _write(folder, name):
    ledger = Ledger(FolderStore(folder))
    for number in range(15):
        ledger.append({"collected_at": "2026-11-01T00:00:00Z", "facts": {"writer": name, "n": number}})


@pytest.mark.skipif(sys.platform == "win32", reason="processes are spawned")
def test_two_processes_that_write_at_once_make_one_chain_and_lose_nothing(tmp_path):
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=_write, args=(tmp_path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    seen = []
    ledger = Ledger(FolderStore(tmp_path))
    found = ledger.verify(each=lambda one: seen.append((one["facts"]["writer"], one["facts"]["n"])))
    assert (found.records, found.fault) == (30, None)
    assert sorted(seen) == [(name, number) for name in "ab" for number in range(15)]
    assert ledger.head().sequence == 30
