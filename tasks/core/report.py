"""The report: what one run found on one platform, and what changed since the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field, computed_field, model_validator

from tasks.core.limits import REACHABLE
from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.results import Finding, Measurement, Outcome

HEALTH_CHECK = "health-check"
"""The flow whose reports are kept, compared and summed up."""


class Verdict(StrEnum):
    """What a whole report says, worst first."""

    FAILED = "failed"
    UNKNOWN = "unknown"
    WARNED = "warned"
    PASSED = "passed"


class SystemReport(Model):
    """What was found on one system."""

    name: str
    kind: str
    title: str
    seconds: float = Field(description="How long the check of it took.")
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst of its findings; not checked where there is none."""
        return min((finding.outcome for finding in self.findings), key=lambda o: o.rank, default=Outcome.NOT_CHECKED)


class Changes(Model):
    """What is different from the report before."""

    previous: str | None = Field(None, description="The id of the report before; None where there is none to compare.")
    previous_at: AwareDatetime | None = None
    note: str = Field("", description="Why there is nothing to compare with, where that is so.")
    new: tuple[Finding, ...] = ()
    resolved: tuple[Finding, ...] = Field((), description="Problems of the report before that are now seen passed.")
    persisting: tuple[Finding, ...] = ()
    unseen: tuple[Finding, ...] = Field(
        (), description="Problems of the report before of which this one cannot tell: not resolved."
    )
    silenced: tuple[Finding, ...] = Field((), description="Problems that are there and of which nobody is notified.")


class Report(Model):
    """Findings and a verdict, ready to render, store and compare."""

    version: int = 1
    id: str = Field(description="Unique, sorts by time: `apex-health-check-20260131T090000Z-1a2b3c`.")
    platform: str
    title: str
    timezone: str
    flow: str
    environment: str = Field("production", description="`lab` where the embedded lab was checked.")
    started: AwareDatetime
    finished: AwareDatetime
    scheduled: AwareDatetime | None = Field(None, description="When it should have started, if it was scheduled.")
    systems: tuple[SystemReport, ...]
    changes: Changes = Changes()
    run_url: str | None = Field(None, description="Where the run is seen in the Prefect UI.")

    @model_validator(mode="before")
    @classmethod
    def _derived_anew(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if key != "verdict"} if isinstance(data, dict) else data

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, worst first, then as the spec has them."""
        everything = (finding for system in self.systems for finding in system.findings)
        return tuple(sorted(everything, key=lambda finding: finding.outcome.rank))

    def of(self, system: str) -> tuple[Finding, ...]:
        """The findings of one system."""
        return tuple(finding for one in self.systems if one.name == system for finding in one.findings)

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that a person should look at, worst first."""
        bad = (finding for system in self.systems for finding in system.findings if finding.outcome.is_problem)
        return tuple(sorted(bad, key=lambda finding: finding.outcome.rank))

    @property
    def loud(self) -> tuple[Finding, ...]:
        """The problems that people are notified of, worst first."""
        return tuple(finding for finding in self.problems if finding.is_loud)

    @property
    def counts(self) -> Counter[Outcome]:
        """How many findings had each outcome."""
        return Counter(finding.outcome for system in self.systems for finding in system.findings)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed, unknown, warned or passed; a report in which nothing was checked is unknown, never passed.

        A problem that nobody is notified of counts as a warning, however bad it is.
        """
        loud = {finding.outcome for finding in self.loud}
        if Outcome.FAILED in loud:
            return Verdict.FAILED
        if Outcome.ERRORED in loud or not (self.problems or self.counts[Outcome.PASSED]):
            return Verdict.UNKNOWN
        return Verdict.WARNED if self.problems else Verdict.PASSED


_TOLD_BEFORE = ("acknowledged", "snoozed")


def compare(systems: Iterable[SystemReport], previous: Report | None, *, note: str = "") -> Changes:
    """Tell what changed since the report before.

    A problem is resolved only when the same key is seen passed now, or, where nothing could be told, once it is
    measured again; one that this report does not cover, or could not check, is `unseen`. One of which nobody was
    notified, as something else was the matter, is new once people are.
    """
    if previous is None:
        return Changes(note=note or "no earlier report to compare with")
    systems = tuple(systems)
    now = {finding.key: finding for system in systems for finding in system.findings}
    before = {finding.key: finding for finding in previous.problems}
    passed = {key for key, finding in now.items() if finding.outcome is Outcome.PASSED}
    told = {key for system in systems for key in _told(system)} - now.keys()
    passed |= {key for key in told if key in before and before[key].outcome is Outcome.ERRORED}
    heard = (finding for finding in now.values() if finding.is_loud)
    loud = sorted(heard, key=lambda finding: finding.outcome.rank)
    known = {key for key, finding in before.items() if finding.quiet is None or finding.quiet.why in _TOLD_BEFORE}
    return Changes(
        previous=previous.id,
        previous_at=previous.finished,
        note=note,
        new=tuple(finding for finding in loud if finding.key not in known),
        persisting=tuple(finding for finding in loud if finding.key in known),
        silenced=tuple(finding for finding in now.values() if finding.outcome.is_problem and not finding.is_loud),
        resolved=tuple(finding for key, finding in before.items() if key in passed),
        unseen=tuple(
            finding
            for key, finding in before.items()
            if key not in passed and (key not in now or not now[key].outcome.is_problem)
        ),
    )


def _told(system: SystemReport) -> Iterator[str]:
    """Yield the keys of what a system has told, judged or not; that it answered stands for the check as a whole."""
    for measurement in system.measurements:
        of = f"[{measurement.subject}]" if measurement.subject else ""
        yield f"{system.name}/{measurement.name}{of}"
        if measurement.name == REACHABLE.name and measurement.value:
            yield f"{system.name}/check"


def report_id(platform: str, flow: str, started: datetime, suffix: str) -> str:
    """Make a report's id; the suffix tells two of the same second apart."""
    return f"{platform}-{flow}-{started:%Y%m%dT%H%M%SZ}-{suffix}"


def build_report(
    platform: PlatformSpec,
    systems: Sequence[SystemReport],
    *,
    flow: str,
    started: datetime,
    finished: datetime,
    suffix: str,
    previous: Report | None = None,
    note: str = "",
    environment: str = "production",
    scheduled: datetime | None = None,
    run_url: str | None = None,
) -> Report:
    """Put together what a run found and what changed since the report before.

    Args:
        platform: What was checked.
        systems: What was found, in the order in which a person should read it.
        flow: The flow's name: `health-check`.
        started: Aware time of the run's beginning; part of the report's id.
        finished: Aware time of its end.
        suffix: Tells two runs of the same second apart.
        previous: The report before, if there is one to compare with.
        note: Why there is none, or what a person should know of it.
        environment: `production` or `lab`.
        scheduled: When the run should have begun, if it was scheduled.
        run_url: Where the run is seen in the Prefect UI.
    """
    return Report(
        id=report_id(platform.platform, flow, started.astimezone(UTC), suffix),
        platform=platform.platform,
        title=platform.title,
        timezone=platform.timezone,
        flow=flow,
        environment=environment,
        started=started,
        finished=finished,
        scheduled=scheduled,
        systems=tuple(systems),
        changes=compare(systems, previous, note=note),
        run_url=run_url,
    )
