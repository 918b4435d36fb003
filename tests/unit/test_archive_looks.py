"""How far an archived log carries the newest copy on: its lag and its gaps, over a real archive in a folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.archive_looks import has_archive, measure_archive, trim_archive
from tasks.clients.blobs import FolderStore
from tasks.core.backup import Taken
from tasks.core.errors import Garbled
from tasks.systems.postgres.spec import Physical, Plan
from tasks.systems.postgres.wal import SEGMENT_BYTES, Segment, format_lsn, segment_name
from tasks.vault.archive import Archive
from tasks.vault.vault import Vault
from tests.unit.test_backup_health import backup

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def copied(hours: float, first: int):
    position = {
        "timeline": "1",
        "start_lsn": format_lsn(first * SEGMENT_BYTES + 40),
        "lsn": format_lsn((first + 1) * SEGMENT_BYTES),
    }
    return backup(hours, method="physical", position=position)


@pytest.fixture
def archived(tmp_path):
    """Return what archives segments, each so many minutes ago, and measures a copy that needs 5 and what follows."""

    def measure(segments: dict[int, float], *copies) -> dict[str, float]:
        for number, minutes in segments.items():
            then = NOW - timedelta(minutes=minutes)
            vault = Vault("local", FolderStore(tmp_path), encrypted=False, now=lambda then=then: then)
            Archive(vault, "shop", "database").put(segment_name(Segment(1, number)), [b"log"])
        vault = Vault("local", FolderStore(tmp_path), encrypted=False)
        found = measure_archive(vault, "shop", "database", copies or (copied(5, 5),), NOW)
        return {f"{one.name}[{one.subject}]": float(one.value) for one in found}

    return measure


def test_a_log_without_a_gap_reaches_to_its_last_segment(archived):
    assert archived({5: 200, 6: 100, 7: 10}) == {"archive_gaps[local]": 0, "archive_lag[local]": 600}


def test_a_segment_that_is_missing_is_counted_and_what_lies_behind_it_cannot_be_reached(archived):
    assert archived({5: 200, 6: 100, 9: 1}) == {"archive_gaps[local]": 2, "archive_lag[local]": 6000}


def test_where_not_even_the_first_is_there_only_the_copy_itself_can_be_had(archived):
    assert archived({8: 1}) == {"archive_gaps[local]": 3, "archive_lag[local]": 5 * 3600}


def test_only_the_newest_copy_counts_and_without_one_nothing_is_told(archived):
    assert archived({7: 10}, copied(50, 1), copied(5, 7)) == {"archive_gaps[local]": 0, "archive_lag[local]": 600}
    assert archived({7: 10}, backup(3)) == {}


@pytest.mark.parametrize(
    ("physical", "whether"), [(None, False), (Physical(), False), (Physical(wal="continuous"), True)]
)
def test_an_archive_is_looked_at_where_the_plan_has_one(physical, whether):
    assert has_archive(Plan(to=("local",), physical=physical)) is whether


def log_of(vault, *numbers):
    for number in numbers:
        Archive(vault, "shop", "database").put(segment_name(Segment(1, number)), [b"log"])
    Archive(vault, "shop", "database").put("00000002.history", [b"history"])


def taken(vault, first, method="physical"):
    with vault.begin("shop", "database", "postgres") as begun:
        with begun.part("base.tar") as part:
            part.write(b"files")
        details = {"wal": {"first": segment_name(Segment(1, first))}} if method == "physical" else {}
        return begun.commit(Taken(method=method, consistent_as_of=NOW, details=details))


def test_log_from_before_the_oldest_kept_copy_goes_and_all_that_a_kept_one_needs_stays(tmp_path):
    vault = Vault("local", FolderStore(tmp_path), encrypted=False)
    log_of(vault, 3, 4, 5, 6, 7)
    oldest, _ = taken(vault, 5), taken(vault, 7)
    names = [segment_name(Segment(1, number)) for number in (3, 4, 5, 6, 7)]
    assert trim_archive(vault, "shop", "database") == names[:2]
    assert list(Archive(vault, "shop", "database").names()) == sorted([*names[2:], "00000002.history"])
    vault.remove(oldest.folder)
    assert trim_archive(vault, "shop", "database") == names[2:4]


def test_without_a_copy_of_the_files_no_log_goes(tmp_path):
    vault = Vault("local", FolderStore(tmp_path), encrypted=False)
    log_of(vault, 3, 4)
    taken(vault, 0, method="logical")
    assert trim_archive(vault, "shop", "database") == []


def test_where_a_manifest_is_damaged_no_log_goes(tmp_path):
    vault = Vault("local", FolderStore(tmp_path), encrypted=False)
    log_of(vault, 3, 4)
    made = taken(vault, 4)
    (tmp_path / made.folder / "manifest.json").write_text("{}")
    with pytest.raises(Garbled):
        trim_archive(vault, "shop", "database")
    assert len(Archive(vault, "shop", "database").names()) == 3
