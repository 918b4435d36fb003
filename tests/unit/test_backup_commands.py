"""What the commands that back up and prune keep of their runs, and what the next run makes of it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.core.backup_report import BackupReport
from tasks.core.prune_report import PruneReport
from tasks.core.settings import Settings
from tasks.inspections import report_store

SPEC = """\
platform: shop
title: Web shop
slack: {{channel: "#shop"}}
severities: {{P1: {{means: down, respond: 15m}}}}
default_severity: {{warn: P1, critical: P1}}
encryption: none
vaults:
  near: {{kind: folder, path: {place}/vault, keep: {{last: 1}}}}
systems:
  uploads: {{kind: files, root: {place}/uploads, backup: {{to: [near]}}}}
  pages: {{kind: files, root: {place}/pages, backup: {{to: [near]}}}}
"""


class Shop:
    """A platform of two folders, driven by command."""

    def __init__(self, place):
        self.place, self.spec, self.state = place, place / "shop.yaml", place / "state"
        self.spec.write_text(SPEC.format(place=place))
        for name in ("uploads", "pages"):
            (place / name).mkdir()
            (place / name / "one.txt").write_text(name)

    def call(self, command, *arguments):
        done = CliRunner().invoke(main, [command, str(self.spec), *arguments, "--state", str(self.state), "--json"])
        return done.exit_code, json.loads(done.stdout)

    def kept(self, flow, kind):
        store = report_store(Settings(state=self.state))
        return [store.read(one.key, kind) for one in store.kept("shop", flow)]


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def groups(decided):
    return sorted(one["group"].partition("/")[0] for one in decided)


def test_nothing_of_a_system_is_pruned_whose_last_backup_failed_as_its_kept_report_says(shop):
    assert [shop.call("backup")[0] for _ in range(2)] == [0, 0]
    (shop.place / "uploads").rename(shop.place / "away")
    assert shop.call("backup")[0] == 1
    code, report = shop.call("prune", "--apply", "--approve")
    (vault,) = report["vaults"]
    assert (code, groups(vault["remove"])) == (0, ["pages", "pages"])
    assert len(vault["removed"]) == 2
    assert all(folder.startswith("shop/pages/") for folder in vault["removed"])
    (shop.place / "away").rename(shop.place / "uploads")
    assert shop.call("backup", "uploads")[0] == 0
    _, report = shop.call("prune", "--apply", "--approve")
    assert groups(report["vaults"][0]["remove"]) == ["uploads", "uploads"]
    assert [report.applied for report in shop.kept("prune", PruneReport)] == [True, True]


def test_a_plan_that_is_only_shown_is_not_kept_and_one_that_is_carried_out_is_kept_as_it_was_told(shop):
    for _ in range(2):
        shop.call("backup", "pages")
    shop.call("prune")
    assert shop.kept("prune", PruneReport) == []
    code, told = shop.call("prune", "--apply", "--approve")
    (kept,) = shop.kept("prune", PruneReport)
    assert code == 0
    assert json.loads(kept.model_dump_json()) == told
    assert len(kept.vaults[0].removed) == 1


def test_a_prune_that_waits_for_approval_removes_nothing_and_keeps_what_is_to_be_approved(shop):
    for _ in range(4):
        shop.call("backup", "pages")
    code, told = shop.call("prune", "--apply")
    (kept,) = shop.kept("prune", PruneReport)
    assert (code, kept.vaults[0].removed) == (1, ())
    assert kept.vaults[0].held_back == {"pages/archive": 0.75}
    assert shop.call("prune", "--apply", "--approve", kept.fingerprint)[0] == 0
    assert json.loads(kept.model_dump_json()) == told


def test_a_vault_within_what_is_backed_up_fails_by_command_and_nothing_is_written(shop):
    shop.spec.write_text(SPEC.format(place=shop.place).replace("/vault,", "/uploads/vault,"))
    code, report = shop.call("backup")
    assert code == 1
    assert [one["system"] for one in report["failed"]] == ["uploads"]
    assert "lies within uploads" in json.dumps(report["failed"])
    assert {one["system"] for one in report["backups"]} == {"pages"}
    (kept,) = shop.kept("backup", BackupReport)
    assert [one.system for one in kept.failed] == ["uploads"]


def test_two_commands_at_once_back_one_system_up_twice_and_both_are_kept(shop):
    command = [sys.executable, "-c", "from deployments.cli import main; main()", "backup", str(shop.spec), "pages"]
    command += ["--state", str(shop.state), "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]  # noqa: S603 - ours
    told = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    ids = {report["backups"][0]["id"] for report in told}
    assert len(ids) == 2
    assert {one.backups[0].id for one in shop.kept("backup", BackupReport)} == ids
    assert {path.name for path in (shop.place / "vault/shop/pages").iterdir()} == ids
