"""How backups are, from what vaults hold: each measurement goes from fine to bad, and nothing is green by silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.core.backup_catalog import BACKUPS
from tasks.core.backup_health import Holding, measure_backups
from tasks.core.manifest import Manifest, Part
from tasks.core.system import BackupPlan, ProtectedSpec

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def backup(hours: float, *, size: int = 1000, rows: int = 100, method: str = "logical", **more: object) -> Manifest:
    at = NOW - timedelta(hours=hours)
    part = Part(
        name="a",
        path="data/a",
        plain_bytes=size,
        plain_hash="",
        stored_bytes=size,
        sha256="0" * 64,
        compression="none",
        encryption="none",
    )
    values: dict[str, object] = {
        "id": f"{at:%Y%m%dT%H%M%SZ}-{method[:8]:0<8}",
        "restore_point": "x",
        "platform": "shop",
        "system": "database",
        "kind": "postgres",
        "method": method,
        "started": at,
        "ended": at,
        "consistent_as_of": at,
        "parts": (part,),
        "counts": {"rows": rows},
        "recovery_sha256": "",
    }
    return Manifest(**(values | more))  # type: ignore[arg-type]


def measured(*holdings: Holding, methods: tuple[str, ...] = ("logical",)) -> dict[str, float]:
    return {f"{one.name}[{one.subject}]": float(one.value) for one in measure_backups(holdings, methods, NOW)}


def local(*manifests: Manifest, **more: object) -> Holding:
    return Holding("local", manifests, **more)  # type: ignore[arg-type]


def daily(count: int, **last: object) -> list[Manifest]:
    return [*(backup(24 * back + 7) for back in range(count - 1, 0, -1)), backup(7, **last)]  # type: ignore[arg-type]


def test_where_there_is_no_backup_that_is_said_of_each_way_and_nothing_else():
    assert measured(local(), methods=("logical", "oplog")) == {
        "backup_exists[logical]": 0,
        "backup_exists[oplog]": 0,
        "incomplete_backups[local]": 0,
    }


def test_the_age_is_that_of_what_the_newest_shows_wherever_it_lies():
    found = measured(local(backup(30)), Holding("offsite", [backup(30), backup(6)]))
    assert found["backup_age[logical]"] == 6 * 3600


def test_the_newest_verified_one_counts_and_where_none_is_the_oldest():
    old, new = backup(48), backup(2)
    assert measured(local(old, new))["verified_backup_age[logical]"] == 48 * 3600
    proven = measured(local(old, new, verified=frozenset({new.id})))
    assert proven["verified_backup_age[logical]"] == 2 * 3600


@pytest.mark.parametrize(
    ("size", "shrinkage", "growth"), [(1000, 0.0, 0.0), (100, 0.9, 0.0), (3000, 0.0, 2.0), (0, 1.0, 0.0)]
)
def test_a_size_is_set_against_the_usual_one(size, shrinkage, growth):
    found = measured(local(*daily(5, size=size)))
    assert found["backup_shrinkage[logical]"] == pytest.approx(shrinkage)
    assert found["backup_growth[logical]"] == pytest.approx(growth)


def test_the_first_backups_and_differences_tell_nothing_of_a_size():
    assert "backup_shrinkage[logical]" not in measured(local(*daily(2)))
    differences = [backup(hours, size=3, parents=("x",)) for hours in (1, 2, 3)]
    found = measured(local(*daily(4), *differences))
    assert found["backup_shrinkage[logical]"] == 0


def test_rows_that_are_gone_are_counted_and_the_worst_table_is_named():
    before = backup(25, counts={"a": 900, "b": 100})
    after = backup(1, counts={"a": 0, "b": 110})
    (lost,) = [m for m in measure_backups([local(before, after)], ("logical",), NOW) if m.name == "backup_counts_lost"]
    assert lost.value == pytest.approx(0.89)
    assert lost.note == "a: 900 before, 0 now"


def test_missing_runs_are_counted_by_the_usual_time_between_them_and_runs_by_hand_do_not_disturb():
    assert measured(local(*daily(8)))["missed_backups[logical]"] == 0
    gone = [manifest for number, manifest in enumerate(daily(12)) if number not in (7, 8)]
    assert measured(local(*gone))["missed_backups[logical]"] == 2
    by_hand = backup(7 + 0.05)
    assert measured(local(*daily(8), by_hand))["missed_backups[logical]"] == 0


def test_runs_that_stopped_are_missed_too():
    stopped = [backup(24 * back + 80) for back in range(6)]
    assert measured(local(*stopped))["missed_backups[logical]"] == 2


@pytest.mark.parametrize(("live", "shrinkage"), [(1000.0, 0.0), (100.0, 0.9), (5000.0, 0.0), (0.0, 1.0)])
def test_a_live_system_that_lost_most_of_what_its_backup_saw_is_seen(live, shrinkage):
    holding = local(backup(5, source_bytes=1000))
    found = {one.name: one.value for one in measure_backups([holding], ("logical",), NOW, live=live)}
    assert found["live_shrinkage"] == pytest.approx(shrinkage)


def test_a_copy_that_lags_behind_and_one_that_was_never_made_are_seen():
    found = measured(local(backup(30), backup(6)), Holding("offsite", [backup(30)]), Holding("cold", []))
    assert found["backup_copy_lag[offsite]"] == 24 * 3600
    assert found["backup_copy_lag[cold]"] == 30 * 3600
    assert "backup_copy_lag[local]" not in found


def test_what_is_being_taken_is_not_counted_as_incomplete_and_what_was_left_is():
    begun = (NOW - timedelta(hours=2), NOW - timedelta(hours=30))
    assert measured(local(backup(2), begun=begun))["incomplete_backups[local]"] == 1


class Plan(BackupPlan):
    def methods(self) -> tuple[str, ...]:
        return ("logical",)


@pytest.mark.parametrize("name", BACKUPS)
def test_every_measurement_is_held_against_a_limit_and_the_spec_may_say_another(name):
    plan = Plan(to=("local",), limits={"backup_age": {"warn": "7h"}})
    spec = ProtectedSpec(kind="postgres", backup=plan)
    reading = BACKUPS.read(name, 1.0, at=NOW)
    assert spec.measure(reading) is BACKUPS[name]
    limit = spec.limit(reading)
    assert limit is not None
    assert name in spec.measured()
    assert [str(bound) for _, bound in limit.bounds()] == (
        ["7h"] if name == "backup_age" else [str(bound) for _, bound in BACKUPS[name].limit.bounds()]  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("name", BACKUPS)
def test_every_measurement_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
