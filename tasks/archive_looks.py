"""Looking over a server's archived write-ahead log for the health check: how far it reaches, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from tasks.core.backup_catalog import BACKUPS
from tasks.core.manifest import Manifest
from tasks.core.results import Measurement
from tasks.core.system import BackupPlan
from tasks.systems.postgres.spec import Plan
from tasks.systems.postgres.wal import SEGMENT_BYTES, Reach, base_of, gap_text, reaches
from tasks.vault.archive import Archive
from tasks.vault.vault import Vault

_METHOD = "physical"
_SEGMENT = r"[0-9A-F]{24}(\.partial)?"


def has_archive(plan: BackupPlan) -> bool:
    """Tell whether a system's log is to be archived without end."""
    return isinstance(plan, Plan) and plan.physical is not None and plan.physical.wal == "continuous"


def measure_archive(
    vault: Vault, platform: str, system: str, manifests: Sequence[Manifest], now: datetime
) -> Iterator[Measurement]:
    """Measure how far the log in a vault carries the newest copy of the files on; nothing where there is no copy.

    Raises:
        WatchkeeperError: The vault refuses, or the newest copy does not say where in the log it lies.
    """
    copies = sorted((one for one in manifests if one.method == _METHOD), key=lambda one: one.consistent_as_of)
    if not copies:
        return
    newest = copies[-1]
    base, archive = base_of(newest.id, newest), Archive(vault, platform, system)
    size = int(newest.details.get("segment_bytes", SEGMENT_BYTES))
    found = reaches(archive.names(), [base], segment_bytes=size)
    reach = next(one for one in found if one.timeline == base.timeline)
    yield BACKUPS.read(
        "archive_gaps",
        len(reach.missing),
        at=now,
        subject=vault.name,
        note=gap_text(reach.missing) if reach.missing else "",
    )
    yield BACKUPS.read(
        "archive_lag", (now - _until(reach, archive, newest)).total_seconds(), at=now, subject=vault.name
    )


def trim_archive(vault: Vault, platform: str, system: str) -> list[str]:
    """Remove the log that no copy in the vault needs any more: what lies before the oldest copy of the files.

    Nothing goes where there is no such copy, or where a manifest cannot be read: nobody knows then what is needed.
    What tells how timelines go on stays.

    Returns:
        The names that went.

    Raises:
        WatchkeeperError: The vault refuses, or a manifest is damaged.
    """
    copies = [one for one in vault.manifests(platform, system) if one.method == _METHOD]
    needed = [str(one.details.get("wal", {}).get("first", "")) for one in copies]
    if not needed or not all(needed):
        return []
    return Archive(vault, platform, system).remove_below(min(needed), only=_SEGMENT)


def _until(reach: Reach, archive: Archive, newest: Manifest) -> datetime:
    """Return to when the log reaches: when its last segment before any gap was archived, or the copy's own moment."""
    known = archive.describe(reach.last) if reach.last is not None else None
    return max(known.at, newest.consistent_as_of) if known is not None else newest.consistent_as_of
