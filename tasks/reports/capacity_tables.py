"""A capacity plan as tables for other programs: CSV, beside the JSON that holds all of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from tasks.core.capacity import CapacityReport, Outlook

_ADVICE = (
    "when", "kind", "key", "name", "do", "why", "changes", "cores", "memory_bytes", "storage_bytes", "money",
    "currency", "risk", "unknown", "command",
)  # fmt: skip
_FORECASTS = (
    "key", "name", "outcome", "unit", "now", "limit", "critical", "state", "median", "early", "late", "probability",
    "mase", "coverage", "method", "unfit",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tables(report: CapacityReport) -> Mapping[str, str]:
    """Return the files by name: `advice.csv`, one row for each, and `forecasts.csv`, one for each bound."""
    return {"advice.csv": _written(_ADVICE, _advice(report)), "forecasts.csv": _written(_FORECASTS, _forecasts(report))}


def _written(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    """Write a value; a text that a spreadsheet would take for a formula is marked as a text."""
    if value is None:
        return ""
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _advice(report: CapacityReport) -> Iterator[tuple[object, ...]]:
    for one in report.advice:
        saving = one.saving
        changes = "; ".join(f"{change.what}: {change.before} -> {change.after}" for change in one.changes)
        gives = (saving.cores, saving.memory, saving.storage, saving.money, saving.currency) if saving else ("",) * 5
        commands = "; ".join(patch.command or patch.title for patch in one.patches)
        unknown = "; ".join(one.unknown)
        yield (
            one.when.value,
            one.kind,
            one.key,
            one.called,
            one.do,
            one.why,
            changes,
            *gives,
            one.risk,
            unknown,
            commands,
        )
    for blank in report.unjudged:
        yield "not judged", blank.kind, blank.key, blank.called, "", blank.reason, *("",) * 9


def _forecasts(report: CapacityReport) -> Iterator[tuple[object, ...]]:
    for one in report.outlooks:
        if not one.reached:
            yield (*_head(one), *("",) * 7, *_tail(one))
        for reached in one.reached:
            moments = (at.isoformat() if at else "" for at in (reached.median, reached.early, reached.late))
            critical = "yes" if reached.critical else "no"
            yield *_head(one), reached.limit, critical, reached.state, *moments, reached.probability, *_tail(one)


def _head(one: Outlook) -> tuple[object, ...]:
    return one.key, one.called, one.outcome.value, one.unit.value, one.now


def _tail(one: Outlook) -> tuple[object, ...]:
    return one.mase, one.coverage, one.method, one.unfit
