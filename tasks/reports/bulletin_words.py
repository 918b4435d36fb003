"""How a bulletin is said: every renderer takes its words from here."""

from __future__ import annotations

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line


def verdict_line(bulletin: Bulletin) -> str:
    """Say what it is and the verdict in a line."""
    icon = wording.ICONS[wording.WORST[bulletin.verdict]]
    return f"{icon} {wording.plain(bulletin.name, 120)}: {wording.plain(bulletin.word, 80)}"


def headline(bulletin: Bulletin) -> str:
    """Say the verdict and its numbers, or the worst thing, in a line for a locked phone."""
    problems = bulletin.problems
    said = bulletin.sentence or (in_short(problems[0]) if problems and bulletin.verdict is not Verdict.PASSED else "")
    return f"{verdict_line(bulletin)} · {wording.plain(said, 300)}" if said else verdict_line(bulletin)


def in_short(line: Line) -> str:
    """Say a line with its first fact."""
    return f"{line.text} ({line.facts[0]})" if line.facts else line.text


def facts(line: Line) -> str:
    """Join a line's facts."""
    return " · ".join(fact for fact in line.facts if fact)


def icon(outcome: Outcome | None) -> str:
    """Return the sign of an outcome with a space behind it, or nothing."""
    return f"{wording.ICONS[outcome]} " if outcome is not None else ""
