"""Judging: a reading is held against its limit and becomes a finding. Pure; the only place where outcomes are made."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tasks.core.limits import Bound, Limit, Measure
from tasks.core.platform import PlatformSpec
from tasks.core.results import Finding, Gap, Measurement, Outcome, Reading
from tasks.core.system import SystemSpec
from tasks.core.units import format_duration

STALE = timedelta(minutes=15)
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Step:
    """One bound of a limit with what a breach of it means."""

    bound: Bound
    outcome: Outcome
    severity: str
    lasting: timedelta | None


def judge(
    reading: Reading, *, platform: PlatformSpec, system: str, previous: Finding | None, now: datetime
) -> Finding | None:
    """Make the finding of one reading.

    Args:
        reading: What the probe brought home.
        platform: The platform, for its severities and the system's limits.
        system: The system's name in the platform.
        previous: The finding with the same key in the report before, if any: since when it has been so.
        now: Aware time. A measurement carries its own; one that is older than a quarter of an hour, or dated in the
            future, tells nothing of now.

    Returns:
        The finding, or None where a measurement has no limit and only informs.
    """
    spec = platform.systems[system]
    if isinstance(reading, Gap):
        return _from_gap(reading, platform, system, previous, now)
    limit, measure = spec.limit(reading), spec.measure(reading)
    if limit is None or not any(True for _ in limit.bounds()):
        return None
    if doubt := _doubt(now - reading.at):
        old = Gap(outcome=Outcome.ERRORED, reason=doubt, name=reading.name, subject=reading.subject)
        return _from_gap(old, platform, system, previous, now)
    base = Finding(
        system=system,
        measurement=reading.name,
        subject=reading.subject,
        outcome=Outcome.PASSED,
        observed=reading.text,
        value=None if isinstance(reading.value, str) else float(reading.value),
        unit=reading.unit,
        limit=_describe(limit, measure),
        **_held_against(_nearest(limit), measure),
        note=reading.note,
        at=reading.at,
    )
    if isinstance(reading.value, str) or not math.isfinite(reading.value):
        return base.model_copy(
            update={
                "outcome": Outcome.ERRORED,
                "value": None,
                "severity": platform.default_severity.warn,
                "note": _join(reading.note, f"{reading.value} cannot be held against a limit"),
                "since": _since(previous, reading.at),
            }
        )
    return _hold(base, reading, limit, measure, list(steps(limit, spec, platform)), previous)


def _doubt(age: timedelta) -> str:
    """Say why a measurement of this age tells nothing of now, or nothing."""
    if age > STALE:
        return f"it was measured {format_duration(round(age.total_seconds()))} ago, too long to say how it is now"
    if -age > AHEAD:
        ahead = format_duration(round(-age.total_seconds()))
        return f"it is dated {ahead} in the future: the clocks of this host and of the system differ"
    return ""


def _hold(
    base: Finding, reading: Measurement, limit: Limit, measure: Measure, steps: list[Step], previous: Finding | None
) -> Finding:
    pending: tuple[Step, datetime, bool] | None = None
    for step in steps:
        if not step.bound.breached(float(reading.value), measure.worse):
            continue
        since, known = _held_since(reading, step.bound, measure, previous)
        if step.lasting is None or reading.at - since >= step.lasting:
            return base.model_copy(
                update={
                    "outcome": step.outcome,
                    "severity": step.severity,
                    "limit": _describe_step(step, measure),
                    **_held_against(step.bound, measure),
                    "remedy": limit.remedy or measure.remedy or "",
                    "since": since if known else _since(previous, reading.at),
                }
            )
        pending = pending or (step, since, known)
    if pending is None:
        return base
    step, since, known = pending
    so_far = f"so for {format_duration((reading.at - since).total_seconds())}" if known else "how long is not known yet"
    note = f"{_describe_step(step, measure)} would be {step.severity}; {so_far}"
    update: dict[str, object] = {"note": _join(reading.note, note)}
    if not known:
        update |= {"outcome": Outcome.WARNED, "severity": step.severity, "since": _since(previous, reading.at)}
    return base.model_copy(update=update)


def _held_since(
    reading: Measurement, bound: Bound, measure: Measure, previous: Finding | None
) -> tuple[datetime, bool]:
    """Return since when this very bound has been breached, and whether the system's own history says so."""
    if previous is not None and previous.value is not None and not bound.breached(previous.value, measure.worse):
        previous = None
    if not reading.series:
        return _since(previous, reading.at), False
    since = reading.at
    for sample in sorted(reading.series, reverse=True):
        if not bound.breached(sample.value, measure.worse):
            return since, True
        since = min(since, sample.at)
    return min(since, _since(previous, since)), True


def steps(limit: Limit, spec: SystemSpec, platform: PlatformSpec) -> Iterator[Step]:
    """Yield a limit's bounds, worst first, with what a breach of each means on a platform."""
    for name, severity in platform.severities.items():
        if tier := limit.by_severity.get(name):
            yield Step(tier.bound, Outcome(severity.outcome), name, tier.lasting or limit.lasting)
    if limit.critical is not None:
        severity_name = limit.severity or spec.severity or platform.default_severity.critical
        yield Step(limit.critical, Outcome.FAILED, severity_name, limit.lasting)
    if limit.warn is not None:
        own = limit.severity if limit.critical is None else None
        yield Step(limit.warn, Outcome.WARNED, own or platform.default_severity.warn, limit.lasting)


def _nearest(limit: Limit) -> Bound:
    """Return the bound that a value which is still fine meets first."""
    return limit.warn or [bound for _, bound in limit.bounds()][-1]


def _held_against(bound: Bound, measure: Measure) -> dict[str, Any]:
    return {"bound": bound.number, "worse": bound.side(measure.worse).value}


def _describe_step(step: Step, measure: Measure) -> str:
    text = step.bound.describe(measure.worse)
    return f"{text} for {format_duration(step.lasting.total_seconds())}" if step.lasting else text


def _describe(limit: Limit, measure: Measure) -> str:
    parts = [f"{path[-1]} {bound.describe(measure.worse)}" for path, bound in limit.bounds()]
    return ", ".join(parts)


def _from_gap(gap: Gap, platform: PlatformSpec, system: str, previous: Finding | None, now: datetime) -> Finding:
    severity = None
    if gap.outcome.is_problem:
        default = platform.default_severity
        severity = default.warn if gap.name else (platform.systems[system].severity or default.critical)
    return Finding(
        system=system,
        measurement=gap.name or "check",
        subject=gap.subject,
        outcome=gap.outcome,
        severity=severity,
        note=gap.reason,
        remedy=gap.hint,
        at=now,
        since=_since(previous, now) if gap.outcome.is_problem else None,
    )


def _since(previous: Finding | None, now: datetime) -> datetime:
    return previous.since if previous is not None and previous.outcome.is_problem and previous.since else now


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
