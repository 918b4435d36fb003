"""Prefect artifacts: a markdown report, the rows of a table, and the keys that keep each in its own history."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from tasks.core.platform import PlatformSpec
from tasks.core.report import Report
from tasks.core.results import Finding, Outcome
from tasks.reports import wording

MOST_PROBLEMS = 50
MOST_ROWS = 500
LARGEST_CHART = 300_000
"""Bytes. Prefect refuses events above 1.5 MB, and base64 adds a third."""

_SPECIAL = re.compile(r"([\\`*_\[\]|~!])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(report: Report, platform: PlatformSpec | None = None, *, chart: bytes | None = None) -> str:
    """Return the report as GitHub markdown.

    Args:
        report: What to show.
        platform: Its spec, for response times and escalation.
        chart: A PNG to embed; one above 300 kB is left out, and the text says so.
    """
    return "\n".join(line for part in _parts(report, platform, chart) for line in (*part, "")).rstrip() + "\n"


def table(report: Report, platform: PlatformSpec | None = None) -> list[dict[str, str]]:
    """Return one flat row for each finding, worst first; the last row counts those beyond 500."""
    findings = wording.ranked(report.findings, platform)
    rows = [_row(finding, report) for finding in findings[:MOST_ROWS]]
    left = len(findings) - len(rows)
    if left:
        rows.append(dict.fromkeys(_COLUMNS, "") | {"what": f"and {left:,} more, in the HTML report"})
    return rows


def artifact_key(platform: str, flow: str) -> str:
    """Return the key under which Prefect keeps the history of an artifact: lower case, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{flow}-{platform}".lower()).strip("-")


def escape(text: str, limit: int = 1_000) -> str:
    """Return a text on one line that means nothing to markdown, to HTML or to a table."""
    return _SPECIAL.sub(r"\\\1", wording.plain(text, limit)).translate(_ENTITIES)


_COLUMNS = ("outcome", "severity", "system", "what", "observed", "limit", "since", "note")


def _row(finding: Finding, report: Report) -> dict[str, str]:
    since = wording.day_and_time(finding.since, report) if finding.since and finding.outcome.is_problem else ""
    values = (
        f"{wording.ICONS[finding.outcome]} {wording.OUTCOMES[finding.outcome]}",
        finding.severity or "",
        finding.system,
        wording.aspect(finding),
        wording.plain(finding.observed, 200),
        wording.plain(finding.limit, 200),
        since,
        wording.plain(finding.note, 500),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _parts(report: Report, platform: PlatformSpec | None, chart: bytes | None) -> Iterator[list[str]]:
    name, word = escape(wording.name_of(report)), wording.verdict_word(report)
    yield [f"# {wording.verdict_icon(report)} {name}: {word}"]
    yield [f"**{wording.counted(report)}** · {wording.scope(report)} · {wording.took(report)}"]
    if late := wording.lateness(report):
        yield [f"⏰ **{escape(late)}**"]
    if report.environment == "lab":
        yield ["> This report is about the embedded lab, not about production."]
    if report.problems and (call := wording.escalation(platform)):
        yield [f"Call {escape(call)}"]
    yield ["## What changed"]
    yield [escape(wording.change_line(report), 2_000)]
    yield from _problems(report, platform)
    yield from _chart(chart)
    yield from _unchecked(report)
    yield ["## Systems"]
    yield _systems(report)


def _problems(report: Report, platform: PlatformSpec | None) -> Iterator[list[str]]:
    problems = wording.ranked(report.problems, platform)
    if not problems:
        return
    yield ["## What to look at"]
    for finding in problems[:MOST_PROBLEMS]:
        yield list(_problem(finding, report, platform))
    if len(problems) > MOST_PROBLEMS:
        yield [f"… and {len(problems) - MOST_PROBLEMS:,} more, in the table artifact and in the HTML report."]


def _problem(finding: Finding, report: Report, platform: PlatformSpec | None) -> Iterator[str]:
    """Yield the lines of one problem as a list: Prefect's pages are too narrow for a table of it."""
    yield f"{wording.ICONS[finding.outcome]} **{escape(wording.brief(finding), 500)}**"
    yield ""
    facts = (
        wording.urgency(finding, platform),
        wording.versus(finding),
        wording.since(finding, report),
        wording.because(finding, report, platform),
    )
    if said := " · ".join(fact for fact in facts if fact):
        yield f"- {escape(said)}"
    if finding.note:
        yield f"- {escape(finding.note, 500)}"
    if finding.remedy:
        yield f"- What to do: {_linked(finding.remedy)}"


def _linked(text: str) -> str:
    address = wording.web_address(text)
    return f"[{escape(text)}]({address})" if address else escape(text, 300)


def _chart(chart: bytes | None) -> Iterator[list[str]]:
    if chart is None:
        return
    yield ["## How near the limits"]
    if len(chart) > LARGEST_CHART:
        yield ["The chart is too large to be kept here; it is in the HTML report."]
    else:
        yield [f"![How near each value is to its limit](data:image/png;base64,{base64.b64encode(chart).decode()})"]


def _unchecked(report: Report) -> Iterator[list[str]]:
    gaps = wording.unchecked(report)
    if gaps:
        yield ["## What was not checked"]
        yield [f"- **{escape(wording.listed(things, 8))}**: {escape(why)}" for why, things in gaps[:MOST_PROBLEMS]]


def _systems(report: Report) -> list[str]:
    rows = []
    for system in sorted(report.systems, key=lambda system: system.outcome.rank):
        passed = sum(finding.outcome is Outcome.PASSED for finding in system.findings)
        others = len(system.findings) - passed
        rows.append(
            (
                f"{wording.ICONS[system.outcome]} {wording.OUTCOMES[system.outcome]}",
                escape(system.title, 80),
                escape(system.kind),
                f"{passed:,}",
                f"{others:,}",
                f"{len(system.measurements):,}",
                f"{system.seconds:.1f} s",
            )
        )
    return grid(("", "System", "Kind", "Passed", "Not passed", "Measured", "Took"), rows)


def grid(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a table's lines; the cells are markdown already."""
    heads = tuple(heads)
    return [_line(heads), _line("---" for _ in heads), *(_line(row) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
