"""A bulletin for a terminal, as rich renderables; it reads the same without colour, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from tasks.core.results import Outcome
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Table
from tasks.reports.terminal import MARK_WIDTH, STYLES, mark

_MOST_LINES = 40
_MOST_ROWS = 12
_SHORT = 24


def render(bulletin: Bulletin) -> RenderableType:
    """Return the whole bulletin."""
    return Group(*_parts(bulletin))


def _parts(bulletin: Bulletin) -> Iterator[RenderableType]:
    style = STYLES[wording.WORST[bulletin.verdict]]
    yield Text(f"{wording.plain(bulletin.name, 120)}: {wording.plain(bulletin.word, 80)}", style)
    if bulletin.sentence:
        yield Text(wording.plain(bulletin.sentence, 600))
    yield from (Text(wording.plain(fact, 400), "bright_black") for fact in (*bulletin.facts, bulletin.made) if fact)
    yield from (Text(wording.plain(warning, 400), "yellow") for warning in bulletin.warnings)
    for part in bulletin.parts:
        if part.lines or (part.table is not None and part.table.rows):
            yield Text()
            yield Text(wording.plain(part.title, 120), "bold")
            yield from _part(part)


def _part(part: Part) -> Iterator[RenderableType]:
    if part.lines:
        lines = Grid.grid(expand=False)
        lines.add_column(width=MARK_WIDTH)
        lines.add_column(overflow="fold")
        for line in part.lines[:_MOST_LINES]:
            _add(lines, line)
        if len(part.lines) > _MOST_LINES:
            lines.add_row("", Text(f"… and {len(part.lines) - _MOST_LINES:,} more; --json has them all"))
        yield lines
    if part.table is not None and part.table.rows:
        yield _table(part.table)
        if len(part.table.rows) > _MOST_ROWS:
            yield Text(f"… and {len(part.table.rows) - _MOST_ROWS:,} more rows; --json has them all", "bright_black")


def _add(lines: Grid, line: Line) -> None:
    sign: Text | str = Text(*mark(line.outcome)) if line.outcome is not None else ""
    facts = (f"  {wording.plain(words.facts(line), 600)}", "") if line.facts else ("", "")
    style = STYLES[line.outcome] if line.outcome is not None and line.outcome.is_problem else ""
    lines.add_row(sign, Text.assemble((wording.plain(line.text, 400), style), facts))
    if line.note:
        lines.add_row("", Text(wording.plain(line.note, 600), "bright_black"))
    if line.remedy and line.outcome not in (None, Outcome.PASSED):
        lines.add_row("", Text(f"→ {wording.plain(line.remedy, 600)}"))
    if line.code:
        lines.add_row("", Text(words.code(line), "cyan"))


def _table(shown: Table) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bright_black")
    for place, head in enumerate(shown.heads):
        longest = max((len(row.cells[place]) for row in shown.rows if place < len(row.cells)), default=0)
        short = place < len(shown.heads) - 1 and longest <= _SHORT
        grid.add_column(wording.plain(head, 60), overflow="fold", no_wrap=short)
    for row in shown.rows[:_MOST_ROWS]:
        style = STYLES[row.outcome] if row.outcome is not None and row.outcome.is_problem else ""
        grid.add_row(*(Text(wording.plain(cell, 300), style) for cell in row.cells))
    return grid
