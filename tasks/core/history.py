"""The past of a platform by its own local days, folded from its reports: verdicts, uptime, what has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, Field

from tasks.core.limits import REACHABLE
from tasks.core.model import Model
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Outcome


class Seen(Model):
    """How often a system was looked at, and how often it answered."""

    looks: int = 0
    up: int = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(looks=self.looks + other.looks, up=self.up + other.up)

    @property
    def share(self) -> float | None:
        """The part of the looks that found it up; None where nobody looked."""
        return self.up / self.looks if self.looks else None


class Ended(Model):
    """A problem that is over."""

    finding: Finding
    at: AwareDatetime = Field(description="When it was first seen well.")


class Day(Model):
    """One local day of a platform."""

    on: date = Field(description="The date where the platform is.")
    kept: int = Field(description="How many reports the store holds of it, read or not.")
    unreadable: int = 0
    looks: int = Field(0, description="How many reports it was folded from.")
    verdict: Verdict | None = Field(None, description="The worst of its reports; None where there is none.")
    systems: dict[str, Seen] = Field(default_factory=dict)
    ended: tuple[Ended, ...] = ()


class Now(NamedTuple):
    """A system as it was seen last."""

    system: SystemReport
    at: datetime


def fold(day: date, kept: int, reports: Sequence[Report]) -> Day:
    """Fold the reports of one local day that could be read.

    Args:
        day: The date where the platform is.
        kept: How many the store holds of that day.
        reports: Those of one environment.
    """
    systems: dict[str, Seen] = {}
    for report in reports:
        for system in report.systems:
            if (up := answered(system)) is not None:
                systems[system.name] = systems.get(system.name, Seen()) + Seen(looks=1, up=int(up))
    return Day(
        on=day,
        kept=kept,
        looks=len(reports),
        verdict=min((report.verdict for report in reports), key=list(Verdict).index, default=None),
        systems=systems,
        ended=tuple(Ended(finding=one, at=report.finished) for report in reports for one in report.changes.resolved),
    )


def answered(system: SystemReport) -> bool | None:
    """Tell whether a system was up; None where the look could not tell."""
    of_it = [finding for finding in system.findings if finding.measurement == REACHABLE.name]
    if of_it:
        return all(finding.outcome is Outcome.PASSED for finding in of_it)
    if any(reading.name == REACHABLE.name and reading.value for reading in system.measurements):
        return True
    judged = [finding for finding in system.findings if finding.outcome in (Outcome.PASSED, Outcome.WARNED)]
    return True if judged else None


def uptime(days: Iterable[Day]) -> dict[str, Seen]:
    """Add up how often each system was up."""
    total: dict[str, Seen] = {}
    for day in days:
        for name, seen in day.systems.items():
            total[name] = total.get(name, Seen()) + seen
    return total


def strip(days: Mapping[date, Day], last: date, length: int) -> list[Day]:
    """Return so many days up to the last one, with an empty one for each that nobody looked at."""
    dates = [last - timedelta(days=back) for back in range(length - 1, -1, -1)]
    return [days.get(one, Day(on=one, kept=0)) for one in dates]


def latest(reports: Iterable[Report]) -> dict[str, Now]:
    """Return each system as the newest report that looked at it found it.

    Args:
        reports: In the order of time.
    """
    found: dict[str, Now] = {}
    for report in reports:
        found |= {system.name: Now(system, report.finished) for system in report.systems}
    return found
