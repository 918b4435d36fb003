"""Bulletins from all well to hostile, as a drill or a checklist would make them."""

from __future__ import annotations

from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table
from tests.golden.reports import NOW

_HOSTILE = "<script>alert(1)</script> `rm` | **bold** \u202eevil \x1b[31mred & <!channel> @here"


def bulletin(verdict: Verdict, word: str, *parts: Part, **more: object) -> Bulletin:
    """Make a bulletin of a platform with a run's address."""
    values: dict[str, object] = {
        "name": "SIGN X Studio, drill",
        "made": "Sun 22 Nov 2026, 09:14 CET, took 14 min",
        "platform": "apex",
        "flow": "dr-drill",
        "id": "apex-dr-drill-20261122T080000Z-1a2b3c",
        "finished": NOW,
        "run_url": "http://127.0.0.1:4200/runs/flow-run/1",
    }
    return Bulletin(verdict=verdict, word=word, parts=parts, **(values | more))  # type: ignore[arg-type]


def well() -> Bulletin:
    """Everything came back in time."""
    times = Table(
        heads=("System", "Fetch", "Restore", "Verify"),
        rows=(Row(cells=("database", "40 s", "3 min 10 s", "1 min"), outcome=Outcome.PASSED),),
    )
    return bulletin(
        Verdict.PASSED,
        "would be back in time",
        Part(
            title="Objectives",
            lines=(
                Line(text="RTO", outcome=Outcome.PASSED, facts=("14 min 20 s", "target 4 h")),
                Line(text="RPO", outcome=Outcome.PASSED, facts=("3 min 5 s", "target 15 min")),
            ),
        ),
        Part(title="Phases", table=times, aside=True),
        sentence="SIGN X Studio would be back in 14 min 20 s having lost 3 min 5 s; targets 4 h / 15 min",
        facts=("restore point 20261122T020000Z-9f31c07a",),
    )


def bad() -> Bulletin:
    """One thing failed, one could not be told, one was not covered."""
    return bulletin(
        Verdict.FAILED,
        "would not be back",
        Part(
            title="Assertions",
            lines=(
                Line(text="rows of projects", outcome=Outcome.PASSED, facts=("1,200", "at least 1")),
                Line(
                    text="rows of project_payloads",
                    outcome=Outcome.FAILED,
                    facts=("0", "at least 1"),
                    note="The table is there and empty.",
                    remedy="Take a backup now, and look at what emptied it.",
                ),
                Line(text="smoke test", outcome=Outcome.ERRORED, note="pytest is not installed on this worker."),
                Line(text="cluster", outcome=Outcome.NOT_CHECKED, note="the lab has no second cluster"),
            ),
        ),
        sentence="SIGN X Studio would not be back: project_payloads is empty",
        warnings=("Ran 2 h late",),
        environment="lab",
    )


def hostile() -> Bulletin:
    """Texts that mean something to markdown, Slack, HTML and terminals; many of them."""
    lines = tuple(
        Line(
            text=f"{number} {_HOSTILE}", outcome=Outcome.FAILED, facts=(_HOSTILE,), note=_HOSTILE * 40, remedy=_HOSTILE
        )
        for number in range(120)
    )
    rows = tuple(Row(cells=(_HOSTILE, _HOSTILE), outcome=Outcome.WARNED, note=_HOSTILE) for _ in range(700))
    return bulletin(
        Verdict.FAILED,
        _HOSTILE,
        Part(title=_HOSTILE, lines=lines, table=Table(heads=(_HOSTILE, "b"), rows=rows)),
        sentence=_HOSTILE,
        run_url="javascript:alert(1)",
    )


BULLETINS = {"well": well, "bad": bad, "hostile": hostile}
