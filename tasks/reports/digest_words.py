"""How a digest is said: every renderer takes its words from here. Plain texts, to be escaped by each renderer."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.core.digest import Budget, Digest, Figure, Story, Target, change
from tasks.core.history import Seen
from tasks.core.platform import PlatformSpec
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import Unit, format_quantity
from tasks.reports import wording

NOTHING = "–"  # noqa: RUF001 - an en dash stands in an empty cell
BUSINESS_HEADS = ("", "today", "yesterday", "last week", "target")
_WORDS = {
    Verdict.FAILED: "problems in the evening",
    Verdict.UNKNOWN: "could not tell",
    Verdict.WARNED: "warnings in the evening",
    Verdict.PASSED: "a green day",
}


def date_of(digest: Digest) -> str:
    """Write the day: `Wed 25 Nov 2026`."""
    return f"{digest.day:%a} {digest.day.day} {digest.day:%b %Y}"


def name_of(digest: Digest) -> str:
    """Name platform and day; the embedded lab is always marked."""
    return f"{wording.name_of(digest)}, {date_of(digest)}"


def verdict_word(digest: Digest) -> str:
    """Say the verdict in a few words."""
    return "no check ran" if not digest.looks else _WORDS[digest.verdict]


def verdict_line(digest: Digest) -> str:
    """Say platform, day and verdict in a line."""
    return f"{wording.verdict_icon(digest)} {name_of(digest)}: {verdict_word(digest)}"


def headline(digest: Digest, platform: PlatformSpec | None = None) -> str:
    """Say platform, verdict, numbers and the worst thing in one line, for a notification on a locked phone."""
    line = f"{verdict_line(digest)} ({counted(digest)})"
    standing = ranked(digest.standing, platform)
    return f"{line} · {wording.in_short(standing[0].finding)}" if standing else line


def groups(digest: Digest) -> list[tuple[str, tuple[Story, ...]]]:
    """Return the day's problems, most urgent first: a few words, and the problems."""
    told = [
        ("new", digest.new),
        ("could not be looked at again", digest.unseen),
        ("still there", digest.persisting),
        ("silenced", digest.silenced),
        ("resolved", digest.resolved),
    ]
    return [(words, stories) for words, stories in told if stories]


def counted(digest: Digest) -> str:
    """Say how many problems are new, still there and resolved."""
    nothing = "nothing new" if digest.looks else "what is new is not known"
    return ", ".join(f"{len(stories):,} {words}" for words, stories in groups(digest)) or nothing


def ranked(stories: Iterable[Story], platform: PlatformSpec | None = None) -> list[Story]:
    """Sort problems worst first, a cause before what depends on it."""
    by_id = {id(story.finding): story for story in stories}
    return [by_id[id(finding)] for finding in wording.ranked((s.finding for s in by_id.values()), platform)]


def silenced(digest: Digest) -> list[tuple[str, list[str]]]:
    """Return the problems that nobody is notified of: each reason with the problems that it holds for."""
    reasons: dict[str, list[str]] = {}
    for story in digest.silenced:
        if story.finding.quiet is not None:
            why = wording.plain(story.finding.quiet.text, 200)
            reasons.setdefault(why, []).append(wording.problem(story.finding))
    return list(reasons.items())


def lasted(story: Story, digest: Digest) -> str:
    """Say for how long: `for 3 days, since Sun 22 Nov 09:00 UTC`, `today 09:00 UTC to today 14:00 UTC`."""
    began = wording.day_and_time(story.began, digest)
    if story.ended is not None:
        return f"{began} to {wording.day_and_time(story.ended, digest)}"
    return f"for {wording.plural(story.days, 'day')}, since {began}" if story.days > 1 else f"since {began}"


def looks(digest: Digest) -> str:
    """Say how often the platform was checked, and when it was last."""
    if not digest.looks:
        return f"No health check ran since {wording.day_and_time(digest.since, digest)}"
    last = wording.day_and_time(digest.looks[-1].at, digest)
    return f"{wording.plural(len(digest.looks), 'check')}, the last {last}"


def missed(digest: Digest) -> str:
    """Name what no check of the day looked at, or nothing."""
    if not digest.looks or not digest.missed:
        return ""
    return f"Not looked at all day: {wording.listed(digest.missed, 8)}"


