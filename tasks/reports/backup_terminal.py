"""A run of backups for a terminal, as rich renderables; it reads the same without colour, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.core.backup_report import BackupReport
from tasks.core.results import Outcome
from tasks.reports import backup_words as words
from tasks.reports import wording
from tasks.reports.terminal import MARK_WIDTH, STYLES, mark


def render(report: BackupReport) -> RenderableType:
    """Return the whole summary: verdict, failures first, every backup, what is not in them."""
    return Group(*_parts(report))


def _parts(report: BackupReport) -> Iterator[RenderableType]:
    style = STYLES[wording.WORST[report.verdict]]
    yield Text(f"{wording.name_of(report)}: {words.verdict_word(report)}", style)
    yield Text(f"{words.scope(report)} · restore point {report.restore_point}")
    yield Text()
    lines = Table.grid(expand=False)
    lines.add_column(width=MARK_WIDTH)
    lines.add_column(overflow="fold")
    for failure in report.failed:
        lines.add_row(Text(*mark(Outcome.FAILED)), Text(words.failure_line(failure), STYLES[Outcome.FAILED]))
        if failure.hint:
            lines.add_row("", Text(f"-> {wording.plain(failure.hint, 300)}"))
    for backup in report.backups:
        lines.add_row(Text(*mark(words.outcome(backup, report))), Text(words.backup_line(backup)))
        lines.add_row("", Text(wording.plain(backup.location, 300), "bright_black"))
        for warning in backup.warnings:
            lines.add_row("", Text(wording.plain(warning, 300), STYLES[Outcome.WARNED]))
    for note in report.notes:
        lines.add_row("", Text(wording.plain(note, 400), STYLES[Outcome.WARNED]))
    yield lines
    yield Text()
    yield Text(wording.took(report), "bright_black")
