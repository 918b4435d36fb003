"""What a platform's checklist says: its bulletin."""

from __future__ import annotations

from collections import Counter
from zoneinfo import ZoneInfo

from tasks.core.compliance import Checklist, Item
from tasks.core.control import Result
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import bulletin_words as words
from tasks.reports import wording
from tasks.reports.bulletin import Bulletin, Line, Part, Row, Table

_OUTCOMES = {
    Result.FAIL: Outcome.FAILED,
    Result.ERROR: Outcome.ERRORED,
    Result.STALE: Outcome.WARNED,
    Result.NOT_CHECKED: Outcome.NOT_CHECKED,
    Result.WAIVED: Outcome.SKIPPED,
    Result.ATTESTED: Outcome.PASSED,
    Result.PASS: Outcome.PASSED,
    Result.NOT_APPLICABLE: None,
}
_PARTS = (
    ("Not kept", (Result.FAIL, Result.ERROR, Result.STALE)),
    ("Not checked", (Result.NOT_CHECKED,)),
    ("Waived", (Result.WAIVED,)),
    ("Attested by people", (Result.ATTESTED,)),
    ("Proven", (Result.PASS,)),
    ("Does not apply", (Result.NOT_APPLICABLE,)),
)
_MOST_FINDINGS = 5
_MOST_NAMED = 4


def bulletin(report: Checklist) -> Bulletin:
    """Say a checklist: what is not kept first, then what nobody looked at, then what was proven."""
    notes = Part(title="To look at", lines=tuple(Line(text=note, outcome=Outcome.WARNED) for note in report.notes))
    parts = [
        Part(
            title=title,
            lines=tuple(_line(item, report) for item in report.items if item.result in results),
            aside=aside,
        )
        for title, results, aside in ((*pair, pair[0] == "Does not apply") for pair in _PARTS)
    ]
    return words.bulletin(
        report,
        "compliance checklist",
        word=_WORDS[report.verdict],
        sentence=_sentence(report),
        facts=_changes(report),
        parts=(parts[0], notes, *parts[1:], _operated(report)),
    )


_WORDS = {
    Verdict.FAILED: "controls are not kept",
    Verdict.UNKNOWN: "could not tell",
    Verdict.WARNED: "kept, as far as it was checked",
    Verdict.PASSED: "all kept",
}


def _sentence(report: Checklist) -> str:
    broken = [item.control for item in report.items if item.result in (Result.FAIL, Result.ERROR)]
    if len(broken) > _MOST_NAMED:
        broken = [*broken[:_MOST_NAMED], f"{len(broken) - _MOST_NAMED} more"]
    return report.denominator + (f"; not kept: {', '.join(broken)}" if broken else "")


def _operated(report: Checklist) -> Part:
    """Say what was to run and what ran, flow by flow; each gap with what explains it."""
    zone = ZoneInfo(report.timezone)
    rows = []
    for one in report.operated:
        gaps = [f"{wording.moment(gap.at, zone)}: {gap.why or 'not explained'}" for gap in one.gaps[:_MOST_FINDINGS]]
        more = [f"and {len(one.gaps) - _MOST_FINDINGS} more"] if len(one.gaps) > _MOST_FINDINGS else []
        explained = len(one.gaps) - len(one.unexplained)
        outcome = Outcome.FAILED if one.unexplained else Outcome.PASSED
        cells = (one.flow, str(one.expected), str(one.ran), str(explained), str(len(one.unexplained)))
        rows.append(Row(cells=cells, outcome=outcome, note="; ".join([*gaps, *more])))
    heads = ("what ran, in 31 days", "expected", "ran", "explained", "open")
    return Part(title="Operating effectiveness", table=Table(heads=heads, rows=tuple(rows)), aside=True)


def _changes(report: Checklist) -> tuple[str, ...]:
    """Say what differs from the list of last month; what is the same, or cannot be compared, is counted."""
    if report.compared_with is None:
        return ("the first list: there is nothing to compare with",)
    counted = Counter(item.change for item in report.items)
    told = []
    for change in ("regressed", "fixed", "new"):
        names = [item.control for item in report.items if item.change == change]
        if names:
            told.append(f"{change}: {', '.join(names)}")
    same = f"{counted['unchanged']} unchanged, {counted['incomparable']} incomparable"
    return (f"since the list of {report.compared_with:%Y-%m-%d}: {'; '.join([*told, same])}",)


def _line(item: Item, report: Checklist) -> Line:
    said = [*item.findings[:_MOST_FINDINGS]]
    if len(item.findings) > _MOST_FINDINGS:
        said.append(f"and {len(item.findings) - _MOST_FINDINGS} more")
    note = "; ".join(part for part in (item.reason, *said) if part)
    since = f"since {item.since:%Y-%m-%d}"
    change = "" if item.change == "unchanged" or report.compared_with is None else item.change
    result = item.result if item.result in (Result.ERROR, Result.STALE) else ""
    facts = (item.control, result, item.severity, f"owner {item.owner}", since, change)
    outcome = _OUTCOMES[item.result]
    remedy = item.remedy if outcome is not None and outcome not in (Outcome.PASSED, Outcome.SKIPPED) else ""
    return Line(
        text=item.title, outcome=outcome, facts=tuple(str(fact) for fact in facts if fact), note=note, remedy=remedy
    )
