"""A bulletin in Slack: verdict, the sentence, problems worst first, one line for what is well; the rest in the thread.

The limits are those of `tasks.reports.slack`. Where all is well it is three lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Row
from tasks.reports.slack import (
    MOST_PROBLEMS,
    Block,
    SlackMessage,
    button,
    context,
    fitting,
    link,
    mrkdwn,
    pages,
    section,
)

_MOST_IN_TEXT = 600
_MOST_LINES = 12
_MOST_CODE = 2_500
_MOST_GAPS = 6


def summary(bulletin: Bulletin) -> SlackMessage:
    """Return the message for the channel."""
    text = mrkdwn(words.headline(bulletin), _MOST_IN_TEXT)
    address = wording.web_address(bulletin.run_url or "")
    foot = mrkdwn(" · ".join(part for part in (*bulletin.facts, bulletin.made) if part), 900)
    head = [section(_verdict(bulletin))]
    gaps = list(_gaps(bulletin))
    if bulletin.verdict is Verdict.PASSED:
        said = f"{foot} · {link(address)}" if address else foot
        return SlackMessage(text=text, blocks=[*head, *_well(bulletin), *gaps, *([context(said)] if said else [])])
    tail = [*_well(bulletin), *gaps, *([context(foot)] if foot else []), *([button(address)] if address else [])]
    problems = bulletin.problems
    shown = fitting((section(_told(line)) for line in problems[:MOST_PROBLEMS]), head + tail)
    rest = len(problems) - len(shown)
    more = [context(f"… and {wording.plural(rest, 'more problem')}, in the thread and in the report")] if rest else []
    return SlackMessage(text=text, blocks=[*head, *shown, *more, *tail])


def details(bulletin: Bulletin) -> list[SlackMessage]:
    """Return the messages for the thread: every part with its lines and rows."""
    return pages(list(_details(bulletin)), wording.plain(bulletin.name, 120))


def _verdict(bulletin: Bulletin) -> str:
    icon = wording.ICONS[wording.WORST[bulletin.verdict]]
    line = f"{icon} *{mrkdwn(bulletin.name, 120)}: {mrkdwn(bulletin.word, 120)}*"
    late = [f"⏰ {mrkdwn(warning, 400)}" for warning in bulletin.warnings]
    return "\n".join(part for part in (line, mrkdwn(bulletin.sentence, 600), *late) if part)


def _told(line: Line) -> str:
    lines = [
        f"{words.icon(line.outcome)}*{mrkdwn(line.text, 400)}*",
        mrkdwn(words.facts(line), 500),
        mrkdwn(line.note, 300),
        f"→ {mrkdwn(line.remedy, 300)}" if line.remedy else "",
    ]
    return "\n".join(line for line in lines if line)


def _code(line: Line) -> str:
    rows = words.code(line).replace("```", "'''").splitlines()
    return "\n".join(row[: len(row) - len(row.lstrip(" "))] + mrkdwn(row, 300) for row in rows)[:_MOST_CODE]


def _well(bulletin: Bulletin) -> list[Block]:
    """Say what is well, in a line for each part that has any."""
    told = []
    for part in bulletin.parts:
        well = [words.in_short(line) for line in part.lines if line.outcome in (None, Outcome.PASSED)]
        if well and not part.aside:
            sign = words.icon(Outcome.PASSED) if any(line.outcome is Outcome.PASSED for line in part.lines) else ""
            told.append(f"{sign}{mrkdwn(part.title, 60)}: {mrkdwn(wording.listed(well, 6), 600)}")
    return [section("\n".join(told[:_MOST_LINES]))] if told else []


def _gaps(bulletin: Bulletin) -> Iterator[Block]:
    """Name what was not looked at."""
    unseen = (Outcome.NOT_CHECKED, Outcome.SKIPPED)
    gaps = [line for part in bulletin.parts for line in part.lines if line.outcome in unseen]
    if gaps:
        said = [
            f"{mrkdwn(line.text, 200)}: {mrkdwn(line.note or words.facts(line), 200)}" for line in gaps[:_MOST_GAPS]
        ]
        more = [f"… and {len(gaps) - _MOST_GAPS:,} more"] if len(gaps) > _MOST_GAPS else []
        yield section("\n".join([f"{wording.ICONS[Outcome.NOT_CHECKED]} *Not covered*", *said, *more]))


def _details(bulletin: Bulletin) -> Iterator[Block]:
    for part in bulletin.parts:
        if part.lines or (part.table is not None and part.table.rows):
            yield section(f"*{mrkdwn(part.title, 120)}*")
            yield from _of(part)


def _of(part: Part) -> Iterator[Block]:
    for line in part.lines:
        yield section(_told(line))
        if line.code:
            yield section(f"```{_code(line)}```")
    if part.table is not None:
        yield from (context(_row(row, part.table.heads)) for row in part.table.rows)


def _row(row: Row, heads: tuple[str, ...]) -> str:
    first, *rest = row.cells
    named = (f"{head} {cell}".strip() for head, cell in zip(heads[1:], rest, strict=False) if cell)
    of = f"*{mrkdwn(first, 200)}* " if first else ""
    return f"{words.icon(row.outcome)}{of}{mrkdwn(' · '.join(named), 900)}"
