"""Acknowledging and putting off problems, for people. Without Prefect: flow and command line share it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal

from tasks import platforms
from tasks.core.errors import ConfigError
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report
from tasks.core.settings import Settings
from tasks.core.silences import Silence
from tasks.core.units import format_duration
from tasks.inspections import report_store, silence_store
from tasks.pasts import Past

LONGEST = timedelta(days=30)
"""What is to be silent for longer is a change of the spec's limits."""


def silence(
    kind: Literal["acknowledged", "snoozed"],
    platform: str,
    pattern: str,
    *,
    lasting: timedelta,
    by: str,
    why: str,
    settings: Settings,
    now: datetime | None = None,
) -> Silence:
    """Keep an acknowledgement or a snooze.

    An acknowledgement covers the problems of the last health check that fit the pattern, as bad as they are there.

    Args:
        kind: Acknowledged where somebody is on it, snoozed where it can wait.
        platform: The platform's name.
        pattern: The key of a finding, a system's name, or a pattern with `*`.
        lasting: How long, 30 days at most.
        by: Who says so.
        why: What is done about it, or why it can wait.
        settings: Where things are kept.
        now: Aware time; the clock's by default.

    Raises:
        ConfigError: There is no such platform, nothing to acknowledge, or the time is none.
        WatchkeeperError: A store refuses or does not answer.
    """
    spec = platforms.load(platform, settings)
    now = now or datetime.now(UTC)
    if not timedelta(0) < lasting <= LONGEST:
        raise ConfigError(
            f"{format_duration(lasting.total_seconds())} is no time to be silent",
            hint=f"write up to {format_duration(LONGEST.total_seconds())}; what holds for longer belongs in the spec",
        )
    if not by.strip():
        raise ConfigError("nobody is named who says so", hint="write who you are with --by")
    given = Silence(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        kind=kind,
        platform=spec.platform,
        pattern=pattern,
        by=by.strip(),
        why=why.strip(),
        at=now,
        until=now + lasting,
    )
    if kind == "acknowledged":
        given = _with_outcomes(given, _last_report(spec, settings))
    elif not any(given.is_about(name) for name in spec.systems):
        hint = f"there are {', '.join(spec.systems)}"
        raise ConfigError(f"{platform} has no system that {pattern!r} fits", hint=hint)
    silence_store(settings).add(given)
    return given


def active(platform: str, settings: Settings, now: datetime | None = None) -> list[Silence]:
    """Return a platform's silences that have not ended, oldest first.

    Raises:
        WatchkeeperError: There is no such platform, or the store does not answer.
    """
    spec = platforms.load(platform, settings)
    return silence_store(settings).active(spec.platform, now or datetime.now(UTC))


def end(platform: str, which: str, settings: Settings) -> list[Silence]:
    """Take silences back by id, or by the very pattern that they were given for, and return them.

    Raises:
        ConfigError: None is active that is called so.
        WatchkeeperError: There is no such platform, or the store does not answer.
    """
    held = active(platform, settings)
    meant = [one for one in held if which in (one.id, one.pattern)]
    if not meant:
        names = ", ".join(f"{one.id} ({one.pattern})" for one in held)
        hint = f"there are {names}" if names else "there is none"
        raise ConfigError(f"{platform} has no silence {which!r}", hint=hint)
    for one in meant:
        silence_store(settings).end(one.platform, one.id)
    return meant


def _last_report(spec: PlatformSpec, settings: Settings) -> Report | None:
    kept = Past(report_store(settings), spec.platform, settings.environment, spec.zone).newest(1).reports
    return kept[0] if kept else None


def _with_outcomes(given: Silence, report: Report | None) -> Silence:
    if report is None:
        raise ConfigError(
            f"no health check of {given.platform} is kept, so there is nothing to acknowledge",
            hint=f"start one: watchkeeper run health-check {given.platform}",
        )
    outcomes = {finding.key: finding.outcome for finding in report.problems if given.fits(finding.key)}
    if not outcomes:
        keys = [finding.key for finding in report.problems]
        there = f"its last report has {', '.join(keys[:10])}" if keys else "its last report has none"
        raise ConfigError(f"{given.platform} has no problem that {given.pattern!r} fits", hint=there)
    return given.model_copy(update={"outcomes": outcomes})
