"""The digest: what a whole day was like, made from its reports and from what was measured in the evening. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, computed_field, model_validator

from tasks.core.history import Seen, latest
from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, Verdict, compare
from tasks.core.results import Finding, Measurement, Outcome
from tasks.core.units import Unit

FLOW = "evening-digest"
BUDGET_LEFT = "error_budget_left"
"""The measurement that tells how much of an objective's error budget is left over its period."""


class Story(Model):
    """One problem of the day: as it was seen last, from when to when, and for how many local days."""

    finding: Finding
    began: AwareDatetime
    ended: AwareDatetime | None = None
    days: int = Field(description="How many local midnights it has lasted over.")


class Look(Model):
    """One check of the day."""

    report: str
    at: AwareDatetime
    verdict: Verdict
    systems: int


class Figure(Model):
    """One business metric: now, and at the same time yesterday and a week ago."""

    system: str
    measurement: str
    subject: str = ""
    title: str
    unit: Unit
    now: float | None = None
    yesterday: float | None = None
    last_week: float | None = None
    outcome: Outcome
    limit: str = ""
    note: str = ""


class Target(Model):
    """One objective, or a backup's age, against its target."""

    system: str
    measurement: str
    subject: str = ""
    title: str
    unit: Unit | None = None
    value: float | None = None
    observed: str = ""
    limit: str = ""
    outcome: Outcome
    note: str = ""


class Budget(Model):
    """What is left of an objective's error budget: 1 is all, below 0 it is overspent."""

    system: str
    subject: str = ""
    left: float
    note: str = ""


class Uptime(Model):
    """How often a system answered when it was looked at."""

    system: str
    title: str
    today: Seen
    period: Seen = Field(description="Over the last 30 local days, today among them.")


