"""A platform of real files in real vaults, encrypted: restored, verified and drilled, and damaged on purpose."""

import io
import json
import os
import shutil
import subprocess
import threading
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from deployments.cli import main
from tasks.backing_up import BackupRun, back_up
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.drill_evidence import bundle
from tasks.drilling import Asked, Drilling
from tasks.restore_runs import RestoreRun, VerifyRun
from tasks.restoring import Restoring, Wish
from tasks.systems.files import verify
from tasks.vault.damage import ReadOnly
from tasks.vault.keys import Identity, new_key
from tasks.vault.patience import Patience
from tasks.vault.records import holds, verifications
from tests.faulty import Fault, Faulty


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Uploads and configuration of a shop, and a vault for them."""
    pair = new_key()
    for name in ("uploads", "configuration"):
        (tmp_path / "live" / name).mkdir(parents=True)
    for number in range(20):
        (tmp_path / "live" / "uploads" / f"{number}.bin").write_bytes(os.urandom(300) + bytes(700))
    (tmp_path / "live" / "configuration" / "app.ini").write_text("[app]\nworkers = 4\n")
    spec = {
        "platform": "shop",
        "title": "Shop",
        "slack": {"channel": "#shop"},
        "severities": {"P1": {"means": "down", "respond": "15m"}},
        "default_severity": {"warn": "P1", "critical": "P1"},
        "recovery": {"rto": "1h", "rpo": "1h"},
        "vaults": {"local": {"kind": "folder", "path": str(tmp_path / "vault"), "keep": {"last": 3}}},
        "encryption": {"recipients": [pair.recipient], "identity": {"env": "SHOP_IDENTITY"}},
        "systems": {
            name: {
                "kind": "files",
                "root": str(tmp_path / "live" / name),
                "backup": {"to": ["local"], "verify": [{"count": "**", "at_least": 1}]},
            }
            for name in ("uploads", "configuration")
        },
    }
    (tmp_path / "platforms").mkdir()
    write(tmp_path, spec)
    monkeypatch.setenv("SHOP_IDENTITY", pair.identity)
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(tmp_path / "platforms"))
    monkeypatch.setenv("WATCHKEEPER_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path, spec, pair


def write(folder, spec):
    (folder / "platforms" / "shop.yaml").write_text(yaml.safe_dump(spec))


def take(*systems):
    report = back_up(BackupRun.open("shop", systems, Settings()), told=lambda *_: None, done=lambda _made: None)
    assert not report.failed
    return {one.system: one for one in report.backups}


def drill(**asked):
    return Drilling.open("shop", Settings(), Asked(**asked)).run()


def vault_files(folder):
    return {path: path.read_bytes() for path in (folder / "vault").rglob("*") if path.is_file()}


def test_a_platform_comes_back_proven_and_nothing_is_left_or_changed(place):
    folder, _, _ = place
    taken = take()
    before, live = vault_files(folder), sorted((folder / "live").rglob("*"))
    made = drill()
    assert made.verdict is Verdict.PASSED
    assert made.not_covered == ("the application: the spec names no smoke test under `drill`",)
    assert {one.system: (one.outcome, one.backup) for one in made.systems} == {
        name: (Outcome.PASSED, one.id) for name, one in taken.items()
    }
    assert made.restore_point == Restoring.open("shop", Settings()).choose("uploads", Wish()).manifest.restore_point
    assert {"detect", "restore", "verify"} <= set(made.rto.phases)
    assert vault_files(folder) == before
    assert sorted((folder / "live").rglob("*")) == live
    assert list((folder / "state" / "scratch").iterdir()) == []


def test_credentials_that_only_read_suffice_for_a_drill_and_are_the_ones_it_asks_for(place, monkeypatch):
    folder, _, _ = place
    take()
    before, real, asked = vault_files(folder), Restoring._vault, []

    def only_reads(self, name):
        asked.append(self.only_reads)
        vault = real(self, name)
        return replace(vault, store=ReadOnly(vault.store))

    monkeypatch.setattr(Restoring, "_vault", only_reads)
    assert drill().verdict is Verdict.PASSED
    assert set(asked) == {True}
    assert vault_files(folder) == before


def test_every_damaged_copy_is_seen_and_a_spoiled_one_too():
    take()
    controls = drill().negative_controls
    names = {control.name.split(":")[0] for control in controls if control.system == "uploads"}
    assert names == {"truncated", "bit-flipped", "missing", "wrong key", "older schema"}
    assert [control for control in controls if not control.red] == []


def test_a_comparison_that_sees_nothing_fails_the_drill(monkeypatch):
    take()
    monkeypatch.setattr(verify, "spoil", lambda _spec, _restored: "nothing at all")
    made = drill()
    assert made.verdict is Verdict.FAILED
    assert [control.name for control in made.negative_controls if not control.red] == [
        "older schema: nothing at all"
    ] * 2


def test_a_newest_backup_that_is_corrupted_is_seen_and_the_one_before_comes_back():
    first, second = take()["uploads"], take()["uploads"]
    made = drill(scenario=Scenario.CORRUPTED_BACKUP, systems=("uploads",))
    assert (made.systems[0].backup, made.systems[0].outcome) == (first.id, Outcome.PASSED)
    assert first.id != second.id
    assert [one.red for one in made.negative_controls if one.name == "newest backup corrupted"] == [True]


def test_one_backup_alone_is_not_enough_where_it_is_corrupted():
    take()
    made = drill(scenario=Scenario.CORRUPTED_BACKUP, systems=("uploads",))
    assert made.verdict is Verdict.FAILED
    assert "one backup alone" in made.systems[0].error


def test_with_the_machines_key_lost_only_the_escrowed_one_reads(place, monkeypatch):
    _, _, pair = place
    take()
    monkeypatch.delenv("SHOP_IDENTITY")
    asked = Asked(scenario=Scenario.LOST_KEY)
    back = Drilling.open("shop", Settings(), asked, escrow=Identity(pair.identity)).run()
    assert {one.outcome for one in back.systems} == {Outcome.PASSED}
    lost = Drilling.open("shop", Settings(), asked, escrow=Identity(new_key().identity)).run()
    assert lost.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    none = Drilling.open("shop", Settings(), asked).run()
    assert "no escrowed key" in none.systems[0].error


def test_a_backup_that_is_damaged_in_the_vault_fails_its_system_and_the_others_go_on(place):
    folder, _, _ = place
    taken = take()["uploads"]
    part = max((folder / "vault").rglob(f"{taken.id}/data/*"), key=lambda path: path.stat().st_size)
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    made = drill()
    assert made.verdict is Verdict.FAILED
    assert {one.system: one.outcome for one in made.systems} == {
        "uploads": Outcome.FAILED,
        "configuration": Outcome.PASSED,
    }


def test_a_drill_that_is_cancelled_says_how_far_it_came_and_tears_down(place):
    folder, _, _ = place
    take()
    drilling = Drilling.open("shop", Settings(), Asked(), tell=lambda _text: drilling.cancel())
    made = drilling.run()
    assert made.interrupted.startswith("cancelled after 0 of 2")
    assert made.verdict is Verdict.UNKNOWN
    assert not (folder / "state" / "scratch").exists() or list((folder / "state" / "scratch").iterdir()) == []


def test_room_and_keys_are_looked_at_before_anything_is_restored(place, monkeypatch):
    folder, _, _ = place
    take()
    made = drill()
    assert {one.name for one in made.preflight} == {
        "room in scratch",
        "a port of the loopback",
        "uploads: the key",
        "configuration: the key",
    }
    assert {one.outcome for one in made.preflight} == {Outcome.PASSED}
    monkeypatch.setenv("SHOP_IDENTITY", new_key().identity)
    other = drill()
    assert ["before anything was restored: the key" in one.error for one in other.systems] == [True, True]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 0))
    full = drill()
    assert full.verdict is Verdict.FAILED
    assert all("room in scratch" in one.error and one.phases == () for one in full.systems)
    assert list((folder / "state" / "scratch").iterdir()) == []


def test_what_could_not_be_torn_down_is_named_and_fails_the_drill(monkeypatch):
    take()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    made = drill(systems=("uploads",))
    assert made.verdict is Verdict.FAILED
    assert "scratch/shop-uploads-" in made.left_running[0]


def test_two_drills_at_once_do_not_meet():
    take()
    made = []
    threads = [threading.Thread(target=lambda: made.append(drill())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [{one.outcome for one in one.systems} for one in made] == [{Outcome.PASSED}] * 2


def test_the_applications_tests_run_against_the_copies_and_their_failure_fails_the_drill(place):
    folder, spec, _ = place
    take()
    script = "import os, pathlib, sys; sys.exit(len(list(pathlib.Path(os.environ['UPLOADS']).rglob('*.bin'))) != {})"
    for count, verdict in ((20, Outcome.PASSED), (21, Outcome.FAILED)):
        spec["drill"] = {
            "smoke": {
                "uploads": {"command": ["python3", "-c", script.format(count)], "addresses": {"UPLOADS": "uploads"}}
            }
        }
        write(folder, spec)
        assert [one.outcome for one in drill().assertions] == [verdict]


def test_a_smoke_test_that_cannot_run_is_not_taken_for_a_passed_one(place):
    folder, spec, _ = place
    take()
    spec["drill"] = {"smoke": {"e2e": {"command": ["no-such-program"], "addresses": {"UPLOADS": "uploads"}}}}
    write(folder, spec)
    made = drill()
    assert [one.outcome for one in made.assertions] == [Outcome.NOT_CHECKED]
    assert made.verdict is Verdict.WARNED


def test_a_system_without_a_backup_does_not_come_back():
    take("uploads")
    made = drill()
    assert made.verdict is Verdict.FAILED
    assert "no complete backup" in next(one.error for one in made.systems if one.system == "configuration")


def test_a_verification_is_recorded_beside_the_backup_and_a_hold_is_given_up():
    take()
    restoring = Restoring.open("shop", Settings())
    report = VerifyRun(restoring).run()
    assert report.verdict is Verdict.PASSED
    chosen = restoring.choose("uploads", Wish())
    assert [one.proves for one in verifications(chosen.vault, chosen.manifest.folder)] == [True]
    assert holds(chosen.vault, chosen.manifest.folder) == []


def test_each_level_sees_what_it_names(place):
    folder, _, _ = place
    taken = take()["uploads"]
    restoring = Restoring.open("shop", Settings())
    part = max((folder / "vault").rglob(f"{taken.id}/data/*"), key=lambda path: path.stat().st_size)
    sound = part.read_bytes()
    part.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    found = {level: VerifyRun(restoring, ("uploads",), level).run().backups[0].outcome for level in range(4)}
    assert found == {0: Outcome.PASSED, 1: Outcome.FAILED, 2: Outcome.FAILED, 3: Outcome.FAILED}
    part.unlink()
    assert VerifyRun(restoring, ("uploads",), 0).run().verdict is Verdict.FAILED


def test_a_week_looks_at_the_newest_and_at_an_older_one():
    taken = [take("configuration")["configuration"].id for _ in range(3)]
    run = VerifyRun(Restoring.open("shop", Settings()), ("configuration",), 1, pick=lambda count: count - 1)
    assert [(one.manifest.id, why) for one, why in run.choose("configuration")] == [
        (taken[2], "newest"),
        (taken[1], "a random older one"),
    ]


def test_a_live_place_is_refused_by_where_it_leads_and_not_by_its_name(place):
    folder, _, _ = place
    take()
    restoring = Restoring.open("shop", Settings())
    (folder / "staging").symlink_to(folder / "live" / "uploads")
    for into in (folder / "live" / "uploads", folder / "staging", folder / "live" / ".." / "live" / "uploads"):
        report = RestoreRun(restoring, "uploads", Wish(), str(into)).run()
        assert "is the live system shop/uploads" in report.error
        assert "runbook" in report.hint
        assert report.verdict is Verdict.UNKNOWN
    assert len(list((folder / "live" / "uploads").iterdir())) == 20


def test_what_lies_in_a_live_folder_or_around_one_is_live_too_and_so_is_a_vault(place):
    folder, _, _ = place
    take()
    restoring = Restoring.open("shop", Settings())
    for into, what in (
        (folder / "live" / "configuration" / "new", "shop/configuration"),
        (folder / "live", "shop/"),
        (folder / "vault", "shop/vault local"),
        (folder / "vault" / "new", "shop/vault local"),
    ):
        report = RestoreRun(restoring, "uploads", Wish(), str(into)).run()
        assert f"is the live system {what}" in report.error
    assert not (folder / "vault" / "new").exists()
    assert RestoreRun(restoring, "uploads", Wish(), str(folder / "livelier")).run().verdict is Verdict.PASSED


def test_a_plan_says_whether_it_can_be_done_here_and_does_nothing(place, monkeypatch):
    folder, _, _ = place
    backup = take()["uploads"]
    before = vault_files(folder)
    code, text = command("restore", "shop/uploads", "--into", "back", "--only", "1.bin", "--plan")
    assert code == 0
    said = " ".join(text.split())
    assert f"watchkeeper restore shop/uploads/{backup.id} --into back --only 1.bin --vault local" in said
    assert "the place is not live" in said
    code, text = command("restore", "shop/uploads", "--into", str(folder / "live" / "uploads"), "--plan", "--json")
    assert (code, json.loads(text)["verdict"]) == (1, "failed")
    assert "is the live system shop/uploads" in text
    monkeypatch.setenv("SHOP_IDENTITY", new_key().identity)
    code, text = command("restore", "shop/uploads", "--plan")
    assert code == 1
    assert "the key" in text
    assert (vault_files(folder), (folder / "back").exists()) == (before, False)


def test_a_named_place_is_filled_and_one_that_is_not_empty_is_refused(place):
    folder, _, _ = place
    take()
    restoring = Restoring.open("shop", Settings())
    report = RestoreRun(restoring, "uploads", Wish(), str(folder / "back")).run()
    assert report.verdict is Verdict.PASSED, report.error
    assert {path.name: path.read_bytes() for path in (folder / "back").rglob("*.bin")} == {
        path.name: path.read_bytes() for path in (folder / "live" / "uploads").iterdir()
    }
    again = RestoreRun(restoring, "uploads", Wish(), str(folder / "back")).run()
    assert "empty" in again.error


def test_where_one_vault_cannot_be_read_the_next_one_is_and_that_is_said(place, monkeypatch):
    folder, spec, _ = place
    spec["vaults"]["offsite"] = spec["vaults"]["local"] | {"path": str(folder / "offsite")}
    for one in spec["systems"].values():
        one["backup"]["to"] = ["local", "offsite"]
    write(folder, spec)
    take()
    real = Restoring._vault

    def away(self, name):
        vault = real(self, name)
        return replace(vault, store=Faulty(vault.store, Fault.DOWN)) if name == "local" else vault

    monkeypatch.setattr(Restoring, "_vault", away)
    made = drill(systems=("uploads",))
    assert (made.systems[0].vault, made.verdict) == ("offsite", Verdict.PASSED)
    assert made.notes[0].startswith("uploads is read from vault offsite: vault local could not be read (")
    shutil.rmtree(folder / "offsite")
    monkeypatch.setattr(Patience, "call", lambda _self, _what, ask: ask())
    with pytest.raises(Unreachable):
        Restoring.open("shop", Settings()).choose("uploads", Wish())


def test_a_password_in_an_address_is_refused():
    take()
    with pytest.raises(ConfigError, match="password"):
        RestoreRun(Restoring.open("shop", Settings()), "uploads", Wish(), "postgresql://u:pw@127.0.0.1/x")


def test_a_time_before_the_first_backup_says_what_there_is():
    take()
    restoring = Restoring.open("shop", Settings())
    early = restoring.access.now() - timedelta(days=400)
    with pytest.raises(ConfigError, match=r"no backup from before .*; its 1 backups show"):
        restoring.choose("uploads", Wish(until=early))


def test_too_little_room_is_told_before_anything_is_read(monkeypatch):
    take()
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    report = RestoreRun(Restoring.open("shop", Settings()), "uploads", Wish()).run()
    assert "MiB free" in report.error


def command(*words):
    ran = CliRunner().invoke(main, list(words))
    return ran.exit_code, ran.output


def test_the_commands_answer_as_machines_expect(place):
    folder, _, pair = place
    taken = take()
    code, text = command("drill", "shop", "--json", "--html", str(folder / "drill.html"))
    answer = json.loads(text)
    assert (code, answer["verdict"]) == (0, "passed")
    assert {"verdict", "restore_point", "rto", "rpo", "assertions", "negative_controls", "not_covered"} <= set(answer)
    assert all(control["red"] for control in answer["negative_controls"])
    assert "would be back" in (folder / "drill.html").read_text()
    code, text = command("restore", "shop/uploads", "--latest", "--json")
    assert (code, json.loads(text)["verdict"]) == (0, "passed")
    code, text = command("restore", "shop/uploads", "--plan")
    assert code == 0
    assert "last time" in text
    backup, took = taken["uploads"], command("restore", "shop/uploads", "--plan", "--json")[1]
    assert json.loads(took)["last"]["backup"] == json.loads(took)["backup"] == backup.id
    assert json.loads(took)["last"]["plain_bytes"] >= 20 * 1000
    code, text = command("verify", "shop", "uploads", "--level", "2", "--json")
    assert (code, json.loads(text)["verdict"]) == (0, "passed")
    everything = text + Path(folder / "drill.html").read_text()
    assert pair.identity not in everything


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "shop"), "is no PLATFORM/SYSTEM"),
        (("restore", "shop/uploads", "--at", "2026-11-26T08:30:00"), "ambiguous"),
        (("restore", "shop/uploads", "--at", "2999-01-01T00:00:00Z"), "still to come"),
        (("drill", "shop", "--at", "2026-11-26T08:30:00"), "ambiguous"),
        (("restore", "shop/uploads", "--at", "yesterday"), "is no time"),
        (("restore", "shop/upload"), "did you mean 'uploads'"),
        (("restore", "shop/uploads/20200101T000000Z-00000000"), "no complete backup that fits"),
        (("drill", "shop", "cache"), "is none of its systems"),
        (("verify", "shop", "cache"), "is none of its systems"),
    ],
)
def test_what_a_person_wrote_wrong_is_told_with_the_cure(words, said):
    take()
    code, text = command(*words)
    assert code == 2
    assert said in text


def test_a_second_drill_shows_the_trend_of_the_first():
    take()
    for _ in range(2):
        _, text = command("drill", "shop", "--json")
    store = Drilling.open("shop", Settings(), Asked())
    assert len(store._trend()) == 2
    answer = json.loads(text)
    assert answer["next_quarter"] is None  # they lie seconds apart
    assert (answer["at_twice"]["basis"], answer["at_twice"]["seconds"] > 0) == ("2 drills", True)


def test_the_evidence_of_a_drill_holds_all_that_checks_it_and_shows_a_change(place):
    folder, _, _ = place
    take()
    drilling = Drilling.open("shop", Settings(), Asked())
    made = drilling.run()
    data = bundle(drilling, made)
    assert data == bundle(drilling, made)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder / "evidence")
    names = {path.relative_to(folder / "evidence").as_posix() for path in (folder / "evidence").rglob("*.*")}
    assert {"drill.json", "report.html", "steps.txt", "timeline.png", "manifests/uploads.json"} <= names
    check = ["sha256sum", "-c", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder / "evidence", check=False).returncode == 0  # noqa: S603
    (folder / "evidence" / "drill.json").write_text("{}")
    assert subprocess.run(check, cwd=folder / "evidence", check=False, capture_output=True).returncode == 1  # noqa: S603
