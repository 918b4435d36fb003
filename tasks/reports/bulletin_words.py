"""How a bulletin is said: every renderer takes its words from here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part


class Told(wording.Published, Protocol):
    """A kept result of a run."""

    @property
    def platform(self) -> str:
        """The platform's name."""
        ...

    @property
    def flow(self) -> str:
        """The flow that made it."""
        ...

    @property
    def id(self) -> str:
        """Unique; sorts by time."""
        ...

    @property
    def run_url(self) -> str | None:
        """Where the run is seen in the Prefect UI."""
        ...


def bulletin(
    result: Told,
    what: str,
    *,
    word: str,
    sentence: str,
    parts: Iterable[Part],
    facts: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> Bulletin:
    """Return a result's bulletin; parts with nothing in them are left out, and lateness is warned of.

    Args:
        result: What is told.
        what: What it is of the platform: `backup`, `drill complete-platform`.
        word: The verdict in a few words.
        sentence: The result in one sentence.
        parts: What it has to say, in order.
        facts: What holds for all of it.
        warnings: What must be known of it besides that it is late.
    """
    late = wording.lateness(result)
    return Bulletin(
        name=f"{wording.name_of(result)}, {what}",
        word=word,
        verdict=result.verdict,
        sentence=sentence,
        facts=facts,
        warnings=tuple(text for text in (late, *warnings) if text),
        parts=tuple(part for part in parts if part.lines or part.pictures or (part.table and part.table.rows)),
        platform=result.platform,
        flow=result.flow,
        id=result.id,
        environment=result.environment,
        finished=result.finished,
        made=wording.took(result),
        run_url=result.run_url,
    )


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


def code(line: Line, limit: int = 4_000) -> str:
    """Return a line's code without signs that do something; the newlines and the indents stay."""
    rows = (row.expandtabs(2) for row in line.code[:limit].splitlines())
    return "\n".join(row[: len(row) - len(row.lstrip(" "))] + wording.plain(row) for row in rows)


def icon(outcome: Outcome | None) -> str:
    """Return the sign of an outcome with a space behind it, or nothing."""
    return f"{wording.ICONS[outcome]} " if outcome is not None else ""