class Digest(Model):
    """A platform's day, ready to render, store and read back."""

    version: int = 1
    id: str
    platform: str
    title: str
    timezone: str
    flow: Literal["evening-digest"] = "evening-digest"
    environment: str = "production"
    day: date = Field(description="The day where the platform is.")
    since: AwareDatetime = Field(description="What happened from here on is told; most often the digest before.")
    started: AwareDatetime
    finished: AwareDatetime
    scheduled: AwareDatetime | None = None
    looks: tuple[Look, ...] = Field((), description="The checks of the day, in the order of time.")
    new: tuple[Story, ...] = ()
    persisting: tuple[Story, ...] = ()
    silenced: tuple[Story, ...] = Field((), description="There in the evening, and nobody is notified of them.")
    resolved: tuple[Story, ...] = Field((), description="Over now; those that came and went today among them.")
    unseen: tuple[Story, ...] = Field((), description="Of which the last look at their system could not tell.")
    unchecked: tuple[Finding, ...] = ()
    missed: tuple[str, ...] = Field((), description="Systems of the spec that no check of the day looked at.")
    notes: tuple[str, ...] = Field((), description="What a person should know of the digest itself.")
    uptime: tuple[Uptime, ...] = ()
    objectives: tuple[Target, ...] = ()
    budgets: tuple[Budget, ...] = ()
    business: tuple[Figure, ...] = ()
    backups: tuple[Target, ...] = ()
    run_url: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _derived_anew(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if key != "verdict"} if isinstance(data, dict) else data

    @property
    def zone(self) -> ZoneInfo:
        """The time zone for what people read."""
        return ZoneInfo(self.timezone)

    @property
    def standing(self) -> tuple[Story, ...]:
        """The problems of the evening that people are told of: new, persisting, and those of which nobody can tell."""
        return (*self.new, *self.persisting, *self.unseen)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed or warned by what stands in the evening; unknown where something was not looked at all day.

        A problem that nobody is notified of counts as a warning, as in a report.
        """
        found = {story.finding.outcome for story in self.standing}
        if Outcome.FAILED in found:
            return Verdict.FAILED
        shown = {row.outcome for row in (*self.objectives, *self.backups)} | {row.outcome for row in self.business}
        if Outcome.ERRORED in found | shown or self.unseen or self.missed or not self.looks:
            return Verdict.UNKNOWN
        return Verdict.WARNED if found or self.silenced else Verdict.PASSED


class Evening(NamedTuple):
    """What was measured for the digest: now, and what the same systems said a day and a week earlier."""

    now: Sequence[SystemReport] = ()
    yesterday: Sequence[SystemReport] = ()
    last_week: Sequence[SystemReport] = ()


class Open(NamedTuple):
    """A problem that is not known to be over."""

    finding: Finding
    began: datetime
    told: bool


class Problems:
    """The problems that are open, carried from report to report by the rules of `compare`."""

    def __init__(self) -> None:
        self.open: dict[str, Open] = {}
        self.over: list[tuple[Finding, datetime, datetime]] = []

    def add(self, report: Report) -> None:
        """Go on to the next report; the evening measures a part of each system, and hides nothing of the rest."""
        changes = compare(report.systems, self._carried(report))
        looked_at = {system.name for system in report.systems}
        for finding in changes.resolved:
            gone = self.open.pop(finding.key)
            self.over.append((gone.finding, gone.began, report.finished))
        for finding in changes.unseen:
            if finding.system in looked_at and report.flow != FLOW:
                self.open[finding.key] = self.open[finding.key]._replace(told=False)
        for finding in (*changes.new, *changes.persisting, *changes.silenced):
            before = self.open.get(finding.key)
            began = before.began if before else finding.since or finding.at
            self.open[finding.key] = Open(finding, began, told=True)

    def _carried(self, report: Report) -> Report:
        """Return a report whose problems are those that are open."""
        findings = tuple(one.finding for one in self.open.values())
        held = SystemReport(name="carried", kind="", title="", seconds=0, findings=findings)
        return report.model_copy(update={"systems": (held,)})


def make_digest(
    platform: PlatformSpec,
    *,
    day: date,
    since: datetime,
    before: Sequence[Report],
    reports: Sequence[Report],
    evening: Evening,
    uptime: tuple[Mapping[str, Seen], Mapping[str, Seen]],
    **more: Any,
) -> Digest:
    """Make a platform's digest.

    Args:
        platform: The spec.
        day: The day where the platform is.
        since: From when on it is told.
        before: The reports just before that, in the order of time: what was already open.
        reports: The reports from then on, in the order of time; the evening's own measurements are the last.
        evening: What was measured in the evening.
        uptime: How often each system was up today, and over 30 days.
        more: The other fields of a digest, as they are.
    """
    problems = Problems()
    for report in before:
        problems.add(report)
    known, resolved = dict(problems.open), len(problems.over)
    for report in reports:
        problems.add(report)
    covered = {system.name for report in reports for system in report.systems}
    told = {key: one.told and one.finding.system in covered for key, one in problems.open.items()}
    standing = {key: _story(one, platform, day) for key, one in problems.open.items() if told[key]}
    loud = {key: story for key, story in standing.items() if story.finding.quiet is None}
    lasting = _lasting(known, problems, resolved)
    checks = [report for report in reports if report.flow != FLOW]
    findings = [finding for now in latest(checks).values() for finding in now.system.findings]
    measured = [now.system for now in latest(reports).values()]
    seen = {system.name for report in checks for system in report.systems}
    today, period = uptime
    return Digest(
        platform=platform.platform,
        title=platform.title,
        timezone=platform.timezone,
        day=day,
        since=since,
        looks=tuple(
            Look(report=one.id, at=one.finished, verdict=one.verdict, systems=len(one.systems)) for one in checks
        ),
        new=tuple(story for key, story in loud.items() if key not in lasting),
        persisting=tuple(story for key, story in loud.items() if key in lasting),
        silenced=tuple(story for key, story in standing.items() if key not in loud),
        resolved=tuple(
            _story(Open(finding, began, told=True), platform, day, ended)
            for finding, began, ended in problems.over[resolved:]
            if finding.key not in problems.open
        ),
        unseen=tuple(_story(one, platform, day) for key, one in problems.open.items() if not told[key]),
        unchecked=tuple(one for one in findings if one.outcome in (Outcome.NOT_CHECKED, Outcome.SKIPPED)),
        missed=tuple(name for name in platform.systems if name not in seen),
        uptime=tuple(
            Uptime(system=name, title=spec.title or name, today=today.get(name, Seen()), period=period[name])
            for name, spec in platform.systems.items()
            if name in period
        ),
        objectives=tuple(_targets(platform, platform.digest.objectives, measured)),
        budgets=_budgets(reports),
        business=tuple(_figures(platform, measured, evening)),
        backups=tuple(_targets(platform, platform.digest.backups, measured)),
        **more,
    )


def _lasting(known: Mapping[str, Open], problems: Problems, resolved: int) -> set[str]:
    """Return what was open all along: what was over in between, and is back, is new."""
    return known.keys() - {finding.key for finding, _, _ in problems.over[resolved:]}


def _story(one: Open, platform: PlatformSpec, day: date, ended: datetime | None = None) -> Story:
    last = ended.astimezone(platform.zone).date() if ended else day
    days = max(0, (last - one.began.astimezone(platform.zone).date()).days)
    return Story(finding=one.finding, began=one.began, ended=ended, days=days)


def _targets(platform: PlatformSpec, entries: Iterable[str], measured: Sequence[SystemReport]) -> list[Target]:
    """Return each entry with what was measured of it; what was not is said."""
    rows = []
    for entry in entries:
        system, _, name = entry.partition(".")
        title = title_of(platform, entry)
        found = _found(system, name, measured)
        if not found:
            rows.append(_untold(system, name, title, measured))
        for finding, reading in found:
            rows.append(
                Target(
                    system=system,
                    measurement=name,
                    subject=finding.subject if finding else reading.subject if reading else "",
                    title=title,
                    unit=reading.unit if reading else None,
                    value=_number(reading),
                    observed=reading.text if reading else "",
                    limit=finding.limit if finding else "",
                    outcome=finding.outcome if finding else Outcome.SKIPPED,
                    note=finding.note if finding else reading.note if reading else "",
                )
            )
    return rows


def _untold(system: str, name: str, title: str, measured: Sequence[SystemReport]) -> Target:
    """Say why there is no value: what the system's check says of itself, or that there was none."""
    reasons = [f for one in measured if one.name == system for f in one.findings if f.outcome.is_problem]
    reason = reasons[0].note if reasons else "it was not measured"
    return Target(system=system, measurement=name, title=title, outcome=Outcome.ERRORED, note=reason)


