"""The digest as an HTML page: one file, no script, nothing fetched, in the report's own dress."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.core.digest import Digest, Figure, Look, Story, Target
from tasks.core.history import Seen
from tasks.core.platform import PlatformSpec
from tasks.core.results import Outcome
from tasks.reports import digest_words as words
from tasks.reports import wording
from tasks.reports.html import TONES, template


@dataclass(frozen=True)
class Row:
    """A line of a table on the page, with the tone of its outcome."""

    cells: tuple[str, ...]
    tone: str
    word: str = ""
    note: str = ""


@dataclass(frozen=True)
class Problem:
    """One problem that stands in the evening."""

    what: str
    facts: str
    note: str
    remedy: str
    link: str
    tone: str
    word: str


def render(digest: Digest, platform: PlatformSpec | None = None) -> str:
    """Return the digest as one HTML page that needs no network and no script.

    Args:
        digest: What to show.
        platform: Its spec, for response times and the order of severities.
    """
    return template("digest.html.jinja").render(
        digest=digest,
        words=words,
        wording=wording,
        tone=TONES[wording.WORST[digest.verdict]],
        groups=[(said, [wording.problem(s.finding) for s in stories]) for said, stories in words.groups(digest)],
        problems=[_problem(story, digest, platform) for story in words.ranked(digest.standing, platform)],
        silenced=words.silenced(digest),
        resolved=[_resolved(story, digest) for story in digest.resolved],
        business=[_figure(figure) for figure in digest.business],
        targets=[_target(row) for row in (*digest.objectives, *digest.backups)],
        uptime=[_uptime(row.title, row.today, row.period) for row in digest.uptime],
        looks=[_look(look, digest) for look in digest.looks],
        unchecked=words.unchecked(digest),
        url=wording.web_address(digest.run_url or ""),
    )


def _problem(story: Story, digest: Digest, platform: PlatformSpec | None) -> Problem:
    finding = story.finding
    facts = (wording.urgency(finding, platform), wording.versus(finding), words.lasted(story, digest))
    return Problem(
        what=wording.brief(finding),
        facts=" · ".join(fact for fact in facts if fact),
        note=wording.plain(finding.note, 2_000),
        remedy=wording.plain(finding.remedy, 2_000),
        link=wording.web_address(finding.remedy),
        tone=TONES[finding.outcome],
        word=wording.OUTCOMES[finding.outcome],
    )


def _resolved(story: Story, digest: Digest) -> Row:
    return Row((wording.problem(story.finding), words.lasted(story, digest)), "passed")


def _figure(figure: Figure) -> Row:
    title, *values = words.figure_row(figure)
    bad = figure.outcome not in (Outcome.PASSED, Outcome.SKIPPED)
    told = title.removeprefix(words.mark(figure))
    note = wording.plain(figure.note, 300) if bad or figure.now is None else ""
    return Row((told, *values), _tone(figure), wording.OUTCOMES[figure.outcome] if bad else "", note)


def _target(row: Target) -> Row:
    told = words.quantity(row.value, row.unit)
    bad = row.outcome not in (Outcome.PASSED, Outcome.SKIPPED)
    cells = (words.of(row.title, row.subject), told, wording.plain(row.limit, 120) or words.NOTHING)
    return Row(cells, _tone(row), wording.OUTCOMES[row.outcome] if bad else "", wording.plain(row.note, 300))


def _tone(row: Figure | Target) -> str:
    return "informs" if row.outcome is Outcome.SKIPPED else TONES[row.outcome]


def _uptime(title: str, today: Seen, period: Seen) -> Row:
    cells = (
        wording.plain(title, 80),
        f"{words.percent(today)}",
        f"{words.percent(period)}",
        f"{period.up:,} of {period.looks:,}",
    )
    return Row(cells, "passed" if period.up == period.looks else "warned")


def _look(look: Look, digest: Digest) -> Row:
    outcome = wording.WORST[look.verdict]
    cells = (wording.day_and_time(look.at, digest), wording.plural(look.systems, "system"))
    return Row(cells, TONES[outcome], wording.OUTCOMES[outcome])
