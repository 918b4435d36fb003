"""The summary of a report for a terminal, as rich renderables; it reads the same without colour, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Outcome
from tasks.core.units import format_duration
from tasks.reports import wording

STYLES = {
    Outcome.FAILED: "bold red",
    Outcome.ERRORED: "bold magenta",
    Outcome.WARNED: "yellow",
    Outcome.NOT_CHECKED: "bright_black",
    Outcome.SKIPPED: "bright_black",
    Outcome.PASSED: "green",
}
_MARKS = {
    Outcome.FAILED: "FAIL",
    Outcome.ERRORED: "?",
    Outcome.WARNED: "WARN",
    Outcome.NOT_CHECKED: "-",
    Outcome.SKIPPED: "SKIP",
    Outcome.PASSED: "ok",
}
MARK_WIDTH = 6
MOST_PROBLEMS = 40


def render(report: Report, platform: PlatformSpec | None = None) -> RenderableType:
    """Return the whole summary: verdict, changes, problems worst first, what passed, what was not checked."""
    return Group(*_parts(report, platform))


def system_line(system: SystemReport) -> Text:
    """Return one line for a system whose check has just ended, for live progress."""
    numbers = [
        f"{count:,} {wording.OUTCOMES[outcome]}"
        for outcome in Outcome
        if (count := sum(finding.outcome is outcome for finding in system.findings))
    ]
    return Text.assemble(
        mark(system.outcome),
        (f"{system.name}", "bold"),
        f" {system.kind}  ",
        ", ".join(numbers) or "nothing to judge",
        (f"  {format_duration(system.seconds)}", "bright_black"),
    )


def _parts(report: Report, platform: PlatformSpec | None) -> Iterator[RenderableType]:
    style = STYLES[wording.WORST[report.verdict]]
    word = wording.verdict_word(report)
    yield Text(f"{wording.name_of(report)}: {word}", style)
    numbers = wording.scope(report)
    yield Text(numbers if word == wording.ALL_GREEN else f"{wording.counted(report)} · {numbers}")
    yield Text(wording.took(report), "bright_black")
    if late := wording.lateness(report):
        yield Text(late, "yellow")
    yield Text(wording.change_line(report))
    yield Text()
    lines = Table.grid(expand=False)
    lines.add_column(width=MARK_WIDTH)
    lines.add_column(overflow="fold")
    for outcome, text in _lines(report, platform):
        lines.add_row(Text(*mark(outcome)) if outcome else "", text)
    yield lines


def _lines(report: Report, platform: PlatformSpec | None) -> Iterator[tuple[Outcome | None, Text]]:
    """Yield each line with the mark that stands before it, if any."""
    problems = wording.ranked(report.problems, platform)
    for finding in problems[:MOST_PROBLEMS]:
        yield finding.outcome, Text(wording.brief(finding), STYLES[finding.outcome])
        yield from ((None, text) for text in _facts(finding, report, platform))
    if len(problems) > MOST_PROBLEMS:
        yield None, Text(f"… and {len(problems) - MOST_PROBLEMS:,} more problems; --json and --html have them all")
    if report.verdict is Verdict.FAILED and (call := wording.escalation(platform)):
        yield None, Text.assemble(("Call ", "bold"), call)
    for system in report.systems:
        if passed := wording.passed_only(system):
            yield Outcome.PASSED, _green(system, passed)
    for why, things in wording.unchecked(report):
        yield Outcome.NOT_CHECKED, Text.assemble((wording.listed(things, 6), "bold"), f" not checked: {why}")


def _facts(finding: Finding, report: Report, platform: PlatformSpec | None) -> Iterator[Text]:
    facts = [wording.urgency(finding, platform), wording.versus(finding), wording.since(finding, report)]
    facts.append(wording.because(finding, report, platform))
    for text in (" · ".join(fact for fact in facts if fact), wording.plain(finding.note, 400)):
        if text:
            yield Text(text)
    if finding.remedy:
        yield Text(f"→ {wording.plain(finding.remedy, 300)}", "cyan")


def _green(system: SystemReport, passed: int) -> Text:
    took = format_duration(system.seconds)
    return Text.assemble((system.name, "bold"), f" {system.kind}  {passed} passed  ", (took, "bright_black"))


def mark(outcome: Outcome) -> tuple[str, str]:
    """Return an outcome's mark and its style."""
    return _MARKS[outcome].ljust(MARK_WIDTH), STYLES[outcome]
