"""What a request for attestations, or a reminder, says: its bulletin."""

from __future__ import annotations

from tasks.core.asking import Asking, Wanted
from tasks.core.results import Outcome
from tasks.reports import bulletin_words as words
from tasks.reports.bulletin import Bulletin, Line, Part
from tasks.reports.wording import plural


def bulletin(report: Asking) -> Bulletin:
    """Say which controls a person is to attest, until when, and how."""
    asked = report.until is not None
    until = f" until {report.until:%a %d %b %Y %H:%M %Z}" if report.until is not None else ""
    names = ", ".join(one.control for one in report.wanted)
    how = "resume the run: its form takes one statement at a time" if asked else "state it anew by `attest-control`"
    return words.bulletin(
        report,
        "attestations",
        word="people are asked" if asked else "soon to lapse",
        sentence=f"{plural(len(report.wanted), 'control')} to attest{until}: {names}",
        facts=(how, *report.notes),
        parts=(Part(title="To attest", lines=tuple(map(_line, report.wanted))),),
    )


def _line(one: Wanted) -> Line:
    return Line(
        text=one.title,
        outcome=Outcome.WARNED,
        facts=(one.control, f"owner {one.owner}"),
        note=one.last or "nobody has stated it yet",
        remedy=one.remedy,
    )
