"""The digest in Slack: verdict, what changed, what stands, the business table; the rest goes in the thread.

The limits are those of `tasks.reports.slack`. A green day is three lines and the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.core.digest import Digest, Story
from tasks.core.platform import PlatformSpec
from tasks.core.report import Verdict
from tasks.reports import digest_words as words
from tasks.reports import wording
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

_MOST_ROWS = 25
_MOST_IN_TEXT = 600
_WIDEST = 26


def summary(digest: Digest, platform: PlatformSpec | None = None) -> SlackMessage:
    """Return the message for the channel.

    Args:
        digest: What to tell.
        platform: Its spec, for response times and the order of severities.
    """
    text = mrkdwn(words.headline(digest, platform), _MOST_IN_TEXT)
    address = wording.web_address(digest.run_url or "")
    standing = words.ranked(digest.standing, platform)
    table = [section(_table(digest))] if digest.business else []
    if digest.verdict is Verdict.PASSED:
        return SlackMessage(text=text, blocks=[*_green(digest, address), *table])
    head = [section(_verdict(digest)), section(_changes(digest))]
    tail = [*table, *_states(digest), context(mrkdwn(wording.took(digest))), *([button(address)] if address else [])]
    shown = fitting((_story(story, digest, platform) for story in standing[:MOST_PROBLEMS]), head + tail)
    rest = len(standing) - len(shown)
    more = [context(f"… and {wording.plural(rest, 'more problem')}, in the thread and in the report")] if rest else []
    return SlackMessage(text=text, blocks=[*head, *shown, *more, *tail])


def details(digest: Digest, platform: PlatformSpec | None = None) -> list[SlackMessage]:
    """Return the messages for the thread; none where there is nothing to add."""
    return pages(list(_details(digest, platform)), words.name_of(digest))


def _verdict(digest: Digest) -> str:
    line = f"{wording.verdict_icon(digest)} *{mrkdwn(words.name_of(digest))}: {words.verdict_word(digest)}*"
    late = wording.lateness(digest)
    parts = [line, mrkdwn(words.looks(digest)), f"⏰ {mrkdwn(late)}" if late else ""]
    return "\n".join(part for part in parts if part)


def _changes(digest: Digest) -> str:
    parts = [
        f"{len(stories):,} {said} ({wording.listed(wording.problem(story.finding) for story in stories)})"
        for said, stories in words.groups(digest)
    ]
    return mrkdwn("; ".join(parts) or f"{words.counted(digest).capitalize()}", 1_500)


def _green(digest: Digest, address: str) -> list[Block]:
    """Return the three lines of a green day: the verdict, what changed, how it is known."""
    states = [words.objectives_line(digest), *map(words.budget_line, digest.budgets), words.backups_line(digest)]
    foot = mrkdwn(" · ".join(part for part in (words.looks(digest), words.uptime_line(digest)) if part))
    late = wording.lateness(digest)
    line = f"{wording.verdict_icon(digest)} *{mrkdwn(words.name_of(digest))}: {words.verdict_word(digest)}*"
    second = " · ".join([_changes(digest), *(mrkdwn(state, 400) for state in states if state)])
    notes = [f"⏰ {late}" if late else "", *digest.notes, *(_gap(*gap) for gap in words.unchecked(digest)[:4])]
    said = [context(mrkdwn(note, 400)) for note in notes if note]
    return [section(line), context(second), context(f"{foot} · {link(address)}" if address else foot), *said]


def _states(digest: Digest) -> list[Block]:
    """Return how objectives, budgets and backups are, and what was not looked at."""
    quiet = [f"🔕 {wording.listed(what, 5)}: {why}" for why, what in words.silenced(digest)]
    lines = [f"{words.mark(row)}{words.target_line(row)}" for row in (*digest.objectives, *digest.backups)]
    lines += [words.budget_line(budget) for budget in digest.budgets]
    lines = [*quiet[:4], *lines, words.uptime_line(digest)]
    blocks = [section("\n".join(mrkdwn(line, 250) for line in lines[:14] if line))] if any(lines) else []
    gaps = [words.missed(digest), *digest.notes, *(_gap(*gap) for gap in words.unchecked(digest)[:4])]
    if any(gaps):
        said = "\n".join(mrkdwn(gap, 400) for gap in gaps[:6] if gap)
        blocks.append(section(f"⬜ *Not looked at*\n{said}"))
    return blocks


def _gap(why: str, things: Sequence[str]) -> str:
    return f"{wording.listed(things, 5)}: {why}"


def _story(story: Story, digest: Digest, platform: PlatformSpec | None) -> Block:
    finding = story.finding
    facts = [wording.urgency(finding, platform), wording.versus(finding), words.lasted(story, digest)]
    lines = [
        f"{wording.ICONS[finding.outcome]} *{mrkdwn(wording.brief(finding), 500)}*",
        mrkdwn(" · ".join(fact for fact in facts if fact), 600),
        mrkdwn(finding.note, 300),
        f"→ {mrkdwn(finding.remedy, 300)}" if finding.remedy else "",
    ]
    return section("\n".join(line for line in lines if line))


def _table(digest: Digest) -> str:
    """Return the business table as text of one width."""
    rows = [words.BUSINESS_HEADS, *(words.figure_row(figure) for figure in digest.business[:_MOST_ROWS])]
    cells = [[wording.plain(cell, _WIDEST) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    text = "\n".join(_escaped(line) for line in lines)
    left = len(digest.business) - _MOST_ROWS
    return f"```{text}```" + (f"\n… and {left} more, in the report" if left > 0 else "")


def _escaped(line: str) -> str:
    """Escape a line for a block of code, where spaces count."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


def _details(digest: Digest, platform: PlatformSpec | None) -> Iterator[Block]:
    standing = words.ranked(digest.standing, platform)
    if len(standing) > MOST_PROBLEMS:
        yield section(f"*All {len(standing):,} problems*")
        yield from (_story(story, digest, platform) for story in standing)
    if digest.resolved:
        yield section("*Resolved*")
        for story in digest.resolved:
            said = f"{wording.problem(story.finding)}: {words.lasted(story, digest)}"
            yield context(f"✅ {mrkdwn(said, 400)}")
    if digest.uptime and standing:
        rows = [f"{row.system}: today {words.percent(row.today)}, 30 days {words.percent(row.period)}"
                for row in digest.uptime]  # fmt: skip
        yield section("*Answered when looked at*")
        yield context(mrkdwn("; ".join(rows), 2_500))
