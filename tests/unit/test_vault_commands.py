"""The commands about backups, vaults and retention, as a person calls them."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.vault.archive import Archive
from tasks.vault.keys import Identity
from tests.unit.test_vault import take, vault_on

DAYS = [{"id": f"b{n}", "time": f"2026-11-{25 - n}T02:00:00Z"} for n in range(10)]


def call(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def plan(tmp_path, listed, *options):
    path = tmp_path / "backups.json"
    path.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    return call("retention", "plan", *options, "--backups", path, "--json")


@pytest.fixture
def vault(tmp_path):
    return vault_on(FolderStore(tmp_path / "vault"))


def test_a_plan_says_what_is_kept_and_what_goes_with_reasons(tmp_path):
    answer = json.loads(plan(tmp_path, DAYS, "--keep-last", "2").stdout)
    assert answer["keep"][0] == {"id": "b0", "reasons": ["last backup", "newest complete backup"]}
    assert [one["id"] for one in answer["keep"]] == ["b0", "b1"]
    assert answer["remove"][0] == {"id": "b2", "reasons": ["no rule keeps it"]}


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (("--keep-daily", "unlimited"), 10),
        (("--keep-within", "3d1h"), 4),
        (("--keep-within-daily", "2d1h", "--keep-weekly", "1"), 3),
        (("--keep-tag", "foo,bar", "--keep-last", "1"), 3),
        (("--keep-last", "1", "--timezone", "Asia/Kolkata"), 1),
    ],
)
def test_the_options_are_those_that_people_know(tmp_path, options, number):
    tagged = [*DAYS[:8], *({**one, "tags": ["foo", "bar", "x"]} for one in DAYS[8:])]
    assert len(json.loads(plan(tmp_path, tagged, *options).stdout)["keep"]) == number


@pytest.mark.parametrize(
    ("listed", "options", "words"),
    [
        ("[", ("--keep-last", "1"), "is no JSON"),
        ("{}", ("--keep-last", "1"), "holds no list"),
        ([{"id": "a"}], ("--keep-last", "1"), "entry 0: time: is required"),
        ([DAYS[0], {"id": "a", "time": "2026-11-25T02:00:00"}], ("--keep-last", "1"), "entry 1: time: needs an offset"),
        ([DAYS[0], 7], ("--keep-last", "1"), "entry 1: must be an object"),
        ([DAYS[0], DAYS[0]], ("--keep-last", "1"), "two backups are called 'b0'"),
        (DAYS, (), "empty retention policy"),
        (DAYS, ("--keep-daily", "-3"), "--keep-daily: '-3' is no number"),
        (DAYS, ("--keep-within-daily", "soon"), "--keep-within-daily: 'soon' is no span"),
        (DAYS, ("--keep-last", "1", "--timezone", "Mars/Base"), "'Mars/Base' is no time zone"),
    ],
)
def test_what_is_wrong_is_named_by_file_entry_and_field(tmp_path, listed, options, words):
    result = plan(tmp_path, listed, *options)
    assert result.exit_code == 2
    assert words in json.loads(result.stdout)["error"]


def test_a_list_that_is_not_there_is_named(tmp_path):
    result = call("retention", "plan", "--keep-last", "1", "--backups", tmp_path / "none.json")
    assert result.exit_code == 2
    assert "none.json: No such file" in result.stderr


def test_backups_are_listed_shown_and_pinned(tmp_path, vault):
    manifest = take(vault)
    place = ("--vault", tmp_path / "vault")
    (listed,) = json.loads(call("backups", "list", *place, "--json").stdout)
    assert (listed["folder"], listed["state"], listed["pinned"]) == (manifest.folder, "complete", False)
    assert call("backups", "pin", manifest.folder, "--why", "a test", "--by", "kim", *place).exit_code == 0
    shown = json.loads(call("backups", "show", manifest.folder, *place, "--json").stdout)
    assert shown["pin"]["why"] == "a test"
    assert shown["checksum"] == manifest.checksum
    assert "by kim: a test" in call("backups", "show", manifest.folder, *place).stdout
    assert call("backups", "pin", manifest.folder, "--off", *place).exit_code == 0
    assert "pinned" not in call("backups", "list", "shop", *place).stdout
    assert call("backups", "show", "shop/database/none", *place).exit_code == 2


def test_a_check_tells_loss_by_its_exit_code(tmp_path, vault):
    manifest = take(vault)
    place = ("--vault", tmp_path / "vault", "--read-data", "100")
    assert call("vault", "check", *place).exit_code == 0
    part = tmp_path / "vault" / manifest.folder / manifest.parts[0].path
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    result = call("vault", "check", *place, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["flaws"][0]["lost"]


def test_a_key_is_written_for_its_owner_alone_and_never_over_another(tmp_path):
    path = tmp_path / "identity"
    result = call("vault", "key", "--output", path, "--json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Identity(path.read_text())
    assert "AGE-SECRET-KEY" not in result.output
    assert json.loads(result.stdout)["recipient"] in path.read_text()
    assert call("vault", "key", "--output", path).exit_code == 2


def test_ten_thousand_backups_are_listed_from_names_alone():
    store = MemoryStore()
    for n in range(10_000):
        begun = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
        store.put(f"shop/database/{begun:%Y%m%dT%H%M%SZ}-{n:08x}/manifest.json", b"not read")
    vault = vault_on(store)
    entries = vault.entries()
    assert vault.folders() == [entry.folder for entry in entries]
    assert vault.entries_of(vault.folders()[-3:]) == entries[-3:]
    assert len(entries) == 10_000
    assert entries[0].time < entries[-1].time


def test_a_backup_is_copied_by_command_with_what_it_is_made_from(tmp_path, vault):
    base = take(vault)
    child = take(vault, parents=(base.id,))
    there = tmp_path / "there"
    result = call("backups", "copy", child.folder, "--vault", tmp_path / "vault", "--to", there, "--json")
    assert [one["backup"] for one in json.loads(result.stdout)] == [base.folder, child.folder]
    assert call("vault", "check", "--vault", there, "--read-data", "100").exit_code == 0


def test_a_backup_is_copied_by_command_with_the_log_and_the_slices_that_go_on_from_it(tmp_path, vault):
    base = take(vault)
    later = take(vault, parents=(base.id,))
    latest = take(vault, parents=(base.id, later.id))
    take(vault)
    Archive(vault, "shop", "database").put("000000010000000000000007", [b"log"])
    there = tmp_path / "there"
    copied = call("backups", "copy", base.folder, "--vault", tmp_path / "vault", "--to", there, "--with-log")
    assert copied.exit_code == 0
    target = vault_on(FolderStore(there))
    assert {one.id for one in target.manifests()} == {base.id, later.id, latest.id}
    assert Archive(target, "shop", "database").names() == ["000000010000000000000007"]
    assert call("vault", "check", "--vault", there, "--read-data", "100").exit_code == 0


def test_backups_are_forgotten_and_adopted_by_command(tmp_path, vault):
    manifest = take(vault)
    place = ("--vault", tmp_path / "vault")
    assert call("vault", "forget", manifest.folder, "--why", "a test", *place).exit_code == 0
    assert "forgotten" in call("backups", "list", *place).stdout
    assert call("vault", "adopt", manifest.folder, *place).exit_code == 0
    other = ("--vault", tmp_path / "other")
    adopted = json.loads(call("vault", "adopt", tmp_path / "vault", *other, "--as", "market", "--json").stdout)
    assert [one["folder"] for one in adopted] == [f"market/database/{manifest.id}"]
    part = tmp_path / "vault" / manifest.folder / manifest.parts[0].path
    part.write_bytes(b"")
    refused = call("vault", "adopt", tmp_path / "vault", "--vault", tmp_path / "third")
    assert refused.exit_code == 1
    assert "instead of" in refused.stdout


def test_what_was_never_ended_is_told_and_cleaned_by_command(tmp_path, vault):
    take(vault)
    vault.store.put("shop/database/20200101T010000Z-00000000/data/a", b"1")
    (tmp_path / "vault/shop/.incoming-old").write_bytes(b"1")
    os.utime(tmp_path / "vault/shop/.incoming-old", (0, 0))
    place = ("--vault", tmp_path / "vault")
    assert call("vault", "check", *place).stdout.count("\n") == 3
    dry = json.loads(call("vault", "clean", *place, "--dry-run", "--json").stdout)
    gone = json.loads(call("vault", "clean", *place, "--json").stdout)
    assert dry["removed"] == gone["removed"] == ["shop", "shop/database/20200101T010000Z-00000000"]
    assert call("vault", "check", *place).stdout == "1 backups, 0 B read, 0 flaws\n"
    assert call("vault", "clean", *place, "--older-than", "soon").exit_code == 2


SPEC = """
platform: shop
title: Shop
slack: {{channel: "#shop"}}
severities: {{high: {{means: bad, respond: 1h}}}}
default_severity: {{warn: high, critical: high}}
vaults:
  near: {{kind: folder, path: {near}, keep: {{last: 3}}}}
  far: {{kind: folder, path: {far}, keep: {{last: 9}}}}
