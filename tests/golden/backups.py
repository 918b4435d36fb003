"""Runs of backups from all well to hostile, as the flow makes them."""

from __future__ import annotations

from datetime import timedelta

from tasks.core.backup_report import BackupReport, Copied, FailedBackup, TakenBackup
from tests.golden.bulletins import _HOSTILE as HOSTILE
from tests.golden.reports import NOW

POINT = "20261122T020000Z-9f31c07a"


def taken(system: str, kind: str, method: str, *copies: str, seconds: float = 12.3, **more: object) -> TakenBackup:
    """Make a backup that was taken into `local`."""
    at = NOW - timedelta(minutes=5)
    ident = f"{at:%Y%m%dT%H%M%SZ}-{system[:8]:0<8}"
    values: dict[str, object] = {
        "title": system.capitalize(),
        "id": ident,
        "vault": "local",
        "location": f"/backups/apex/{system}/{ident}",
        "bytes": 1_288_490_189,
        "stored_bytes": 314_572_800,
        "consistent_as_of": at,
        "copies": tuple(Copied(vault=name, location=f"s3://{name}/x", seconds=3.0) for name in copies),
    }
    return TakenBackup(system=system, kind=kind, method=method, seconds=seconds, **(values | more))  # type: ignore[arg-type]


def report(*backups: TakenBackup, failed: tuple[FailedBackup, ...] = (), **more: object) -> BackupReport:
    """Make a run of a platform with a run's address."""
    values: dict[str, object] = {
        "id": "apex-backup-20261122T020000Z-1a2b3c",
        "platform": "apex",
        "title": "SIGN X Studio",
        "timezone": "Europe/Prague",
        "started": NOW - timedelta(minutes=6),
        "finished": NOW,
        "restore_point": POINT,
        "run_url": "http://127.0.0.1:4200/runs/flow-run/1",
    }
    return BackupReport(backups=backups, failed=failed, **(values | more))  # type: ignore[arg-type]


DATABASE = taken("database", "postgres", "logical", "offsite", warnings=("the roles' passwords are not in it",))


def well() -> BackupReport:
    """Everything was backed up, and what is never in it is known."""
    at = DATABASE.consistent_as_of + timedelta(seconds=4)
    return report(DATABASE, taken("cache", "redis", "rdb", "offsite", seconds=0.8, consistent_as_of=at))


def bad() -> BackupReport:
    """One system failed, one copy is missing, and the run was late."""
    cache = taken("cache", "redis", "rdb")
    failed = (
        FailedBackup(
            system="database",
            title="Database",
            kind="postgres",
            method="logical",
            vault="local",
            reason="connection refused",
            hint="See that it runs.",
        ),
        FailedBackup(
            system="cache",
            title="Cache",
            kind="redis",
            method="rdb",
            vault="offsite",
            id=cache.id,
            reason="access denied",
            hint="Look at the bucket's policy.",
        ),
    )
    return report(cache, failed=failed, environment="lab", scheduled=NOW - timedelta(hours=2))


def new_warning() -> BackupReport:
    """Something is newly missing in a backup, and an earlier one is damaged."""
    news = ("3 files could not be read: uploads/a.pdf and 2 more",)
    files = taken(
        "uploads", "files", "archive", "offsite", parent="20261121T020000Z-00000000", warnings=news, news=news
    )
    return report(files, notes=("apex/uploads/20261120T020000Z-00000000 in local cannot be gone on from: damaged",))


def unkind() -> BackupReport:
    """Texts that would do harm where they are not escaped."""
    hurt = taken("cache", "redis", "rdb", title=HOSTILE, location=HOSTILE, warnings=(HOSTILE,), news=(HOSTILE,))
    wrong = FailedBackup(
        system="x", title=HOSTILE, kind="redis", method=HOSTILE, vault=HOSTILE, reason=HOSTILE, hint=HOSTILE
    )
    return report(hurt, failed=(wrong,), title=HOSTILE, notes=(HOSTILE,))


def storm() -> BackupReport:
    """A hundred systems, half of which failed."""
    made = [taken(f"shard-{n}", "postgres", "logical", "offsite") for n in range(50)]
    broken = [
        FailedBackup(system=f"shard-{n}", title=f"Shard {n}", kind="postgres", vault="local", reason="no route to host")
        for n in range(50, 100)
    ]
    return report(*made, failed=tuple(broken))


BACKUPS = {"well": well, "bad": bad, "new-warning": new_warning, "unkind": unkind, "storm": storm, "none": report}
