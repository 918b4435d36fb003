"""What a request for attestations, or a reminder, says: its bulletin."""

from __future__ import annotations

from tasks.core.asking import Asking, Wanted
from tasks.core.results import Outcome
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part
from tasks.reports.wording import plural


def bulletin(report: Asking) -> Bulletin:
    """Say which controls a person is to attest, until when, and how."""
    asked = report.until is not None
    until = f"{report.until:%a %d %b %Y %H:%M %Z}" if report.until is not None else ""
    names = ", ".join(one.control for one in report.wanted)
    how = "resume the run: its form takes one statement at a time" if asked else "state it anew by `attest-control`"
    return Bulletin(
        name=f"{wording.name_of(report)}, attestations",
        word="people are asked" if asked else "soon to lapse",
        verdict=report.verdict,
        sentence=f"{plural(len(report.wanted), 'control')} to attest"
        + (f" until {until}" if asked else "")
        + f": {names}",
        facts=(how, *report.notes),
        parts=(Part(title="To attest", lines=tuple(map(_line, report.wanted))),),
        platform=report.platform,
        flow=report.flow,
        id=report.id,
        environment=report.environment,
        finished=report.finished,
        made=wording.took(report),
        run_url=report.run_url,
    )


def _line(one: Wanted) -> Line:
    return Line(
        text=one.title,
        outcome=Outcome.WARNED,
        facts=(one.control, f"owner {one.owner}"),
        note=one.last or "nobody has stated it yet",
        remedy=one.remedy,
    )