encryption: none
systems:
  page: {{kind: http, url: "http://127.0.0.1:1", expect: {{/: {{}}}}}}
"""


def test_a_vault_is_named_by_its_platforms_spec(tmp_path, vault):
    spec = tmp_path / "shop.yaml"
    spec.write_text(SPEC.format(near=tmp_path / "vault", far=tmp_path / "far"))
    manifest = take(vault)
    assert manifest.folder in call("backups", "list", "--platform", spec).stdout
    assert "no backups" in call("backups", "list", "--platform", spec, "--vault", "far").stdout
    assert call("backups", "copy", manifest.folder, "--platform", spec, "--to", "far").exit_code == 0
    assert manifest.folder in call("backups", "list", "--platform", spec, "--vault", "far").stdout
    unknown = call("backups", "list", "--platform", spec, "--vault", "fare", "--json")
    assert json.loads(unknown.stdout)["error"] == "shop has no vault 'fare' (there are near, far)"
    assert "no vault is named" in call("backups", "list", "--json").stdout


def test_of_many_backups_the_newest_are_listed_and_it_is_said_how_many_are_older(tmp_path, vault):
    for n in range(5):
        vault.store.put(f"shop/database/2026010{n + 1}T000000Z-0000000{n}/manifest.json", b"not read")
    vault.store.put("shop/database/wal/0001.json", b"no backup")
    place = ("--vault", tmp_path / "vault")
    lines = call("backups", "list", *place, "--last", "2").stdout.splitlines()
    assert [line.split()[0][-8:] for line in lines[:2]] == ["00000004", "00000003"]
    assert lines[2] == "and 3 older ones: --all lists them"
    assert len(call("backups", "list", *place, "--all").stdout.splitlines()) == 5
    assert len(json.loads(call("backups", "list", *place, "--json").stdout)) == 5
    assert len(json.loads(call("backups", "list", "shop", "database", *place, "--json", "--last", "2").stdout)) == 2
