"""The five platforms are backed up on the lab: encrypted, into a folder and a bucket, under one restore point each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.backing_up import BackupRun, back_up
from tasks.core.backup_report import BackupReport
from tasks.core.errors import ConfigError
from tasks.core.report import Verdict
from tasks.core.settings import Settings
from tasks.platforms import platform_names
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
            assert sum(sizes) == backup.bytes > 0
    moments = [backup.consistent_as_of for backup in report.backups]
    assert report.skew_seconds == (max(moments) - min(moments)).total_seconds()


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
    (failure,) = told["failed"]
    assert (failure["system"], failure["vault"], failure["id"]) == ("database", "local", "")
    assert failure["reason"]


def test_a_vault_that_is_down_costs_its_copy_and_nothing_else(settings, lab):
    lab.break_("stario/vault-offsite", "stopped")
    run, report = backed_up(settings, "stario", "database")
    (backup,) = report.backups
    assert backup.vaults == ("local",)
    (failure,) = report.failed
    assert (failure.vault, failure.id) == ("offsite", backup.id)
    assert report.verdict is Verdict.FAILED
    lab.mend()
    assert run.vault("offsite").store.sizes(f"stario/database/{backup.id}/") == {}


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
    with pytest.raises(ConfigError, match=r"nothing is taken as 'oplog'.*there are logical"):
        BackupRun.open("apex", ("database",), settings, methods=("oplog",))


def test_a_warning_is_news_once_and_said_again_each_time(settings):
    _, first = backed_up(settings, "synesthesia", "database")
    _, second = backed_up(settings, "synesthesia", "database")
    assert first.backups[0].warnings == second.backups[0].warnings != ()
    assert second.backups[0].news == ()
    assert second.verdict is Verdict.PASSED