Pair = tuple[Finding | None, Measurement | None]


def _found(system: str, name: str, measured: Sequence[SystemReport]) -> list[Pair]:
    """Return the findings and measurements of a name by subject."""
    pairs: dict[str, Pair] = {}
    for one in measured:
        if one.name == system:
            pairs |= {reading.subject: (None, reading) for reading in one.measurements if reading.name == name}
            for finding in one.findings:
                if finding.measurement == name:
                    pairs[finding.subject] = (finding, pairs.get(finding.subject, (None, None))[1])
    return list(pairs.values())


def _figures(platform: PlatformSpec, measured: Sequence[SystemReport], evening: Evening) -> list[Figure]:
    figures = []
    for row in _targets(platform, platform.digest.business, measured):
        then = [_then(row, past) for past in (evening.yesterday, evening.last_week)]
        unit = row.unit or next((reading.unit for reading in then if reading is not None), Unit.COUNT)
        figures.append(
            Figure(
                **row.model_dump(include={"system", "measurement", "subject", "title", "outcome", "limit", "note"}),
                unit=unit,
                now=row.value,
                yesterday=_number(then[0]),
                last_week=_number(then[1]),
            )
        )
    return figures


def _then(row: Target, past: Sequence[SystemReport]) -> Measurement | None:
    readings = (reading for _, reading in _found(row.system, row.measurement, past) if reading is not None)
    return next((reading for reading in readings if reading.subject == row.subject), None)


def _number(reading: Measurement | None) -> float | None:
    return None if reading is None or isinstance(reading.value, str) else float(reading.value)


def _budgets(reports: Iterable[Report]) -> tuple[Budget, ...]:
    """Return every error budget as it was measured last."""
    found: dict[tuple[str, str], Budget] = {}
    for system in (system for report in reports for system in report.systems):
        for reading in system.measurements:
            if reading.name == BUDGET_LEFT and (left := _number(reading)) is not None:
                found[system.name, reading.subject] = Budget(
                    system=system.name, subject=reading.subject, left=left, note=reading.note
                )
    return tuple(found.values())


def title_of(platform: PlatformSpec, entry: str) -> str:
    """Name an entry of the digest for a person: `try on success`, `Database backups, newest object`."""
    system, _, name = entry.partition(".")
    spec = platform.systems[system]
    words = name.replace("_", " ")
    return words if spec.REMEMBERS else f"{spec.title or system}, {words}"


def change(now: float | None, then: float | None) -> float | None:
    """Return the change as a share of what was; None where it cannot be told."""
    return None if now is None or then is None or then == 0 else now / then - 1


def window(day: date, zone: ZoneInfo, now: datetime, previous: datetime | None) -> tuple[datetime, datetime]:
    """Return from when to when a day's digest tells.

    Today's goes from the digest of an earlier day, at most a week back, or from 24 hours ago, until now; an earlier
    day's from midnight to midnight.
    """
    if day == now.astimezone(zone).date():
        begin = now - timedelta(days=1) if previous is None else max(previous, now - timedelta(days=7))
        return begin, now
    midnight = datetime.combine(day, datetime.min.time(), zone)
    following = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
    return midnight, following
