"""A quarter's drills of every platform: who would be back as promised, who would not, and who was not drilled. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.drill import Drill, Past, Projection, RecoveryPoint, RecoveryTime
from tasks.core.drill_plan import Scenario
from tasks.core.errors import ConfigError
from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.run_report import RunReport

FLOW = "dr-quarter"
WRITTEN = r"^\d{4}Q[1-4]$"
"""How a quarter is written."""
_MONTHS = 3
_WHOLE = (Scenario.COMPLETE, Scenario.LOST_REGION)
"""The disasters that take all of a platform away."""
_BAD = (Outcome.FAILED, Outcome.ERRORED)


class Quarter(NamedTuple):
    """A quarter of a year, in UTC."""

    year: int
    number: int

    def __str__(self) -> str:
        """Return it as it is written: `2026Q4`."""
        return f"{self.year}Q{self.number}"

    @classmethod
    def of(cls, at: datetime) -> Quarter:
        """Return the quarter that a moment lies in."""
        moment = at.astimezone(UTC)
        return cls(moment.year, (moment.month - 1) // _MONTHS + 1)

    @classmethod
    def read(cls, text: str) -> Quarter:
        """Read a quarter as it is written.

        Raises:
            ConfigError: It is none.
        """
        if not re.fullmatch(WRITTEN, text):
            raise ConfigError(f"{text!r} is no quarter", hint="write the year and the quarter, such as 2026Q4")
        return cls(int(text[:4]), int(text[5]))

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, _MONTHS * (self.number - 1) + 1, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return (Quarter(self.year + 1, 1) if self.number == 4 else Quarter(self.year, self.number + 1)).begins  # noqa: PLR2004


class Drilled(Model):
    """What one drill came to, without its assertions one by one."""

    id: str
    at: AwareDatetime
    scenario: Scenario
    verdict: Verdict
    is_whole: bool = Field(description="Whether every system that is backed up now was a part of it.")
    rto: RecoveryTime
    rpo: RecoveryPoint
    plain_bytes: int = 0
    held: int = Field(0, description="So many assertions held.")
    assertions: int = 0
    red: int = Field(0, description="So many damaged copies were seen to be damaged.")
    controls: int = 0
    said: str = Field("", description="The result in a sentence.")
    cures: tuple[str, ...] = Field((), description="What to do about what did not come back, in its own words.")
    not_covered: tuple[str, ...] = ()
    interrupted: str = ""
    next_quarter: Projection | None = None
    page: str = Field("", description="Where a person finds its report.")
    evidence: str = Field("", description="Where a person finds its evidence; empty where none is kept.")
    evidence_sha256: str = ""

    @property
    def outcome(self) -> Outcome:
        """Its verdict as an outcome; one that proves nothing is errored."""
        return _OUTCOMES[self.verdict]


_OUTCOMES = {
    Verdict.FAILED: Outcome.FAILED,
    Verdict.UNKNOWN: Outcome.ERRORED,
    Verdict.WARNED: Outcome.WARNED,
    Verdict.PASSED: Outcome.PASSED,
}


def summed_up(
    drill: Drill, systems: Iterable[str], said: str, *, page: str = "", evidence: str = "", sha256: str = ""
) -> Drilled:
    """Return what a quarter's report needs of a drill.

    Args:
        drill: As it was kept.
        systems: Those of the platform that are backed up now.
        said: Its result in a sentence.
        page: Where its report is.
        evidence: Where its evidence is.
        sha256: Of the evidence.
    """
    everything = drill.all_assertions()
    return Drilled(
        id=drill.id,
        at=drill.started,
        scenario=drill.scenario,
        verdict=drill.verdict,
        is_whole=not drill.interrupted and set(systems) <= {one.system for one in drill.systems},
        rto=drill.rto,
        rpo=drill.rpo,
        plain_bytes=drill.plain_bytes,
        held=sum(one.outcome is Outcome.PASSED for one in everything),
        assertions=len(everything),
        red=sum(one.red for one in drill.negative_controls),
        controls=len(drill.negative_controls),
        said=said,
        cures=tuple(dict.fromkeys(f"{one.system}: {one.hint}" for one in drill.systems if one.hint)),
        not_covered=drill.not_covered,
        interrupted=drill.interrupted,
        next_quarter=drill.next_quarter,
        page=page,
        evidence=evidence,
        evidence_sha256=sha256,
    )


class PlatformQuarter(Model):
    """One platform's quarter."""

    platform: str
    title: str
    timezone: str = "UTC"
    protected: int = Field(0, description="So many of its systems are backed up.")
    rto_target: float | None = Field(None, description="The spec's objective now, in seconds.")
    rpo_target: float | None = None
    wanted: tuple[Scenario, ...] = Field((), description="The disasters that the spec wants rehearsed each quarter.")
    drills: tuple[Drilled, ...] = Field((), description="Of the quarter, oldest first.")
    past: tuple[Past, ...] = Field((), description="Drills of the whole platform before the newest one, oldest first.")
    trouble: str = Field("", description="Why nothing can be told of it.")

    @property
    def newest(self) -> Drilled | None:
        """The newest drill that came to its end and restored the whole platform."""
        return next((one for one in reversed(self.drills) if one.is_whole and one.scenario in _WHOLE), None)

    @property
    def before(self) -> Past | None:
        """The drill to compare the newest one with."""
        return self.past[-1] if self.past else None

    @property
    def missed(self) -> tuple[Scenario, ...]:
        """The disasters that were wanted and of which no drill of the quarter came to its end."""
        done = {one.scenario for one in self.drills if not one.interrupted}
        return tuple(one for one in self.wanted if one not in done)

    @property
    def newest_of_each(self) -> tuple[Drilled, ...]:
        """The newest drill of each scenario that came to its end, besides `newest`."""
        found = {one.scenario: one for one in self.drills if not one.interrupted}
        return tuple(one for one in found.values() if one != self.newest)

    @property
    def outcome(self) -> Outcome:
        """Failed where it was not drilled as a whole, or would not be back; errored where nobody can tell.

        That a part alone leaves something open, as the application has not all of its stores then, is in its nature.
        """
        if self.trouble:
            return Outcome.ERRORED
        if not self.protected:
            return Outcome.NOT_CHECKED
        if self.newest is None:
            return Outcome.FAILED
        told = [self.newest.outcome, *(one.outcome for one in self.newest_of_each if one.outcome in _BAD)]
        told += [Outcome.WARNED] if self.missed else []
        return min(told, key=lambda one: one.rank)


