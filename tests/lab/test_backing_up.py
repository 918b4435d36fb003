"""The five platforms are backed up on the lab: encrypted, into a folder and a bucket, under one restore point each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from deployments import lab as the_lab
from deployments.check import check_now
from deployments.cli import main
from tasks.backing_up import BackupRun, back_up
from tasks.backup_looks import Vaults, look, measured
from tasks.clients.secrets import SecretResolver
from tasks.core.backup_report import BackupReport
from tasks.core.errors import ConfigError
from tasks.core.judging import judge
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, Verdict
from tasks.core.results import Measurement, Outcome, Reading
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.platforms import load, platform_names
from tasks.pruning import PruneRun
from tasks.systems.postgres import physical
from tasks.systems.redis.spec import Plan
from tasks.vault.checking import check
from tasks.vault.keys import Identity

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    """Let the lab's own programs be found, and forgotten after the test."""
    monkeypatch.setenv("PG_BIN", "")
    monkeypatch.delenv("PG_BIN")


@pytest.fixture
def settings(lab, tmp_path):
    (tmp_path / "lab").symlink_to(lab.state)
    return Settings(state=tmp_path, lab=tmp_path / "lab")


def backed_up(settings: Settings, platform: str, *systems: str) -> tuple[BackupRun, BackupReport]:
    run = BackupRun.open(platform, systems, settings)
    return run, back_up(run, told=lambda *_: None, done=lambda _: None)


def looked(platform: PlatformSpec, system: str, access: Access) -> dict[str, Reading]:
    """Return what is measured of a system's backups."""
    plan = platform.protected[system].backup
    seen = look(system, Vaults(platform, access))
    return {reading.name: reading for reading in measured(seen, plan, access.now(), live=None, is_lab=False)}


def command(settings: Settings, *arguments: str):
    given = [*arguments, "--lab", "--state", str(settings.state), "--json"]
    result = CliRunner().invoke(main, ["backup", *given])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("platform", platform_names())
def test_a_platform_is_backed_up_encrypted_into_every_vault_under_one_restore_point(settings, lab, platform):
    run, report = backed_up(settings, platform)
    assert report.failed == ()
    assert {backup.system for backup in report.backups} == set(run.platform.protected)
    assert report.environment == "lab"
    identity = Identity((lab.state / "keys" / f"{platform}.identity").read_text(encoding="utf-8"))
    for backup in report.backups:
        assert backup.vaults == run.plan(backup.system).to == ("local", "offsite")
        for name in backup.vaults:
            vault = run.vault(name)
            manifest = vault.get(f"{platform}/{backup.system}/{backup.id}")
            assert manifest.restore_point == report.restore_point
            assert manifest.recipients
            sizes = [len(b"".join(vault.read(manifest, part.name, identity))) for part in manifest.parts]
            assert sum(sizes) == backup.bytes
            assert backup.bytes or backup.method == "oplog"  # nothing may have happened since the dump
    moments = [backup.consistent_as_of for backup in report.backups]
    assert report.skew_seconds == (max(moments) - min(moments)).total_seconds()


def test_a_difference_is_copied_with_all_that_it_is_made_from_and_every_vault_is_sound(settings):
    _, first = backed_up(settings, "apex", "database")
    run, second = backed_up(settings, "apex", "database")
    whole = next(backup for backup in first.backups if backup.method == "physical")
    difference = next(backup for backup in second.backups if backup.method == "physical")
    assert difference.parent is not None
    assert difference.bytes < whole.bytes or whole.parent is not None
    for name in ("local", "offsite"):
        seen = check(run.vault(name), platform="apex")
        assert [flaw for flaw in seen.flaws if flaw.lost] == []
        assert {entry.id for entry in run.vault(name).entries("apex")} >= {whole.id, difference.id}


def test_retention_looks_at_every_vault_and_removes_nothing_that_is_new_or_locked(settings):
    _, report = backed_up(settings, "stylesync", "cache")
    run = PruneRun.open("stylesync", settings)
    run.foresee()
    run.carry_out()
    pruned = run.report(applied=True)
    assert [(plan.vault, plan.error, plan.removed) for plan in pruned.vaults] == [
        ("local", "", ()),
        ("offsite", "", ()),
    ]
    for plan in pruned.vaults:
        newest = next(one for one in plan.keep if one.id.endswith(report.backups[0].id))
        assert "newest complete backup" in newest.reasons


def test_the_health_check_tells_how_backups_are_once_there_are_any(settings, lab):
    backed_up(settings, "stylesync", "cache")
    findings = {f.key: f.outcome for f in checked(settings, "stylesync", "cache").findings}
    assert findings["cache/backup_age[rdb]"] is Outcome.PASSED
    assert findings["cache/backup_exists[rdb]"] is Outcome.PASSED
    assert findings["cache/backup_copy_lag[offsite]"] is Outcome.PASSED
    lab.break_("stylesync/vault-offsite", "stopped")
    findings = {f.key: f.outcome for f in checked(settings, "stylesync", "cache").findings}
    assert findings["cache/backup_age[offsite]"] is Outcome.ERRORED
    assert findings["cache/backup_age[rdb]"] is Outcome.PASSED


