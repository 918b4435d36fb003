"""How a platform stands now, as far as its kept reports tell: for status pages, badges and metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from pydantic import AwareDatetime, Field

from tasks.core.freshness import is_stale
from tasks.core.history import Day, Seen, latest, strip, uptime
from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, Verdict
from tasks.core.results import Finding, Outcome

SHOWN_DAYS = 90
_MOST_INCIDENTS = 20


class State(Model):
    """One system now."""

    name: str
    title: str
    outcome: Outcome | None = Field(None, description="None where it was never looked at.")
    partly: bool = Field(default=False, description="Whether some of it was not looked at.")
    at: AwareDatetime | None = None
    loud: bool = Field(default=True, description="Whether people are notified of a problem that it has.")
    stale: bool = Field(default=False, description="Whether the last look is too old to say anything of now.")


class Incident(Model):
    """A problem from its beginning to its end, if it has one."""

    system: str
    title: str
    finding: Finding
    began: AwareDatetime
    ended: AwareDatetime | None = None


class Standing(Model):
    """A platform now, and its last days."""

    platform: str
    title: str
    timezone: str
    environment: str
    made: AwareDatetime
    checked: AwareDatetime | None = Field(None, description="When the newest check ended; None where there is none.")
    verdict: Verdict | None = Field(None, description="What the systems say together; None where nothing was kept.")
    systems: tuple[State, ...] = ()
    days: tuple[Day, ...] = ()
    uptime: Seen = Seen()
    incidents: tuple[Incident, ...] = ()
    trouble: str = Field("", description="Why the reports could not be read, where that is so.")

    @property
    def stale(self) -> bool:
        """Whether the newest check is too old to say anything of now."""
        return is_stale(self.checked, self.made)


def stand(
    platform: PlatformSpec,
    reports: Sequence[Report],
    days: Mapping[date, Day],
    *,
    now: datetime,
    environment: str,
    trouble: str = "",
) -> Standing:
    """Tell how a platform stands.

    Args:
        platform: Its spec: systems that it no longer names are left out.
        reports: The newest reports in the order of time.
        days: What is known of its days.
        now: Aware time.
        environment: `production` or `lab`.
        trouble: Why the store could not be read.
    """
    seen = latest(reports)
    systems = []
    for name, spec in platform.systems.items():
        last = seen.get(name)
        systems.append(
            State(
                name=name,
                title=spec.title or name,
                outcome=_now(last.system) if last else None,
                partly=last is not None and any(f.outcome in _SILENT for f in last.system.findings),
                at=last.at if last else None,
                loud=any(finding.is_loud for finding in last.system.findings) if last else True,
                stale=is_stale(last.at if last else None, now),
            )
        )
    shown = strip(days, now.astimezone(platform.zone).date(), SHOWN_DAYS)
    counted = uptime(shown)
    return Standing(
        platform=platform.platform,
        title=platform.title,
        timezone=platform.timezone,
        environment=environment,
        made=now,
        checked=reports[-1].finished if reports else None,
        verdict=_verdict(systems) if reports else None,
        systems=tuple(systems),
        days=tuple(shown),
        uptime=sum((one for name, one in counted.items() if name in platform.systems), Seen()),
        incidents=tuple(_incidents(platform, reports, shown)),
        trouble=trouble,
    )


def _now(system: SystemReport) -> Outcome:
    """Return the worst of a system's problems; passed where it has none and anything of it was seen well."""
    outcomes = {finding.outcome for finding in system.findings} - _SILENT
    return min(outcomes, key=lambda outcome: outcome.rank, default=Outcome.NOT_CHECKED)


def _verdict(systems: Sequence[State]) -> Verdict:
    """Return the worst of what is known; what is old, or was never looked at, is unknown and never green.

    As in a report, a problem that nobody is notified of counts as a warning.
    """
    outcomes = {_counted(state) for state in systems if not state.stale}
    if Outcome.FAILED in outcomes:
        return Verdict.FAILED
    if Outcome.ERRORED in outcomes or any(state.stale for state in systems) or not outcomes - _SILENT:
        return Verdict.UNKNOWN
    return Verdict.WARNED if Outcome.WARNED in outcomes else Verdict.PASSED


def _counted(state: State) -> Outcome | None:
    is_quiet = state.outcome is not None and state.outcome.is_problem and not state.loud
    return Outcome.WARNED if is_quiet else state.outcome


_SILENT = {Outcome.NOT_CHECKED, Outcome.SKIPPED, None}


def _incidents(platform: PlatformSpec, reports: Sequence[Report], days: Sequence[Day]) -> list[Incident]:
    """Return what is wrong now, then what has ended, newest first."""
    found = [
        Incident(system=f.system, title=_title(platform, f.system), finding=f, began=f.since or f.at)
        for now in latest(reports).values()
        for f in now.system.findings
        if f.outcome.is_problem and f.system in platform.systems
    ]
    over = [
        Incident(
            system=one.finding.system,
            title=_title(platform, one.finding.system),
            finding=one.finding,
            began=one.finding.since or one.finding.at,
            ended=one.at,
        )
        for day in days
        for one in day.ended
    ]
    found.sort(key=lambda one: (one.finding.outcome.rank, -one.began.timestamp()))
    over.sort(key=lambda one: one.ended or one.began, reverse=True)
    return [*found, *over][:_MOST_INCIDENTS]


def _title(platform: PlatformSpec, system: str) -> str:
    spec = platform.systems.get(system)
    return (spec.title if spec else None) or system