class QuarterReport(RunReport):
    """The quarter's drills of every platform, ready to render and store."""

    flow: Literal["dr-quarter"] = "dr-quarter"
    quarter: str = Field(pattern=WRITTEN)
    platforms: tuple[PlatformQuarter, ...]
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @property
    def is_over(self) -> bool:
        """Whether nothing can be added to the quarter any more."""
        return self.finished >= Quarter.read(self.quarter).ends

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """As bad as the worst platform; unknown where there is none that could be told."""
        outcomes = {one.outcome for one in self.platforms}
        if Outcome.FAILED in outcomes:
            return Verdict.FAILED
        if Outcome.ERRORED in outcomes or not outcomes & {Outcome.PASSED, Outcome.WARNED}:
            return Verdict.UNKNOWN
        return Verdict.WARNED if outcomes & {Outcome.WARNED, Outcome.NOT_CHECKED} else Verdict.PASSED


def of_platform(
    spec: PlatformSpec, quarter: Quarter, drills: Iterable[Drilled], *, trouble: str = ""
) -> PlatformQuarter:
    """Put a platform's quarter together.

    Args:
        spec: The platform as it is described now.
        quarter: Which one.
        drills: All that are known of it, in any order, before the quarter as well.
        trouble: Why nothing can be told of it.
    """
    known = sorted((one for one in drills if one.at < quarter.ends), key=lambda one: (one.at, one.id))
    made = PlatformQuarter(
        platform=spec.platform,
        title=spec.title,
        timezone=spec.timezone,
        protected=len(spec.protected),
        rto_target=spec.recovery.rto.total_seconds() if spec.recovery else None,
        rpo_target=spec.recovery.rpo.total_seconds() if spec.recovery else None,
        wanted=spec.drill.scenarios,
        drills=tuple(one for one in known if one.at >= quarter.begins),
        trouble=trouble,
    )
    newest = made.newest
    if newest is None:
        return made
    like = (one for one in known if one.is_whole and one.scenario is newest.scenario and one.at < newest.at)
    past = tuple(Past(one.at, one.rto.seconds, one.rpo.seconds, one.plain_bytes, one.verdict) for one in like)
    return made.model_copy(update={"past": past})


def unread(name: str, title: str, trouble: str) -> PlatformQuarter:
    """Return a platform of which nothing can be told, as its spec cannot be read."""
    return PlatformQuarter(platform=name, title=title, trouble=trouble)
