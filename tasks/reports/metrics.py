"""Findings and measurements in the text that Prometheus scrapes and node-exporter's textfile collector reads.

The text is valid both as Prometheus' text format 0.0.4 and as OpenMetrics 1.0: gauges only, `# EOF` at the end.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from tasks.core.freshness import is_stale
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_SUBJECTS = 50
"""Of one measurement of one system: subjects such as pods come and go, and each is a time series."""

OUTCOMES = {
    Outcome.PASSED: 0,
    Outcome.WARNED: 1,
    Outcome.FAILED: 2,
    Outcome.ERRORED: 3,
    Outcome.NOT_CHECKED: 4,
    Outcome.SKIPPED: 5,
}
_LONGEST = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HELP = {
    "report_up": "Whether a report of the platform could be read: 0 where there is none, or the store does not answer.",
    "report_stale": "Whether the newest report is older than 26 hours, or there is none.",
    "report_timestamp_seconds": "When the newest report was made, as Unix time.",
    "report_duration_seconds": "How long the newest check took.",
    "report_verdict": "1 for the newest report's verdict, 0 for the others.",
    "findings": "How many findings the newest report has, by outcome.",
    "system_duration_seconds": "How long the check of a system took.",
    "finding_outcome": "0 passed, 1 warned, 2 failed, 3 could not tell, 4 not checked, 5 skipped.",
    "measurement_value": "The value, in the base of its unit: a ratio, seconds, bytes, a count, events per second.",
    "subjects_cut": "How many subjects of a measurement are left out here: more than 50; the worst are kept.",
}

Labels = Mapping[str, str]
Thing = TypeVar("Thing")


class Newest(NamedTuple):
    """A platform's newest report, or None where there is none or it could not be read."""

    platform: str
    report: Report | None


class Sample(NamedTuple):
    """One line."""

    labels: Labels
    value: float


def render(platforms: Sequence[Newest], now: datetime) -> str:
    """Return the text for all platforms.

    Args:
        platforms: Each with its newest report; one without is there with `watchkeeper_report_up 0`.
        now: Aware time, to tell whether a report is stale.
    """
    families: dict[str, list[Sample]] = {name: [] for name in _HELP}
    for newest in platforms:
        for name, sample in _samples(newest, now):
            families[name].append(sample)
    return "".join(line for name, samples in families.items() for line in _family(name, samples)) + "# EOF\n"


def _samples(newest: Newest, now: datetime) -> Iterator[tuple[str, Sample]]:
    labels, report = {"platform": newest.platform}, newest.report
    yield "report_up", Sample(labels, float(report is not None))
    yield "report_stale", Sample(labels, float(is_stale(report.finished if report else None, now)))
    if report is None:
        return
    labels |= {"environment": report.environment}
    yield "report_timestamp_seconds", Sample(labels, report.finished.timestamp())
    yield "report_duration_seconds", Sample(labels, (report.finished - report.started).total_seconds())
    for verdict in Verdict:
        yield "report_verdict", Sample(labels | {"verdict": verdict.value}, float(report.verdict is verdict))
    for outcome in Outcome:
        yield "findings", Sample(labels | {"outcome": outcome.value.replace(" ", "_")}, report.counts[outcome])
    for system in report.systems:
        of_it = labels | {"system": system.name}
        yield "system_duration_seconds", Sample(of_it, system.seconds)
        yield from _of_system(system, of_it)


def _of_system(system: SystemReport, labels: Labels) -> Iterator[tuple[str, Sample]]:
    cut: dict[str, int] = {}
    findings = sorted(system.findings, key=lambda finding: finding.outcome.rank)
    for finding in _kept(findings, [(one.measurement, one.subject) for one in findings], cut):
        more = {"measurement": finding.measurement, "subject": finding.subject, "severity": finding.severity or ""}
        yield "finding_outcome", Sample({**labels, **more}, OUTCOMES[finding.outcome])
    worst = {(one.measurement, one.subject): one.outcome.rank for one in reversed(findings)}
    readings = [(one, float(one.value)) for one in system.measurements if not isinstance(one.value, str)]
    readings.sort(key=lambda pair: worst.get((pair[0].name, pair[0].subject), len(Outcome)))
    for reading, value in _kept(readings, [(one.name, one.subject) for one, _ in readings], cut):
        more = {"measurement": reading.name, "subject": reading.subject, "unit": reading.unit.value}
        yield "measurement_value", Sample({**labels, **more}, value)
    for name, number in cut.items():
        yield "subjects_cut", Sample({**labels, "measurement": name}, number)


def _kept(things: Sequence[Thing], of: Sequence[tuple[str, str]], cut: dict[str, int]) -> Iterator[Thing]:
    """Yield no more than so many things of each measurement, each label set once; count those that are left out.

    Args:
        things: The worst first.
        of: Each thing's measurement and subject.
        cut: How many subjects of a measurement are left out; added to.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    left: dict[str, set[str]] = defaultdict(set)
    for thing, (name, subject) in zip(things, of, strict=True):
        text = _text(subject)
        if text in seen[name]:
            continue
        if len(seen[name]) == MOST_SUBJECTS:
            left[name].add(text)
            continue
        seen[name].add(text)
        yield thing
    for name, subjects in left.items():
        cut[name] = max(cut.get(name, 0), len(subjects))


def _family(name: str, samples: Sequence[Sample]) -> Iterator[str]:
    if not samples:
        return
    full = f"watchkeeper_{name}"
    yield f"# HELP {full} {_HELP[name]}\n"
    yield f"# TYPE {full} gauge\n"
    for labels, value in samples:
        pairs = ",".join(f'{label}="{_text(text)}"' for label, text in labels.items())
        yield f"{full}{{{pairs}}} {_number(value)}\n"


def _text(text: str) -> str:
    """Cut and escape a label's value as the format wants it."""
    short = _CONTROL.sub(" ", text)[:_LONGEST].encode("utf-8", "replace").decode()
    return short.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.15g}" if not float(value).is_integer() or abs(value) > 1e15 else str(int(value))  # noqa: PLR2004
