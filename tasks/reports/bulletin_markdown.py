"""A bulletin as markdown for Prefect's artifact, and its lines as the rows of a table."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Picture, Row, Table
from tasks.reports.markdown import LARGEST_CHART, MOST_PROBLEMS, MOST_ROWS, escape, grid

_TICKS = re.compile(r"`+")
_COLUMNS = ("outcome", "part", "what", "facts", "note", "to do")


def render(bulletin: Bulletin) -> str:
    """Return the bulletin as GitHub markdown."""
    return "\n".join(line for part in _parts(bulletin) for line in (*part, "")).rstrip() + "\n"


def table(bulletin: Bulletin) -> list[dict[str, str]]:
    """Return one flat row for each line; the last row counts those beyond 500."""
    rows = [_flat(title, line) for title, line in bulletin.rows()]
    left = len(rows) - MOST_ROWS
    more = [dict.fromkeys(_COLUMNS, "") | {"what": f"and {left:,} more, in the HTML page"}] if left > 0 else []
    return [*rows[:MOST_ROWS], *more]


def _flat(title: str, line: Line) -> dict[str, str]:
    outcome = "" if line.outcome is None else f"{wording.ICONS[line.outcome]} {wording.OUTCOMES[line.outcome]}"
    values = (outcome, title, line.text, words.facts(line), line.note, line.remedy)
    return dict(zip(_COLUMNS, (wording.plain(value, 500) for value in values), strict=True))


def _parts(bulletin: Bulletin) -> Iterator[list[str]]:
    yield [f"# {escape(words.verdict_line(bulletin))}"]
    if bulletin.sentence:
        yield [f"**{escape(bulletin.sentence)}**"]
    if bulletin.facts or bulletin.made:
        yield [escape(" · ".join(fact for fact in (*bulletin.facts, bulletin.made) if fact))]
    yield from ([f"⏰ **{escape(warning)}**"] for warning in bulletin.warnings)
    if bulletin.environment == "lab":
        yield ["> This report is about the embedded lab, not about production."]
    for part in bulletin.parts:
        yield [f"## {escape(part.title)}"]
        yield from _part(part)


def _part(part: Part) -> Iterator[list[str]]:
    if part.lines:
        yield [row for line in part.lines[:MOST_PROBLEMS] for row in _line(line)]
    if len(part.lines) > MOST_PROBLEMS:
        yield [f"… and {len(part.lines) - MOST_PROBLEMS:,} more, in the table artifact and in the HTML page."]
    if part.table is not None and part.table.rows:
        yield _table(part.table)
    yield from ([_picture(picture)] for picture in part.pictures)


def _line(line: Line) -> Iterator[str]:
    facts = f": {escape(words.facts(line))}" if line.facts else ""
    yield f"- {words.icon(line.outcome)}**{escape(line.text, 500)}**{facts}"
    if line.note:
        yield f"  - {escape(line.note, 500)}"
    if line.remedy:
        yield f"  - What to do: {escape(line.remedy, 500)}"
    if line.code:
        fence = "`" * (max((len(ticks) for ticks in _TICKS.findall(line.code)), default=0) + 3)
        yield from (f"    {row}" for row in ("", fence, *words.code(line).splitlines(), fence, ""))


def _table(shown: Table) -> list[str]:
    rows = [_row(row) for row in shown.rows[:MOST_ROWS]]
    return grid((escape(head) for head in shown.heads), rows)


def _row(row: Row) -> list[str]:
    first, *rest = (escape(cell, 300) for cell in row.cells)
    return [f"{words.icon(row.outcome)}{first}", *rest]


def _picture(picture: Picture) -> str:
    if len(picture.light) > LARGEST_CHART:
        return f"{escape(picture.title)}: the chart is too large to be kept here; it is in the HTML page."
    return f"![{escape(picture.title)}](data:image/png;base64,{base64.b64encode(picture.light).decode()})"
