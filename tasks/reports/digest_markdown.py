"""The digest as markdown for Prefect's artifact, and its problems as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.core.digest import Digest, Story
from tasks.core.platform import PlatformSpec
from tasks.reports import digest_words as words
from tasks.reports import wording
from tasks.reports.markdown import MOST_PROBLEMS, MOST_ROWS, escape, grid

_COLUMNS = ("state", "outcome", "severity", "system", "what", "observed", "since")


def render(digest: Digest, platform: PlatformSpec | None = None) -> str:
    """Return the digest as GitHub markdown."""
    return "\n".join(line for part in _parts(digest, platform) for line in (*part, "")).rstrip() + "\n"


def table(digest: Digest, platform: PlatformSpec | None = None) -> list[dict[str, str]]:
    """Return one flat row for each problem of the day; the last row counts those beyond 500."""
    rows = [_row(said, story, digest) for said, told in words.groups(digest) for story in words.ranked(told, platform)]
    left = len(rows) - MOST_ROWS
    more = [dict.fromkeys(_COLUMNS, "") | {"what": f"and {left:,} more, in the HTML page"}] if left > 0 else []
    return [*rows[:MOST_ROWS], *more]


def _row(said: str, story: Story, digest: Digest) -> dict[str, str]:
    finding = story.finding
    values = (
        said,
        f"{wording.ICONS[finding.outcome]} {wording.OUTCOMES[finding.outcome]}",
        finding.severity or "",
        finding.system,
        wording.aspect(finding),
        wording.plain(finding.observed, 200),
        words.lasted(story, digest),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _parts(digest: Digest, platform: PlatformSpec | None) -> Iterator[list[str]]:
    yield [f"# {escape(words.verdict_line(digest))}"]
    uptime = words.uptime_line(digest)
    yield [escape(" · ".join(part for part in (words.counted(digest), words.looks(digest), uptime) if part))]
    if late := wording.lateness(digest):
        yield [f"⏰ **{escape(late)}**"]
    if digest.environment == "lab":
        yield ["> This digest is about the embedded lab, not about production."]
    if digest.notes:
        yield [f"- **{escape(note, 400)}**" for note in digest.notes]
    if digest.business:
        yield ["## Business"]
        rows = [[escape(cell) for cell in words.figure_row(figure)] for figure in digest.business]
        yield grid(words.BUSINESS_HEADS, rows)
    yield from _problems(digest, platform)
    if digest.silenced:
        yield ["## Silenced"]
        yield [f"- **{escape(wording.listed(what, 8))}**: {escape(why)}" for why, what in words.silenced(digest)]
    if digest.resolved:
        yield ["## Resolved"]
        yield [_resolved(story, digest) for story in digest.resolved[:MOST_PROBLEMS]]
    targets = [f"{words.mark(row)}{words.target_line(row)}" for row in (*digest.objectives, *digest.backups)]
    if lines := [*targets, *map(words.budget_line, digest.budgets)]:
        yield ["## Objectives and backups"]
        yield [f"- {escape(line)}" for line in lines]
    if gaps := list(_gaps(digest)):
        yield ["## What was not looked at"]
        yield gaps


def _problems(digest: Digest, platform: PlatformSpec | None) -> Iterator[list[str]]:
    standing = words.ranked(digest.standing, platform)
    if not standing:
        return
    yield ["## What stands in the evening"]
    for story in standing[:MOST_PROBLEMS]:
        finding = story.finding
        facts = (wording.urgency(finding, platform), wording.versus(finding), words.lasted(story, digest))
        yield [
            f"{wording.ICONS[finding.outcome]} **{escape(wording.brief(finding), 500)}**",
            "",
            f"- {escape(' · '.join(fact for fact in facts if fact))}",
            *([f"- {escape(finding.note, 500)}"] if finding.note else []),
        ]
    if len(standing) > MOST_PROBLEMS:
        yield [f"… and {len(standing) - MOST_PROBLEMS:,} more, in the table artifact and in the HTML page."]


def _resolved(story: Story, digest: Digest) -> str:
    return f"- {escape(wording.problem(story.finding))}: {escape(words.lasted(story, digest))}"


def _gaps(digest: Digest) -> Iterator[str]:
    if missed := words.missed(digest):
        yield f"- **{escape(missed)}**"
    for why, things in words.unchecked(digest)[:MOST_PROBLEMS]:
        yield f"- **{escape(wording.listed(things, 8))}**: {escape(why)}"
