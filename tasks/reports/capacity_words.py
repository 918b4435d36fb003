"""What a capacity plan says: what runs out first, when and what to do; then advice, charts, and all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from tasks.core.advice.model import When, Wrong
from tasks.core.capacity import CapacityReport, Outlook, urgency
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.units import Unit, format_quantity
from tasks.reports import advice_words, wording
from tasks.reports import bulletin_words as words
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table
from tasks.reports.capacity_charts import chart
from tasks.reports.capacity_dates import Dates, telling

_MOST_CHARTS = 6
_FOLLOW = 3
_HEADS = ("Measurement", "Now", "Bound", "Reached", "In 30 days and at the end", "Error, inside")
_SOME, _MOST = 0.1, 0.98
_BADGES = {Outcome.FAILED: "within a week", Outcome.WARNED: "runs out", Outcome.PASSED: "fine"}
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
    """Say what runs out first, when, and what to do first."""
    bad = _running_out(report)
    if not bad:
        if report.verdict is Verdict.UNKNOWN:
            return "No measurement has a history that can be forecast yet."
        return f"Nothing reaches a bound within {report.horizon_days:.0f} days{advice_words.in_short(report)}."
    return " ".join((f"{_reaches(bad[0], Dates(report))}.", *_first(report)))


def _running_out(report: CapacityReport) -> list[Outlook]:
    """Return what reaches a bound, soonest first, as the dates that are told have it."""
    found = [one for one in report.outlooks if one.outcome.is_problem and one.pressing]
    return sorted(found, key=lambda one: (one.outcome.rank, urgency(telling(one))))


def _reaches(one: Outlook, dates: Dates) -> str:
    """Say which bound is reached, and when: `Memory of worker in apex: 100% of its limit on Tue 1 Dec, in 5 days`."""
    reached = telling(one)
    beyond = "beyond " if reached.state == "already" else ""
    said = f"{wording.plain(advice_words.heading(one), 120)}: {beyond}{one.amount(reached.limit)} {dates.on(reached)}"
    return said.rstrip()


def _facts(report: CapacityReport) -> Iterator[str]:
    yield from _then(report)
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


def _then(report: CapacityReport) -> Iterator[str]:
    """Say what runs out after the first."""
    bad, dates = _running_out(report)[1:], Dates(report)
    later = [f"{wording.plain(one.called, 100)} ({dates.day(telling(one))})" for one in bad[:_FOLLOW]]
    more = [f"{len(bad) - _FOLLOW} more"] if len(bad) > _FOLLOW else []
    if later:
        yield f"Then: {', '.join(later + more)}"


def _first(report: CapacityReport) -> Iterator[str]:
    """Say what to do first: what is advised at once, else the remedy of what runs out first, else what is advised."""
    soon = [one for one in report.advice if one.when is not When.LATER]
    remedy = next((one.remedy for one in _running_out(report)[:1]), "")
    if soon and (soon[0].when is When.NOW or not remedy):
        more = f" {wording.plural(len(soon) - 1, 'other thing')} to do this month." if len(soon) > 1 else ""
        yield f"Do first: {wording.plain(soon[0].called, 100)}: {wording.plain(soon[0].do, 300)}.{more}"
    elif remedy:
        more = f" {wording.plural(len(soon), 'other thing')} to do this month." if soon else ""
        yield f"Do first: {wording.plain(remedy, 300)}{more}"


def _parts(report: CapacityReport) -> Iterator[Part]:
    dates, zone = Dates(report), ZoneInfo(report.timezone)
    undated = [one for one in report.outlooks if one.outcome.is_problem and not one.pressing]
    bad = [*_running_out(report), *undated]
    wrong = {one.key: one for one in report.wrong}
    drawn = [one for one in bad if one.history and one.ahead][:_MOST_CHARTS]
    notes = tuple(Line(text=note, outcome=Outcome.WARNED) for note in report.notes)
    lines = (_line(one, dates, wrong.get(one.key)) for one in bad)
    yield Part(title="What runs out, soonest first", lines=(*lines, *notes))
    yield advice_words.month(report)
    yield Part(title="Charts", pictures=tuple(chart(one, zone, dates, report.happenings) for one in drawn))
    yield from advice_words.parts(report)
    costs = (
        Line(text=advice_words.heading(one), note=advice_words.if_wrong(wrong[one.key]))
        for one in bad
        if one.key in wrong
    )
    yield Part(title="If a date is wrong", lines=tuple(costs), aside=True)
    judged = [one for one in report.outlooks if one.outcome is not Outcome.NOT_CHECKED]
    rows = tuple(_row(one, dates) for one in judged)
    yield Part(title="Everything, by urgency", table=Table(heads=_HEADS, rows=rows, wraps=True), aside=True)
    yield Part(title="How the plan before did", lines=tuple(_grades(report)), aside=True)
    blank = [(one.called, one.unfit) for one in report.outlooks if one.outcome is Outcome.NOT_CHECKED]
    blank += [(one.called, one.reason) for one in report.unjudged]
    yield Part(title="Could not be judged", lines=tuple(_unjudged(blank)), aside=True)


def _unjudged(blank: Iterable[tuple[str, str]]) -> Iterator[Line]:
    """Yield each reason once, with all that could not be judged for it."""
    named: dict[str, list[str]] = {}
    for name, reason in blank:
        named.setdefault(reason, []).append(name)
    for reason, names in named.items():
        yield Line(text=", ".join(dict.fromkeys(names)), outcome=Outcome.NOT_CHECKED, note=reason)


def _line(one: Outlook, dates: Dates, wrong: Wrong | None) -> Line:
    if one.pressing is None:
        return Line(text=advice_words.heading(one), outcome=one.outcome, remedy=one.remedy)
    said = telling(one)
    others = (
        f"{reached.limit} {dates.on(reached)}"
        for reached in one.reached
        if reached is not said and reached.state == "within the horizon"
    )
    late = wrong is not None and wrong.overdue
    begin = "begin today" if late else f"begin {dates.by(wrong.act_by)}" if wrong and wrong.act_by else ""
    facts = (f"now {one.amount(_rounded(one))}", *others, dates.interval(said), begin)
    return Line(
        text=_reaches(one, dates),
        outcome=one.outcome,
        badge=_BADGES.get(one.outcome, ""),
        facts=tuple(fact for fact in facts if fact),
        remedy=one.remedy,
    )


def _rounded(one: Outlook) -> str:
    """Write what it is now as exactly as a person wants it: whole percents, where none is lost by it."""
    return f"{one.now:.0%}" if one.unit is Unit.RATIO and one.now and _SOME <= one.now <= _MOST else one.quantity


def _row(one: Outlook, dates: Dates) -> Row:
    pressing = one.pressing
    quality = [] if one.mase is None else [f"{one.mase:.2f}"]
    quality += [] if one.coverage is None else [f"{one.coverage:.0%}"]
    quality += ["naive"] if one.yields else []
    cells = (
        advice_words.heading(one),
        _rounded(one),
        pressing.limit if pressing else "none",
        dates.told(pressing) if pressing else "",
        " → ".join(_expected(one)),
        ", ".join(quality) or ", ".join(one.notes[:1]),
    )
    return Row(cells=cells, outcome=one.outcome, badge=_BADGES.get(one.outcome, ""))


def _expected(one: Outlook) -> Iterator[str]:
    if not one.ahead:
        return
    first, last = one.ahead[0].at, one.ahead[-1]
    month = min(one.ahead, key=lambda point: abs((point.at - first).total_seconds() - 30 * 86400))
    for point in (month, last) if month is not last else (last,):
        value, low, high = (format_quantity(number, one.unit) for number in (point.value, point.low, point.high))
        yield value if low == high else f"{value} ({low} to {high})"


def _grades(report: CapacityReport) -> Iterator[Line]:
    units = {one.key: one.unit for one in report.outlooks}
    for one in report.grades:
        wrong = {"false": "an alarm was false", "missed": "an alarm was missed", "": ""}[one.alarm]
        outcome = Outcome.WARNED if one.alarm else None
        off = format_quantity(one.error, units[one.key]) if one.key in units else f"{one.error:.4g}"
        lost = "seasonal naive was better" if one.lost else ""
        facts = (f"off by {off}", f"{one.covered} of {one.moments} inside", lost, wrong)
        yield Line(text=one.name or one.key, outcome=outcome, facts=tuple(fact for fact in facts if fact))
