"""The HTML report: one file, no script, nothing fetched, for a phone, a desk and paper, by day and by night."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport
from tasks.core.results import Finding, Measurement, Outcome
from tasks.core.units import Unit, format_duration, format_quantity
from tasks.reports import scale, svg, wording

_LONGEST_NOTE, _NOTE_IN_ROW = 2_000, 300
TONES = {
    Outcome.FAILED: "failed",
    Outcome.ERRORED: "errored",
    Outcome.WARNED: "warned",
    Outcome.NOT_CHECKED: "unchecked",
    Outcome.SKIPPED: "unchecked",
    Outcome.PASSED: "passed",
}


@dataclass(frozen=True)
class Row:
    """One measurement or finding as the page shows it."""

    name: str
    subject: str
    value: str
    more: str
    limit: str
    tone: str
    word: str
    bar: Markup
    spark: Markup


@dataclass(frozen=True)
class Problem:
    """One thing that a person should look at."""

    what: str
    facts: str
    note: str
    remedy: str
    link: str
    tone: str
    word: str
    bar: Markup


@dataclass(frozen=True)
class Card:
    """One system."""

    name: str
    title: str
    kind: str
    tone: str
    word: str
    seconds: str
    share: Markup
    rows: list[Row]
    fine: list[str]
    informing: list[Row]


def render(report: Report, platform: PlatformSpec | None = None) -> str:
    """Return the report as one HTML page that needs no network and no script.

    Args:
        report: What to show.
        platform: Its spec, for response times and escalation.
    """
    problems = wording.ranked(report.problems, platform)
    longest = max((system.seconds for system in report.systems), default=0.0) or 1.0
    return template("report.html.jinja").render(
        report=report,
        words=wording,
        name=wording.plain(report.title, 80),
        tone=TONES[wording.WORST[report.verdict]],
        tally=[(TONES[o], f"{report.counts[o]:,}", wording.OUTCOMES[o]) for o in Outcome if report.counts[o]],
        changes=[(words, [wording.problem(finding) for finding in found]) for words, found in wording.changed(report)],
        problems=[_problem(finding, report, platform) for finding in problems],
        cards=[_card(system, longest) for system in sorted(report.systems, key=lambda system: system.outcome.rank)],
        unchecked=wording.unchecked(report),
        call=wording.escalation(platform) if problems else "",
        started=_time(report.started, report),
        finished=_time(report.finished, report),
        url=wording.web_address(report.run_url or ""),
    )


@cache
def template(name: str) -> Template:
    """Return one of the templates beside this module; what is put into it is escaped."""
    environment = Environment(
        loader=PackageLoader("tasks.reports", package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _problem(finding: Finding, report: Report, platform: PlatformSpec | None) -> Problem:
    return Problem(
        what=wording.brief(finding),
        facts=_joined(
            wording.urgency(finding, platform),
            wording.versus(finding),
            wording.since(finding, report),
            wording.because(finding, report, platform),
        ),
        note=wording.plain(finding.note, _LONGEST_NOTE),
        remedy=wording.plain(finding.remedy, _LONGEST_NOTE),
        link=wording.web_address(finding.remedy),
        tone=TONES[finding.outcome],
        word=wording.OUTCOMES[finding.outcome],
        bar=_bar(finding),
    )


def _card(system: SystemReport, longest: float) -> Card:
    took = format_duration(system.seconds)
    judged = {(finding.measurement, finding.subject) for finding in system.findings}
    fine = [finding for finding in system.findings if _plainly_fine(finding)]
    return Card(
        name=system.name,
        title=wording.plain(system.title, 80),
        kind=system.kind,
        tone=TONES[system.outcome],
        word=wording.OUTCOMES[system.outcome],
        seconds=took,
        share=svg.plain_bar(system.seconds / longest, f"{system.name} took {took}"),
        rows=list(_rows(system)),
        fine=[wording.aspect(finding) for finding in fine],
        informing=[_informing(m) for m in system.measurements if (m.name, m.subject) not in judged],
    )


def _plainly_fine(finding: Finding) -> bool:
    """Tell whether a finding is a passed yes without a remark: all such share one line."""
    return finding.outcome is Outcome.PASSED and finding.observed == "yes" and not finding.note


def _rows(system: SystemReport) -> Iterator[Row]:
    """Yield a system's findings, worst first, but for those that share a line."""
    measured = {(reading.name, reading.subject): reading for reading in system.measurements}
    for finding in sorted(system.findings, key=lambda finding: finding.outcome.rank):
        if not _plainly_fine(finding):
            yield _judged(finding, measured.get((finding.measurement, finding.subject)))


def _judged(finding: Finding, reading: Measurement | None) -> Row:
    tone = TONES[finding.outcome]
    return Row(
        name=wording.aspect(finding.model_copy(update={"subject": ""})),
        subject=wording.plain(finding.subject, 120),
        value=wording.plain(finding.observed, 120),
        more=wording.plain(finding.note, _NOTE_IN_ROW),
        limit="" if finding.unit is Unit.YES_NO else wording.plain(finding.limit, 120),
        tone=tone,
        word=wording.OUTCOMES[finding.outcome],
        bar=_bar(finding),
        spark=_spark(reading, tone, finding.bound) if reading else Markup(),
    )


def _informing(reading: Measurement) -> Row:
    return Row(
        name=reading.name.replace("_", " "),
        subject=wording.plain(reading.subject, 120),
        value=wording.plain(reading.text, 120),
        more=wording.plain(reading.note, _NOTE_IN_ROW),
        limit="",
        tone="informs",
        word="",
        bar=Markup(),
        spark=_spark(reading, "informs", None),
    )


def _bar(finding: Finding) -> Markup:
    share = scale.share(finding)
    if share is None:
        return Markup()
    return svg.bar(share, TONES[finding.outcome], f"{wording.topic(finding)}: {scale.said(share)}")


def _spark(reading: Measurement, tone: str, bound: float | None) -> Markup:
    values = [sample.value for sample in reading.series if math.isfinite(sample.value)]
    if not values:
        return Markup()
    low, high = (format_quantity(value, reading.unit) for value in (min(values), max(values)))
    label = f"history of {reading.name.replace('_', ' ')}: lowest {low}, highest {high}, now {reading.text}"
    return svg.sparkline(reading.series, tone, label, bound)


def _joined(*facts: str) -> str:
    return " · ".join(fact for fact in facts if fact)


def _time(at: datetime, report: Report) -> str:
    return wording.moment(at, ZoneInfo(report.timezone))