def test_no_backup_at_all_fails_where_the_real_thing_is_looked_at(lab, tmp_path):
    platform = load("apex")
    values = the_lab.environment(lab.state) | {"APEX_VAULT_FOLDER": str(tmp_path / "empty")}
    plan = platform.systems["cache"].model_copy(update={"backup": Plan(to=("local",))})
    platform = platform.model_copy(update={"systems": {"cache": plan}})
    access = Access(resolver=SecretResolver(values), now=lambda: datetime.now(UTC))
    readings = looked(platform, "cache", access)
    missing = readings["backup_exists"]
    assert isinstance(missing, Measurement)
    finding = judge(missing, platform=platform, system="cache", previous=None, now=datetime.now(UTC))
    assert finding is not None
    assert finding.outcome is Outcome.FAILED


def checked(settings: Settings, platform: str, *systems: str) -> Report:
    quiet = settings.model_copy(update={"confirm": False})
    return check_now(platform, systems, quiet, began=lambda _: None, told=lambda _: None)


def test_the_command_answers_what_was_taken_and_ends_well(settings):
    code, told = command(settings, "apex", "cache")
    assert code == 0
    (backup,) = told["backups"]
    assert {"system", "id", "vault", "location", "bytes", "stored_bytes", "seconds"} <= set(backup)
    assert told["failed"] == []
    assert told["skew_seconds"] == 0
    assert told["restore_point"]


def test_a_system_that_is_down_fails_alone_the_others_are_backed_up_and_the_command_says_so(settings, lab):
    lab.break_("apex/database", "stopped")
    code, told = command(settings, "apex", "database", "cache")
    assert code == 1
    assert [backup["system"] for backup in told["backups"]] == ["cache"]
    assert [failure["method"] for failure in told["failed"]] == ["physical", "logical"]
    for failure in told["failed"]:
        assert (failure["system"], failure["vault"], failure["id"]) == ("database", "local", "")
        assert failure["reason"]
    left_alone = set(PruneRun.open("apex", settings)._failed())
    assert {"database/physical", "database/logical"} <= left_alone


def test_a_vault_that_is_down_costs_its_copy_and_nothing_else(settings, lab):
    lab.break_("stylesync/vault-offsite", "stopped")
    run, report = backed_up(settings, "stylesync", "cache")
    (backup,) = report.backups
    assert backup.vaults == ("local",)
    (failure,) = report.failed
    assert (failure.vault, failure.id) == ("offsite", backup.id)
    assert report.verdict is Verdict.FAILED
    lab.mend()
    assert run.vault("offsite").store.sizes(f"stylesync/cache/{backup.id}/") == {}


def test_log_that_a_vault_does_not_take_holds_no_backup_up_and_is_warned_of(settings, lab, monkeypatch):
    monkeypatch.setattr(physical, "_ARCHIVED_SECONDS", 0.5)
    lab.break_("apex/vault-offsite", "stopped")
    _, report = backed_up(settings, "apex", "database")
    lab.mend()
    (copied,) = (backup for backup in report.backups if backup.method == "physical")
    assert any("is not archived yet" in warning for warning in copied.warnings)
    assert report.verdict is Verdict.FAILED


def test_two_runs_at_once_make_two_whole_backups(settings):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: backed_up(settings, "stylesync", "cache"), range(2))
    assert first[1].failed == second[1].failed == ()
    ids = {report.backups[0].id for _, report in (first, second)}
    assert len(ids) == 2
    entries = {entry.id: entry.state for entry in first[0].vault("offsite").entries("stylesync", "cache")}
    assert {entries[one] for one in ids} == {"complete"}


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (("databse",), "has no system 'databse'", "did you mean 'database'"),
        (("api",), "api of apex has no `backup:`", "into which vaults"),
    ],
)
def test_what_cannot_be_backed_up_is_refused_before_anything_is_read(settings, asked, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        BackupRun.open("apex", asked, settings)
    assert hint in str(caught.value)


def test_a_way_in_which_nothing_is_taken_is_refused_with_those_there_are(settings):
    with pytest.raises(ConfigError, match=r"nothing is taken as 'oplog'.*there are physical, logical"):
        BackupRun.open("apex", ("database",), settings, methods=("oplog",))


def test_a_warning_is_news_once_and_said_again_each_time(settings):
    _, first = backed_up(settings, "stario", "database")
    _, second = backed_up(settings, "stario", "database")
    before, after = (next(one for one in made.backups if one.method == "logical") for made in (first, second))
    assert before.warnings == after.warnings != ()
    assert after.news == ()
    assert second.verdict is Verdict.PASSED