def unchecked(digest: Digest) -> list[tuple[str, list[str]]]:
    """Return what the day's checks could not measure: each reason with the things that it holds for."""
    reasons: dict[str, list[str]] = {}
    for finding in digest.unchecked:
        reasons.setdefault(wording.plain(finding.note or "no reason given", 200), []).append(wording.topic(finding))
    return list(reasons.items())


def quantity(value: float | None, unit: Unit | None) -> str:
    """Write a value for a person, or a dash."""
    return NOTHING if value is None or unit is None else format_quantity(value, unit)


def trend(now: float | None, then: float | None, unit: Unit) -> str:
    """Say a change: `+12%`, for a ratio `+1.2 points`, or nothing where there is none to tell."""
    share = change(now, then)
    if now is None or then is None or share is None:
        return ""
    text = f"{(now - then) * 100:+.1f} points" if unit is Unit.RATIO else f"{share:+.0%}"
    if float(text.split(maxsplit=1)[0].rstrip("%")) == 0:
        return "±0"
    return text.replace("-", "−")  # noqa: RUF001 - a minus sign


def figure_row(figure: Figure) -> tuple[str, str, str, str, str]:
    """Return a business metric as the cells under `BUSINESS_HEADS`."""
    return (
        f"{mark(figure)}{of(figure.title, figure.subject)}",
        quantity(figure.now, figure.unit),
        _past(figure, figure.yesterday),
        _past(figure, figure.last_week),
        wording.plain(figure.limit, 60) or NOTHING,
    )


def _past(figure: Figure, value: float | None) -> str:
    """Write what was, and how it has changed since."""
    told = trend(figure.now, value, figure.unit)
    return f"{quantity(value, figure.unit)} ({told})" if told else quantity(value, figure.unit)


def mark(row: Figure | Target) -> str:
    """Return the sign of a row that is not well, with a space, or nothing."""
    return "" if row.outcome in (Outcome.PASSED, Outcome.SKIPPED) else f"{wording.ICONS[row.outcome]} "


def target_line(row: Target) -> str:
    """Say an objective or a backup's age against its target."""
    name = of(row.title, row.subject)
    if row.outcome in (Outcome.ERRORED, Outcome.NOT_CHECKED) or not row.observed:
        said = f"{name}: {wording.OUTCOMES[row.outcome]}"
        return f"{said} ({wording.plain(row.note, 120)})" if row.note else said
    limit = f" ({wording.plain(row.limit, 80)})" if row.limit else ""
    return f"{name}: {wording.plain(row.observed, 60)}{limit}"


def of(title: str, subject: str) -> str:
    """Join a title and its subject."""
    return wording.plain(f"{title} {subject}".strip(), 80)


def objectives_line(digest: Digest) -> str:
    """Say in a few words how many objectives are met, or nothing where the spec names none."""
    if not digest.objectives:
        return ""
    met = sum(row.outcome is Outcome.PASSED for row in digest.objectives)
    return f"{met} of {wording.plural(len(digest.objectives), 'objective')} met"


def budget_line(budget: Budget) -> str:
    """Say what is left of an error budget."""
    name = wording.plain((budget.subject or budget.system).replace("_", " "), 80)
    return f"{name}: {format_quantity(budget.left, Unit.RATIO)} of the error budget is left"


def uptime_line(digest: Digest) -> str:
    """Say how often the systems answered over 30 days, the worst named, or nothing where nobody looked."""
    total = sum((row.period for row in digest.uptime), Seen())
    if total.share is None:
        return ""
    line = f"Up in {percent(total)} of {total.looks:,} looks over 30 days"
    down = [row for row in digest.uptime if row.period.up < row.period.looks]
    down.sort(key=lambda row: row.period.share or 0)
    worst = [f"{row.system} {percent(row.period)}" for row in down]
    return f"{line} ({wording.listed(worst)})" if worst else line


def percent(seen: Seen) -> str:
    """Write the share of looks in which a system was up; never 100% where it was down once."""
    if seen.share is None:
        return NOTHING
    text = f"{seen.share:.1%}"
    return "99.9%" if text == "100.0%" and seen.up < seen.looks else text.replace(".0%", "%")


def backups_line(digest: Digest) -> str:
    """Say how old the newest copies are, in a line, or nothing."""
    return "; ".join(f"{mark(row)}{target_line(row)}" for row in digest.backups)
