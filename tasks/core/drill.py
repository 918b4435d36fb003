"""A drill: how long it takes to be back after a disaster, how much is lost, and what proves it. Pure.

RTO is the time from the disaster's detection until the last system is verified; systems are restored side by side, so
the phases told are those of the slowest. RPO is the disaster's time minus the newest record that came back, of the
system that lost most: what was written is asked of the restored copy itself, never of the backup's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.drill_plan import Scenario
from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.restore import Assertion, Phase
from tasks.core.results import Outcome
from tasks.core.run_report import RunReport

FLOW = "dr-drill"
QUARTER = timedelta(days=91)
LEAST_SPAN = timedelta(days=14)
"""Drills within less time than this tell nothing of how the data grow."""


class PhaseTime(Model):
    """One phase of one system's recovery."""

    phase: Phase
    began: AwareDatetime
    seconds: float = Field(ge=0)


class SystemRecovery(Model):
    """How one system came back, or did not."""

    system: str
    kind: str
    backup: str = Field("", description="Id of the backup that was restored; empty where there is none.")
    vault: str = ""
    outcome: Outcome = Field(description="Passed where it was restored and everything held.")
    phases: tuple[PhaseTime, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    recovered_to: AwareDatetime | None = Field(None, description="The newest record that came back.")
    stored_bytes: int = 0
    plain_bytes: int = 0
    error: str = Field("", description="Why it did not come back, or how far it came.")
    hint: str = ""
    details: dict[str, Any] = Field(default_factory=dict, description="What else is worth telling; never a secret.")
    warnings: tuple[str, ...] = Field((), description="What is not as it might be taken to be, for a person.")

    @property
    def seconds(self) -> float:
        """From the first phase's beginning to the last one's end."""
        if not self.phases:
            return 0.0
        began = min(phase.began for phase in self.phases)
        return max((phase.began - began).total_seconds() + phase.seconds for phase in self.phases)


class NegativeControl(Model):
    """A deliberately damaged copy, which must be seen to be damaged."""

    name: str = Field(description="`truncated`, `bit-flipped`, `missing log`, `wrong key`, `older schema`.")
    system: str
    red: bool = Field(description="Whether the damage was seen; one that stays green fails the drill.")
    seen: str = Field("", description="What was seen, in the check's own words.")


class RecoveryTime(Model):
    """How long it takes to be back."""

    seconds: float
    phases: dict[str, float] = Field(default_factory=dict, description="Of the slowest system, in seconds.")
    slowest: str = Field("", description="The system that takes longest.")
    target: float | None = Field(None, description="The objective in seconds; None where the spec has none.")

    @property
    def outcome(self) -> Outcome:
        """Held against the objective."""
        return _within(self.seconds, self.target)


class RecoveryPoint(Model):
    """How much is lost."""

    seconds: float | None = Field(None, description="None where no restored system tells its newest record.")
    newest_record: AwareDatetime | None = Field(None, description="Of the system that lost most.")
    worst: str = Field("", description="The system that lost most.")
    target: float | None = Field(None, description="The objective in seconds; None where the spec has none.")

    @property
    def outcome(self) -> Outcome:
        """Held against the objective; not checked where it could not be measured."""
        return Outcome.NOT_CHECKED if self.seconds is None else _within(self.seconds, self.target)


def _within(seconds: float, target: float | None) -> Outcome:
    if target is None:
        return Outcome.SKIPPED
    return Outcome.PASSED if seconds <= target else Outcome.FAILED


class Past(NamedTuple):
    """One earlier drill of the same platform and scenario."""

    at: datetime
    rto: float
    rpo: float | None
    plain_bytes: int
    verdict: Verdict


class Projection(Model):
    """What a drill would take at another size, fitted through the drills that there were."""

    plain_bytes: int = Field(description="At this size.")
    seconds: float
    at: AwareDatetime | None = Field(None, description="When the data are expected to have this size.")
    basis: str = Field(description="What it rests on, for a person.")


class Drill(RunReport):
    """Everything about one drill, ready to render, store and read back."""

    flow: Literal["dr-drill"] = "dr-drill"
    scenario: Scenario
    disaster: AwareDatetime = Field(description="The moment at which the disaster is taken to have happened.")
    restore_point: str = ""
    phases: tuple[PhaseTime, ...] = Field((), description="What is done once for all systems: detect, the last checks.")
    systems: tuple[SystemRecovery, ...] = ()
    preflight: tuple[Assertion, ...] = Field((), description="What was looked at before anything was restored.")
    assertions: tuple[Assertion, ...] = Field((), description="Over several systems: reconciliation, smoke tests.")
    negative_controls: tuple[NegativeControl, ...] = ()
    not_covered: tuple[str, ...] = Field((), description="What this drill did not prove, for a person.")
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")
    interrupted: str = Field("", description="Why it ended before its end, and how far it came.")
    left_running: tuple[str, ...] = Field((), description="What could not be torn down.")
    rto_target: float | None = None
    rpo_target: float | None = None
    rpo_systems: tuple[str, ...] = Field((), description="Whose newest records count for the RPO; all where empty.")
    trend: tuple[Past, ...] = Field((), description="Earlier drills, oldest first.")
    next_quarter: Projection | None = Field(None, description="None as long as drills tell no growth.")
    at_twice: Projection | None = Field(None, description="What a drill of twice this one's size would take.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rto(self) -> RecoveryTime:
        """How long it takes to be back."""
        slowest = max(self.systems, key=lambda one: one.seconds, default=None)
        spent = [*self.phases, *(phase for one in self.systems for phase in one.phases)]
        began = [phase.began for phase in spent]
        ended = [phase.began + timedelta(seconds=phase.seconds) for phase in spent]
        seconds = (max(ended) - min(began)).total_seconds() if began else 0.0
        phases: dict[str, float] = {}
        for one in (*self.phases, *(slowest.phases if slowest is not None else ())):
            phases[one.phase] = round(phases.get(one.phase, 0.0) + one.seconds, 3)
        name = slowest.system if slowest is not None else ""
        return RecoveryTime(seconds=round(seconds, 3), phases=phases, slowest=name, target=self.rto_target)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rpo(self) -> RecoveryPoint:
        """How much is lost, of the systems that count."""
        counted = [one for one in self.systems if not self.rpo_systems or one.system in self.rpo_systems]
        told = [(one.recovered_to, one.system) for one in counted if one.recovered_to is not None]
        if not told:
            return RecoveryPoint(target=self.rpo_target)
        oldest, system = min(told)
        lost = max((self.disaster - oldest).total_seconds(), 0.0)
        return RecoveryPoint(seconds=round(lost, 3), newest_record=oldest, worst=system, target=self.rpo_target)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where anything did not come back, did not hold or stayed green; unknown where it could not be told.

        A drill that was interrupted, or that restored nothing, proves nothing and is unknown at best.
        """
        outcomes = {one.outcome for one in self.systems} | {one.outcome for one in self.all_assertions()}
        outcomes |= {self.rto.outcome, self.rpo.outcome} if self.systems else set()
        blind = any(not control.red for control in self.negative_controls)
        if Outcome.FAILED in outcomes or blind or self.left_running:
            return Verdict.FAILED
        proven = any(one.outcome is Outcome.PASSED for one in self.systems)
        if Outcome.ERRORED in outcomes or self.interrupted or not proven:
            return Verdict.UNKNOWN
        return Verdict.WARNED if outcomes & {Outcome.WARNED, Outcome.NOT_CHECKED} else Verdict.PASSED

    def all_assertions(self) -> tuple[Assertion, ...]:
        """Return what was held against each system and against all of them."""
        return (*(one for system in self.systems for one in system.assertions), *self.assertions)

    @property
    def plain_bytes(self) -> int:
        """How much was restored."""
        return sum(system.plain_bytes for system in self.systems)

    def as_past(self) -> Past:
        """Return what later drills need of it."""
        return Past(self.started, self.rto.seconds, self.rpo.seconds, self.plain_bytes, self.verdict)


def outcome_of(assertions: Iterable[Assertion]) -> Outcome:
    """Return what a system's assertions say of it: the worst of them, of those that were held against anything."""
    held = [one.outcome for one in assertions if one.outcome is not Outcome.SKIPPED]
    return min(held, key=lambda outcome: outcome.rank, default=Outcome.NOT_CHECKED)


def project(past: Sequence[Past], size: int, at: datetime | None = None) -> Projection | None:
    """Say how long a drill would take at a size, from the drills that came to their end.

    With drills of at least two sizes a line is fitted (a fixed part, and a part that grows with the bytes); with one
    size the time is scaled with the bytes, which errs on the safe side for a larger size.

    Args:
        past: Earlier drills and this one.
        size: Plain bytes.
        at: When the data are expected to have that size.
    """
    usable = _usable(past)
    if not usable:
        return None
    fixed, rate = _line(usable)
    basis = f"{len(usable)} drills" if len(usable) > 1 else "one drill alone"
    return Projection(plain_bytes=size, seconds=round(max(fixed + rate * size, 0.0), 1), at=at, basis=basis)


def _usable(past: Sequence[Past]) -> list[Past]:
    """Return the drills that came to their end and measured something, oldest first."""
    told = [one for one in past if one.verdict is not Verdict.UNKNOWN and one.plain_bytes > 0 and one.rto > 0]
    return sorted(told, key=lambda one: one.at)


def _line(past: Sequence[Past]) -> tuple[float, float]:
    """Return the fixed seconds and the seconds per byte, neither of them negative."""
    sizes, times = [float(one.plain_bytes) for one in past], [one.rto for one in past]
    middle, level = fmean(sizes), fmean(times)
    spread = sum((size - middle) ** 2 for size in sizes)
    scaled = sum(times) / sum(sizes)
    if spread <= (0.01 * middle) ** 2 * len(sizes):
        return 0.0, scaled
    rate = sum((size - middle) * (time - level) for size, time in zip(sizes, times, strict=True)) / spread
    fixed = level - rate * middle
    if rate < 0:
        return level, 0.0
    return (0.0, scaled) if fixed < 0 else (fixed, rate)


def next_quarter(past: Sequence[Past]) -> Projection | None:
    """Project the drill of the next quarter: the size grows on as it grew since the first drill, and never shrinks.

    None where no two drills lie two weeks or more apart: nobody can tell a growth from them.
    """
    known = _usable(past)
    if not known or known[-1].at - known[0].at < LEAST_SPAN:
        return None
    growth = (known[-1].plain_bytes - known[0].plain_bytes) / (known[-1].at - known[0].at).total_seconds()
    size = round(known[-1].plain_bytes + max(growth, 0.0) * QUARTER.total_seconds())
    return project(known, size, known[-1].at + QUARTER)


def as_answer(drill: Drill) -> Mapping[str, Any]:
    """Return the drill as the command answers it with `--json`."""
    rto, rpo = drill.rto, drill.rpo
    return {
        "verdict": drill.verdict,
        "platform": drill.platform,
        "scenario": drill.scenario,
        "restore_point": drill.restore_point,
        "disaster": drill.disaster.isoformat(),
        "rto": {"seconds": rto.seconds, "phases": rto.phases, "slowest": rto.slowest, "target": rto.target},
        "rpo": {
            "seconds": rpo.seconds,
            "newest_record": rpo.newest_record.isoformat() if rpo.newest_record else None,
            "worst": rpo.worst,
            "target": rpo.target,
        },
        "systems": [one.model_dump(mode="json", exclude={"assertions"}) for one in drill.systems],
        "assertions": [
            *(
                {"system": one.system, **held.model_dump(mode="json")}
                for one in drill.systems
                for held in one.assertions
            ),
            *({"system": "", **held.model_dump(mode="json")} for held in drill.assertions),
        ],
        "preflight": [one.model_dump(mode="json") for one in drill.preflight],
        "negative_controls": [one.model_dump(mode="json") for one in drill.negative_controls],
        "not_covered": list(drill.not_covered),
        "interrupted": drill.interrupted,
        "left_running": list(drill.left_running),
        "next_quarter": drill.next_quarter.model_dump(mode="json") if drill.next_quarter else None,
        "at_twice": drill.at_twice.model_dump(mode="json") if drill.at_twice else None,
        "report": drill.id,
    }
