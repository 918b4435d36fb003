"""The check of one system: its probe within its time, then the judge. The same for every kind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from time import perf_counter

from tasks.core.errors import NotOffered, Unreachable, WatchkeeperError
from tasks.core.judging import judge
from tasks.core.limits import REACHABLE
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport
from tasks.core.results import Finding, Gap, Measurement, Outcome, Reading
from tasks.core.steadiness import Looks
from tasks.core.system import Access, Probe, SystemSpec
from tasks.core.units import format_duration
from tasks.systems import kinds

log = logging.getLogger(__name__)


async def check_system(
    platform: PlatformSpec, name: str, access: Access, previous: Report | None = None
) -> SystemReport:
    """Measure one system and judge it, again while a problem is not sure yet. Never raises for what the system does.

    Each look ends within the system's time-out; how many there are at most, and the pause, is the spec's `confirm`.

    Args:
        platform: The platform's spec.
        name: The system's name in it.
        access: What the probe may use.
        previous: The report before, for since when a problem has lasted.
    """
    spec = platform.systems[name]
    access = replace(access, systems=dict(platform.systems))
    began = perf_counter()
    confirm = spec.confirm or platform.confirm
    looks = Looks(confirm, {finding.key: finding for finding in previous.of(name)} if previous else {})
    while True:
        readings = [_scrubbed(reading, access) for reading in await measure(spec, access)]
        looks.add(_judged(readings, platform, name, looks.before, access.now()))
        if looks.settled or access.pause is None:
            break
        await access.pause(confirm.every.total_seconds())
    return SystemReport(
        name=name,
        kind=spec.kind,
        title=spec.title or name,
        seconds=round(perf_counter() - began, 3),
        findings=tuple(looks.findings(platform.default_severity.warn)),
        measurements=tuple(reading for reading in readings if isinstance(reading, Measurement)),
    )


def _judged(
    readings: Iterable[Reading], platform: PlatformSpec, name: str, before: Mapping[str, Finding], now: datetime
) -> Iterator[Finding]:
    for reading in readings:
        key = f"{name}/{reading.name or 'check'}" + (f"[{reading.subject}]" if reading.subject else "")
        finding = judge(reading, platform=platform, system=name, previous=before.get(key), now=now)
        if finding is not None:
            yield finding


def load_drivers(platform: PlatformSpec, systems: Iterable[str]) -> None:
    """Import what the probes of these systems need; while a probe runs, an import would be measured as latency."""
    for kind in {platform.systems[name].kind for name in systems}:
        kinds()[kind].probe()


async def measure(spec: SystemSpec, access: Access) -> list[Reading]:
    """Run a kind's probe within the system's time-out and turn what it raises into readings."""
    probe = kinds()[spec.kind].probe()
    if probe is None:
        reason = "this version of Watchkeeper does not measure such systems yet"
        return [Gap(outcome=Outcome.NOT_CHECKED, reason=reason)]
    readings: list[Reading] = []
    try:
        async with asyncio.timeout(spec.timeout.total_seconds()):
            await _collect(probe, spec, access, readings)
    except TimeoutError:
        limit = format_duration(spec.timeout.total_seconds())
        if readings:
            readings.append(Gap(outcome=Outcome.ERRORED, reason=f"the check was not finished within {limit}"))
        else:
            readings.append(_reachable(access, answered=False, note=f"no answer within {limit}"))
    except Unreachable as error:
        readings.append(_reachable(access, answered=False, note=error.message))
    except WatchkeeperError as error:
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else Outcome.ERRORED
        readings.append(Gap(outcome=outcome, reason=error.message, hint=error.hint or ""))
    except Exception as error:  # noqa: BLE001 - one target's surprise must not stop the others
        log.warning("the probe of a %s system raised %s", spec.kind, type(error).__name__)
        reason = f"the probe itself failed: {type(error).__name__}: {error}"
        readings.append(Gap(outcome=Outcome.ERRORED, reason=reason, hint="Please report this as a bug."))
    else:
        if not any(reading.name == REACHABLE.name for reading in readings):
            readings.insert(0, _reachable(access, answered=True))
        readings += _never_measured(spec, readings)
    return readings


def _never_measured(spec: SystemSpec, readings: list[Reading]) -> list[Gap]:
    """Say of every limit that the spec sets by itself that there was nothing to hold against it."""
    taken = {reading.name for reading in readings}
    reason = "the system gave no such value"
    return [Gap(outcome=Outcome.NOT_CHECKED, name=name, reason=reason) for name in spec.limits if name not in taken]


async def _collect(probe: Probe, spec: SystemSpec, access: Access, readings: list[Reading]) -> None:
    async with aclosing(probe(spec, access)) as stream:  # type: ignore[type-var]
        async for reading in stream:
            readings.append(reading)  # noqa: PERF401 - a failure in the middle must keep what came before


def _reachable(access: Access, *, answered: bool, note: str = "") -> Measurement:
    return Measurement(name=REACHABLE.name, value=answered, unit=REACHABLE.unit, at=access.now(), note=note)


def _scrubbed(reading: Reading, access: Access) -> Reading:
    scrub = access.resolver.scrub
    if isinstance(reading, Gap):
        return reading.model_copy(update={"reason": scrub(reading.reason), "hint": scrub(reading.hint)})
    update: dict[str, object] = {"note": scrub(reading.note)} if reading.note else {}
    if isinstance(reading.value, str):
        update["value"] = scrub(reading.value)
    return reading.model_copy(update=update) if update else reading
