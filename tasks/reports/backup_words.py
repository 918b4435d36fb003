"""How a run of backups is said: every renderer takes its words from here. Texts are plain, as `wording` has them."""

from __future__ import annotations

from tasks.core.backup_report import BackupReport, FailedBackup, TakenBackup
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_bytes, format_duration
from tasks.reports import wording

HEADS = ("System", "Taken as", "Size", "Stored", "Took", "Shows", "Vaults")


def verdict_word(report: BackupReport) -> str:
    """Say the verdict in a few words: `backed up`, `2 of 5 backups failed`."""
    match report.verdict:
        case Verdict.FAILED:
            tried = len(report.backups) + sum(not failure.id for failure in report.failed)
            missing = sum(not failure.id for failure in report.failed)
            copies = len(report.failed) - missing
            parts = [f"{missing:,} of {wording.plural(tried, 'backup')} failed"] if missing else []
            parts += [f"{copies:,} could not be copied"] if copies else []
            return ", ".join(parts)
        case Verdict.UNKNOWN:
            return "nothing was backed up"
        case Verdict.WARNED:
            return "backed up, with something to look at"
        case _:
            return "backed up"


def verdict_line(report: BackupReport) -> str:
    """Say platform and verdict in a line."""
    return f"{wording.verdict_icon(report)} {wording.name_of(report)}: {verdict_word(report)}"


def headline(report: BackupReport) -> str:
    """Say platform, verdict and the worst thing in one line, for a notification on a locked phone."""
    line = verdict_line(report)
    return f"{line}: {failure_line(report.failed[0])}" if report.failed else f"{line} ({scope(report)})"


def scope(report: BackupReport) -> str:
    """Say how much there is: `3 backups of 3 systems, 1.2 GiB stored, within 4 s`."""
    if not report.backups:
        return "no backups"
    systems = len({backup.system for backup in report.backups})
    parts = [
        f"{wording.plural(len(report.backups), 'backup')} of {wording.plural(systems, 'system')}",
        f"{format_bytes(report.stored_bytes)} stored",
    ]
    return ", ".join([*parts, skew(report)] if len(report.backups) > 1 else parts)


def skew(report: BackupReport) -> str:
    """Say how far the moments that the backups show lie apart."""
    return f"skew {format_duration(report.skew_seconds)}"


def failure_line(failure: FailedBackup) -> str:
    """Say what failed and why: `database (logical): connection refused`."""
    return f"{what_failed(failure)}: {wording.plain(failure.reason, 300)}"


def what_failed(failure: FailedBackup) -> str:
    """Name what is missing: `database (logical)`, or `the copy of database (logical) in offsite`."""
    method = f" ({wording.plain(failure.method, 40)})" if failure.method else ""
    name = f"{wording.plain(failure.system, 80)}{method}"
    return f"the copy of {name} in {wording.plain(failure.vault, 80)}" if failure.id else name


def row(backup: TakenBackup, report: BackupReport) -> tuple[str, ...]:
    """Return the cells of a backup's line, under `HEADS`."""
    how = f"{backup.method}, goes on from {backup.parent}" if backup.parent else backup.method
    return (
        wording.plain(backup.title, 80),
        wording.plain(how, 80),
        format_bytes(backup.bytes),
        format_bytes(backup.stored_bytes),
        format_duration(backup.seconds),
        wording.day_and_time(backup.consistent_as_of, report),
        wording.plain(", ".join(backup.vaults), 120),
    )


def outcome(backup: TakenBackup, report: BackupReport) -> Outcome:
    """Say how a backup is: failed where a copy of it is missing, warned where something is newly missing in it."""
    if any(failure.id == backup.id for failure in report.failed):
        return Outcome.FAILED
    return Outcome.WARNED if backup.news else Outcome.PASSED


def backup_line(backup: TakenBackup) -> str:
    """Say a backup in a line: `database logical · 1.2 GiB, 300 MiB stored · 12 s · local, offsite`."""
    sizes = f"{format_bytes(backup.bytes)}, {format_bytes(backup.stored_bytes)} stored"
    facts = (f"{backup.system} {backup.method}", sizes, format_duration(backup.seconds), ", ".join(backup.vaults))
    return " · ".join(wording.plain(fact, 120) for fact in facts)
