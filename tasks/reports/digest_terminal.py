"""The digest for a terminal, as rich renderables; it reads the same without colour, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.core.digest import Digest, Story
from tasks.core.platform import PlatformSpec
from tasks.core.results import Outcome
from tasks.reports import digest_words as words
from tasks.reports import wording
from tasks.reports.terminal import MARK_WIDTH, MOST_PROBLEMS, STYLES, mark


def render(digest: Digest, platform: PlatformSpec | None = None) -> RenderableType:
    """Return the whole digest: verdict, problems worst first, business, objectives, what was not looked at."""
    return Group(*_parts(digest, platform))


def _parts(digest: Digest, platform: PlatformSpec | None) -> Iterator[RenderableType]:
    yield Text(f"{words.name_of(digest)}: {words.verdict_word(digest)}", STYLES[wording.WORST[digest.verdict]])
    yield Text(f"{words.counted(digest)} · {words.looks(digest)}")
    if uptime := words.uptime_line(digest):
        yield Text(uptime, "bright_black")
    for note in digest.notes:
        yield Text(wording.plain(note, 400), "yellow")
    yield Text()
    yield _lines(digest, platform)
    if digest.business:
        yield Text()
        yield _business(digest)


def _lines(digest: Digest, platform: PlatformSpec | None) -> Table:
    lines = Table.grid(expand=False)
    lines.add_column(width=MARK_WIDTH)
    lines.add_column(overflow="fold")
    standing = words.ranked(digest.standing, platform)
    for story in standing[:MOST_PROBLEMS]:
        outcome = story.finding.outcome
        lines.add_row(Text(*mark(outcome)), Text(wording.brief(story.finding), STYLES[outcome]))
        lines.add_row("", Text(_facts(story, digest, platform)))
    if len(standing) > MOST_PROBLEMS:
        lines.add_row("", Text(f"… and {len(standing) - MOST_PROBLEMS:,} more problems; --json has them all"))
    for why, what in words.silenced(digest):
        lines.add_row("", Text.assemble(("silenced ", "bold"), f"{wording.listed(what, 6)}: {why}"))
    for story in digest.resolved:
        said = f"{wording.problem(story.finding)} is resolved: {words.lasted(story, digest)}"
        lines.add_row(Text(*mark(Outcome.PASSED)), Text(said))
    for row in (*digest.objectives, *digest.backups):
        lines.add_row(Text(*mark(row.outcome)), Text(words.target_line(row)))
    for budget in digest.budgets:
        lines.add_row("", Text(words.budget_line(budget)))
    if missed := words.missed(digest):
        lines.add_row(Text(*mark(Outcome.NOT_CHECKED)), Text(missed, "bold"))
    for why, things in words.unchecked(digest):
        gap = Text.assemble((wording.listed(things, 6), "bold"), f" not checked: {why}")
        lines.add_row(Text(*mark(Outcome.NOT_CHECKED)), gap)
    return lines


def _facts(story: Story, digest: Digest, platform: PlatformSpec | None) -> str:
    finding = story.finding
    facts = (wording.urgency(finding, platform), wording.versus(finding), words.lasted(story, digest))
    return " · ".join(fact for fact in facts if fact)


def _business(digest: Digest) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in words.BUSINESS_HEADS:
        table.add_column(head, overflow="fold")
    for figure in digest.business:
        table.add_row(*(Text(cell) for cell in words.figure_row(figure)))
    return table
