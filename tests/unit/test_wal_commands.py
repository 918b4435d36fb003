"""What PostgreSQL calls for its write-ahead log: exit codes by its own rules, and never a false one."""

import json

import pyrage
import pytest
import yaml
from click.testing import CliRunner

from deployments.cli import main

SEGMENT = "000000010000000000000003"
OTHERS = ["00000002.history", f"{SEGMENT}.00000028.backup", f"{SEGMENT}.partial"]


@pytest.fixture
def place(tmp_path):
    """A platform with two vaults, a key, and a server's folder with a segment."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    (tmp_path / "recipient").write_text(str(identity.to_public()))
    spec = {
        "platform": "shop",
        "vaults": {
            name: {"kind": "folder", "path": str(tmp_path / name), "keep": {"last": 3}} for name in ("here", "there")
        },
        "encryption": {
            "recipients": [{"file": str(tmp_path / "recipient")}],
            "identity": {"file": str(tmp_path / "key")},
        },
        "systems": {
            "database": {"kind": "postgres", "dsn": {"env": "DSN"}, "backup": {"to": ["here", "there"]}},
            "cache": {"kind": "redis"},
        },
    }
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "pg_wal").mkdir()
    (tmp_path / "pg_wal" / SEGMENT).write_bytes(b"log " * 100_000)
    return tmp_path


def push(place, name=SEGMENT, system="database"):
    return CliRunner().invoke(main, ["wal-push", f"{place / 'shop.yaml'}/{system}", str(place / "pg_wal" / name)])


def fetch(place, name=SEGMENT, system="database"):
    target = place / "RECOVERYXLOG"
    target.unlink(missing_ok=True)
    arguments = ["wal-fetch", f"{place / 'shop.yaml'}/{system}", name, str(target)]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code == 0) is target.exists()
    assert not list(place.glob("*.part"))
    return result


def test_a_segment_that_was_pushed_is_fetched_again_and_pushing_it_twice_changes_nothing(place):
    assert push(place).exit_code == 0
    files = sorted(place.glob("*/shop/database/wal/*"))
    assert len(files) == 4
    assert push(place).exit_code == 0
    assert sorted(place.glob("*/shop/database/wal/*")) == files
    assert fetch(place).exit_code == 0
    assert (place / "RECOVERYXLOG").read_bytes() == b"log " * 100_000


def test_other_bytes_under_the_same_name_are_refused(place):
    assert push(place).exit_code == 0
    (place / "pg_wal" / SEGMENT).write_bytes(b"of another server")
    refused = push(place)
    assert refused.exit_code not in (0, 1)
    assert "other bytes" in refused.stderr
    assert fetch(place).exit_code == 0
    assert (place / "RECOVERYXLOG").read_bytes() == b"log " * 100_000


@pytest.mark.parametrize("name", OTHERS)
def test_histories_labels_and_partial_segments_are_archived_under_their_own_names(place, name):
    (place / "pg_wal" / name).write_bytes(name.encode())
    assert push(place).exit_code == 0
    assert push(place, name).exit_code == 0
    assert fetch(place, name).exit_code == 0
    assert (place / "RECOVERYXLOG").read_bytes() == name.encode()


def test_a_vault_that_cannot_be_written_leaves_a_segment_to_be_tried_again(place):
    (place / "there").write_text("a file stands in the way")
    failed = push(place)
    assert failed.exit_code not in (0, 1)
    (place / "there").unlink()
    assert push(place).exit_code == 0
    assert list((place / "there").rglob(f"{SEGMENT}*"))


@pytest.mark.parametrize("name", ["postgresql.conf", "000000010000000000000003.gz", ".."])
def test_what_is_no_file_of_the_log_is_not_archived(place, name):
    assert push(place, name).exit_code not in (0, 1)
    assert not (place / "here").exists() or not list((place / "here").rglob("*.json"))


def test_what_no_vault_has_is_absent_and_only_that(place):
    assert push(place).exit_code == 0
    for name in ("000000010000000000000004", "00000002.history", "nonsense"):
        assert fetch(place, name).exit_code == 1


def test_an_archive_in_which_there_is_nothing_is_not_taken_for_the_end_of_the_log(place):
    result = fetch(place)
    assert result.exit_code == 200
    assert "nothing at all" in result.stderr


def test_without_the_key_or_with_a_damaged_file_recovery_stops(place):
    assert push(place).exit_code == 0
    key = (place / "key").read_text()
    (place / "key").unlink()
    assert fetch(place).exit_code == 200
    (place / "key").write_text(str(pyrage.x25519.Identity.generate()))
    assert fetch(place).exit_code == 200
    (place / "key").write_text(key)
    assert fetch(place).exit_code == 0
    for path in place.glob(f"*/shop/database/wal/{SEGMENT}*.age"):
        path.write_bytes(path.read_bytes()[:-40])
    assert fetch(place).exit_code == 200


def test_a_file_that_one_vault_lost_is_fetched_from_the_other(place):
    assert push(place).exit_code == 0
    for path in place.glob(f"here/shop/database/wal/{SEGMENT}*.age"):
        path.write_bytes(b"damaged")
    assert fetch(place).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["shop/database"], ["--nonsense", "shop/database", SEGMENT, "x"], ["shop/database", SEGMENT, "a", "b"]],
)
def test_called_wrongly_it_stops_recovery(arguments):
    assert CliRunner().invoke(main, ["wal-fetch", *arguments]).exit_code == 200


@pytest.mark.parametrize("system", ["nothing", "cache"])
def test_a_system_without_an_archive_is_told_and_stops_recovery(place, system):
    assert push(place, system=system).exit_code not in (0, 1)
    stopped = fetch(place, system=system)
    assert stopped.exit_code == 200
    assert "is not backed up" in stopped.stderr


def test_a_spec_that_is_broken_stops_recovery(place):
    (place / "shop.yaml").write_text("platform: [")
    assert fetch(place).exit_code == 200
    (place / "shop.yaml").write_text("platform: shop\nvaults: {here: {kind: nowhere}}\nencryption: none\n")
    broken = fetch(place)
    assert broken.exit_code == 200
    assert "vaults are not right" in broken.stderr


def test_for_machines_it_says_what_it_did(place):
    arguments = ["wal-push", f"{place / 'shop.yaml'}/database", str(place / "pg_wal" / SEGMENT), "--json"]
    for vaults in (["here", "there"], []):
        result = CliRunner().invoke(main, arguments)
        assert json.loads(result.stdout) == {"file": SEGMENT, "written_to": vaults}
