"""What a capacity plan says: what runs out first, a chart for each that does, the rest, how good the last plan was."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from tasks.core.advice.model import Wrong
from tasks.core.capacity import CapacityReport, Outlook
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import format_quantity
from tasks.reports import advice_words, wording
from tasks.reports import bulletin_words as words
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table
from tasks.reports.capacity_charts import chart

_MOST_CHARTS = 6
_HEADS = ("Measurement", "Now", "Bound", "When", "In 30 days and at the end", "Error, held")
_WORDS = {
    Verdict.FAILED: "something runs out within a week",
    Verdict.UNKNOWN: "nothing could be judged",
    Verdict.WARNED: "something runs out",
    Verdict.PASSED: "nothing runs out",
}


def bulletin(report: CapacityReport) -> Bulletin:
    """Say all that a capacity plan has to say."""
    return words.bulletin(
        report,
        "capacity",
        word=_word(report),
        sentence=sentence(report),
        facts=tuple(_facts(report)),
        parts=_parts(report),
    )


def _word(report: CapacityReport) -> str:
    """Say the verdict in a few words; where nothing runs out, that something is to be done."""
    if report.verdict is Verdict.WARNED and not any(one.outcome.is_problem for one in report.outlooks):
        return "something is to be done" if report.advice else "not all could be looked at"
    return _WORDS[report.verdict]


def sentence(report: CapacityReport) -> str:
    """Say what runs out first, and when."""
    first = next((one for one in report.outlooks if one.outcome.is_problem and one.pressing), None)
    if first is None or first.pressing is None:
        if report.verdict is Verdict.UNKNOWN:
            return "No measurement has a history that can be forecast yet."
        return f"Nothing reaches a bound within {report.horizon_days:.0f} days{advice_words.in_short(report)}."
    others = sum(one.outcome.is_problem for one in report.outlooks) - 1
    more = (f"; {wording.plural(others, 'other')} too" if others else "") + advice_words.in_short(report)
    return f"{wording.plain(first.key, 100)} reaches {first.pressing.limit}: {first.pressing.text}{more}"


def _facts(report: CapacityReport) -> Iterator[str]:
    judged = [one for one in report.outlooks if one.outcome is not Outcome.NOT_CHECKED]
    yield f"{wording.plural(len(judged), 'measurement')} looked ahead by {report.horizon_days:.0f} days"
    yield from advice_words.facts(report)
    if unfit := len(report.outlooks) - len(judged):
        yield f"{unfit:,} could not be judged"
    moments = sum(one.moments for one in report.grades)
    if moments:
        covered = sum(one.covered for one in report.grades)
        yield f"the plan before held {covered / moments:.0%} of {moments:,} moments inside its 80% intervals"
    if lost := [one for one in report.grades if one.lost]:
        yield f"it lost to seasonal naive on {len(lost)} of {wording.plural(len(report.grades), 'measurement')}"


def _parts(report: CapacityReport) -> Iterator[Part]:
    yield advice_words.month(report)
    zone = ZoneInfo(report.timezone)
    bad = [one for one in report.outlooks if one.outcome.is_problem]
    wrong = {one.key: one for one in report.wrong}
    drawn = [one for one in bad if one.history and one.ahead][:_MOST_CHARTS]
    notes = tuple(Line(text=note, outcome=Outcome.WARNED) for note in report.notes)
    yield Part(
        title="What runs out",
        lines=(*(_line(one, wrong.get(one.key)) for one in bad), *notes),
        pictures=tuple(chart(one, zone, report.happenings) for one in drawn),
    )
    yield from advice_words.parts(report)
    judged = [one for one in report.outlooks if one.outcome is not Outcome.NOT_CHECKED]
    yield Part(title="Everything, by urgency", table=Table(heads=_HEADS, rows=tuple(map(_row, judged))), aside=True)
    yield Part(title="How the plan before did", lines=tuple(_grades(report)), aside=True)
    unfit = (one for one in report.outlooks if one.outcome is Outcome.NOT_CHECKED)
    yield Part(
        title="Could not be judged",
        lines=(
            *(Line(text=one.key, outcome=Outcome.NOT_CHECKED, note=one.unfit) for one in unfit),
            *advice_words.unjudged(report),
        ),
        aside=True,
    )


def _line(one: Outlook, wrong: Wrong | None) -> Line:
    pressing = one.pressing
    facts = (
        f"now {one.observed}",
        *(f"{reached.limit} {reached.text}" for reached in one.reached if reached.state != "not within the horizon"),
    )
    text = f"{one.key} reaches {pressing.limit}: {pressing.text}" if pressing else one.key
    note = advice_words.if_wrong(wrong) if wrong is not None else ""
    return Line(text=text, outcome=one.outcome, facts=facts, note=note, remedy=one.remedy)


def _row(one: Outlook) -> Row:
    pressing = one.pressing
    quality = "" if one.mase is None else f"{one.mase:.2f}"
    if one.coverage is not None:
        quality += f", {one.coverage:.0%}"
    if one.yields:
        quality += ", naive"
    cells = (
        one.key,
        one.observed,
        pressing.limit if pressing else "none",
        pressing.text if pressing else "",
        " → ".join(_expected(one)),
        quality,
    )
    return Row(cells=cells, outcome=one.outcome)


def _expected(one: Outlook) -> Iterator[str]:
    if not one.ahead:
        return
    first, last = one.ahead[0].at, one.ahead[-1]
    month = min(one.ahead, key=lambda point: abs((point.at - first).total_seconds() - 30 * 86400))
    for point in (month, last) if month is not last else (last,):
        low, high = format_quantity(point.low, one.unit), format_quantity(point.high, one.unit)
        yield f"{format_quantity(point.value, one.unit)} ({low} to {high})"


def _grades(report: CapacityReport) -> Iterator[Line]:
    units = {one.key: one.unit for one in report.outlooks}
    for one in report.grades:
        wrong = {"false": "an alarm was false", "missed": "an alarm was missed", "": ""}[one.alarm]
        outcome = Outcome.WARNED if one.alarm else None
        off = format_quantity(one.error, units[one.key]) if one.key in units else f"{one.error:.4g}"
        lost = "seasonal naive was better" if one.lost else ""
        facts = (f"off by {off}", f"{one.covered} of {one.moments} inside", lost, wrong)
        yield Line(text=one.key, outcome=outcome, facts=tuple(fact for fact in facts if fact))
