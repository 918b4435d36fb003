"""What a run of backups says: its bulletin, which every renderer knows, and the lines of a command's progress."""

from __future__ import annotations

from tasks.core.backup_report import BackupReport, FailedBackup, TakenBackup
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_bytes, format_duration
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table

_HEADS = ("System", "Shows", "Vault", "Backup")


def bulletin(report: BackupReport) -> Bulletin:
    """Say a run of backups: failures first, then each system's, then what is not in them."""
    failed = tuple(
        Line(text=what_failed(one), outcome=Outcome.FAILED, note=one.reason, remedy=one.hint) for one in report.failed
    )
    parts = [
        Part(title="Failed", lines=failed),
        Part(title="Backed up", lines=tuple(_line(backup, report) for backup in report.backups)),
        Part(title="Not in the backups", lines=tuple(_missing(report))),
        Part(title="To look at", lines=tuple(Line(text=note, outcome=Outcome.WARNED) for note in report.notes)),
        Part(
            title="Where they are",
            table=Table(
                heads=_HEADS,
                rows=tuple(row for backup in report.backups for row in _rows(backup, report)),
                wraps=True,
            ),
            aside=True,
        ),
    ]
    return words.bulletin(
        report,
        "backup",
        word=verdict_word(report),
        sentence=failure_line(report.failed[0]) if report.failed else scope(report),
        facts=(f"restore point {report.restore_point}",),
        parts=parts,
    )


def verdict_word(report: BackupReport) -> str:
    """Say the verdict in a few words: `backed up`, `2 of 5 backups failed`."""
    match report.verdict:
        case Verdict.FAILED:
            missing = sum(not failure.id for failure in report.failed)
            copies = len(report.failed) - missing
            parts = [f"{missing:,} of {wording.plural(len(report.backups) + missing, 'backup')} failed"] * bool(missing)
            parts += [f"{wording.plural(copies, 'copy')} failed".replace("copys", "copies")] * bool(copies)
            return ", ".join(parts)
        case Verdict.UNKNOWN:
            return "nothing was backed up"
        case Verdict.WARNED:
            return "backed up, with something to look at"
        case _:
            return "backed up"


def scope(report: BackupReport) -> str:
    """Say how much there is: `3 backups of 3 systems, 1.2 GiB stored, skew 4 s`."""
    if not report.backups:
        return report.notes[0] if report.notes else "there is no backup"
    systems = len({backup.system for backup in report.backups})
    parts = [
        f"{wording.plural(len(report.backups), 'backup')} of {wording.plural(systems, 'system')}",
        f"{format_bytes(report.stored_bytes)} stored",
    ]
    if len(report.backups) > 1:
        parts.append(f"skew {format_duration(round(report.skew_seconds, 1))}")
    return ", ".join(parts)


def failure_line(failure: FailedBackup) -> str:
    """Say what failed and why: `database (logical): connection refused`."""
    return f"{what_failed(failure)}: {wording.plain(failure.reason, 300)}"


def what_failed(failure: FailedBackup) -> str:
    """Name what is missing: `database (logical)`, or `the copy of database (logical) in offsite`."""
    method = f" ({wording.plain(failure.method, 40)})" if failure.method else ""
    name = f"{wording.plain(failure.system, 80)}{method}"
    return f"the copy of {name} in {wording.plain(failure.vault, 80)}" if failure.id else name


def backup_line(backup: TakenBackup) -> str:
    """Say a backup in a line: `database logical: 1.2 GiB, 300 MiB stored, 12 s, in local and offsite`."""
    return f"{backup.system} {backup.method}: {_facts(backup)}"


def _facts(backup: TakenBackup) -> str:
    sizes = f"{format_bytes(backup.bytes)}, {format_bytes(backup.stored_bytes)} stored"
    return f"{sizes}, {format_duration(round(backup.seconds, 1))}, in {' and '.join(backup.vaults)}"


def _line(backup: TakenBackup, report: BackupReport) -> Line:
    incomplete = any(failure.id == backup.id for failure in report.failed)
    how = f"{backup.system} {backup.method}" + (f", since {backup.parent}" if backup.parent else "")
    outcome = None if incomplete else Outcome.PASSED
    return Line(text=how, outcome=outcome, facts=(_facts(backup),))


def _missing(report: BackupReport) -> list[Line]:
    """Say what might be missed: a problem while it is news, and information from then on."""
    return [
        Line(text=f"{backup.system}: {warning}", outcome=Outcome.WARNED if warning in backup.news else None)
        for backup in report.backups
        for warning in backup.warnings
    ]


def _rows(backup: TakenBackup, report: BackupReport) -> list[Row]:
    """Return a row for each place that has the backup."""
    shows = wording.day_and_time(backup.consistent_as_of, report)
    first = (f"{backup.title} {backup.method}", shows)
    places = [(backup.vault, backup.location), *((copy.vault, copy.location) for copy in backup.copies)]
    return [Row(cells=(*(first if place == places[0] else ("", "")), *place)) for place in places]
