"""What runs out, and when: a platform's measurements looked ahead, and a report of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.advice.model import Advice, Fine, Supposed, Unjudged, When, Wrong
from tasks.core.forecasting.arrays import Floats
from tasks.core.happenings import Happening
from tasks.core.limits import Limit, Worse
from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.results import Outcome, Sample
from tasks.core.run_report import RunReport
from tasks.core.units import Unit, format_quantity

FLOW = "capacity-plan"


class Threshold(Model):
    """One bound of a measurement."""

    text: str
    value: float
    upward: bool = True
    critical: bool = True


@dataclass(frozen=True)
class History:
    """What a measurement was.

    Attributes:
        key: System, measurement and subject: `storage/used[models]`.
        unit: Of the values.
        times: Seconds since 1970, in any order.
        values: As many.
        source: Where it comes from: the query, the kept reports.
        thresholds: Its bounds.
        remedy: What to do about it.
        trouble: Why there is none.
        name: What a person calls it: `memory of worker in apex`; the key where it has no name.
        share: What a ratio is a share of: `its limit`.
        queue: The kind of system that holds the queue whose length it is, and the queue; None where it is of none.
    """

    key: str
    unit: Unit
    times: Floats
    values: Floats
    source: str
    thresholds: tuple[Threshold, ...] = ()
    remedy: str = ""
    trouble: str = ""
    name: str = ""
    share: str = ""
    queue: tuple[str, str] | None = None


class Ahead(Model):
    """What is expected at a moment."""

    at: AwareDatetime
    value: float
    low: float
    high: float


class Reached(Model):
    """When one bound is reached."""

    limit: str
    bound: float
    critical: bool
    state: Literal["already", "within the horizon", "not within the horizon"]
    median: AwareDatetime | None = Field(None, description="As likely before as after.")
    early: AwareDatetime | None = Field(None, description="The early end of the interval.")
    late: AwareDatetime | None = Field(None, description="The late end; None: beyond the horizon.")
    probability: float = Field(description="How likely it is within the horizon.")
    text: str = Field(description="For a person: `in 23 days (17 days to 34 days)`.")


class Outlook(Model):
    """What becomes of one measurement."""

    key: str
    name: str = Field("", description="What a person calls it; the key where it has no name.")
    share: str = Field("", description="What a ratio is a share of: `its limit`.")
    unit: Unit
    source: str
    outcome: Outcome
    now: float | None = None
    reached: tuple[Reached, ...] = Field((), description="Its bounds, the most urgent first.")
    unfit: str = Field("", description="Why there is no forecast.")
    method: str = ""
    mase: float | None = None
    coverage: float | None = None
    yields: bool = Field(default=False, description="Whether seasonal naive was better on it, and is used.")
    notes: tuple[str, ...] = ()
    remedy: str = ""
    ahead: tuple[Ahead, ...] = Field((), description="Some moments to come; later reports grade them.")
    history: tuple[Sample, ...] = Field((), description="What it was, thinned out, where it is drawn.")

    @property
    def pressing(self) -> Reached | None:
        """The bound that is reached first."""
        return self.reached[0] if self.reached else None

    @property
    def called(self) -> str:
        """What a person calls it."""
        return self.name or self.key

    @property
    def quantity(self) -> str:
        """What it is now, for a person."""
        return "" if self.now is None else format_quantity(self.now, self.unit)

    @property
    def observed(self) -> str:
        """What it is now, with what it is a share of."""
        return self.amount(self.quantity)

    def amount(self, quantity: str) -> str:
        """Say a quantity of it with what it is a share of: `90% of its limit`."""
        return f"{quantity} of {self.share}" if self.share and quantity.endswith("%") else quantity


class Grade(Model):
    """How good an earlier report's forecast of one measurement was."""

    key: str
    name: str = Field("", description="What a person calls it; the key where it has no name.")
    moments: int
    covered: int = Field(description="How many of the moments came out inside the interval.")
    error: float = Field(description="Mean error, in the measurement's unit.")
    naive: float | None = Field(None, description="What the same time of the day before would have been off by.")
    alarm: Literal["", "false", "missed"] = Field("", description="Whether a date passed in vain, or came unforeseen.")

    @property
    def lost(self) -> bool:
        """Whether the same time of the day before would have been better."""
        return self.naive is not None and self.error > self.naive


class CapacityReport(RunReport):
    """What runs out first on a platform, ready to render and store."""

    flow: Literal["capacity-plan"] = "capacity-plan"
    horizon_days: float
    outlooks: tuple[Outlook, ...] = Field((), description="The most urgent first.")
    grades: tuple[Grade, ...] = Field((), description="How the report before did.")
    graded: str = Field("", description="The id of the report that is graded.")
    advice: tuple[Advice, ...] = Field((), description="What to change, the most urgent first.")
    fine: tuple[Fine, ...] = Field((), description="What was looked at and is right as it is.")
    unjudged: tuple[Unjudged, ...] = Field((), description="What no advice could be given on, and why.")
    wrong: tuple[Wrong, ...] = Field((), description="What follows where a date is another than the likely one.")
    supposed: tuple[Supposed, ...] = Field((), description="What would follow from what was supposed.")
    happenings: tuple[Happening, ...] = Field((), description="What happened meanwhile, in the order of time.")
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where something critical is reached within a week, unknown where nothing could be judged."""
        outcomes = {one.outcome for one in self.outlooks}
        if any(one.when is When.NOW for one in self.advice):
            outcomes.add(Outcome.WARNED)
        elif self.advice or self.fine:
            outcomes.add(Outcome.PASSED)
        if Outcome.FAILED in outcomes:
            return Verdict.FAILED
        if not outcomes & {Outcome.WARNED, Outcome.PASSED}:
            return Verdict.UNKNOWN
        return Verdict.WARNED if Outcome.WARNED in outcomes or self.notes else Verdict.PASSED


def thresholds_of(limit: Limit, worse: Worse) -> tuple[Threshold, ...]:
    """Return a limit's bounds as thresholds; the first of a platform's own severities is critical, and so is that."""
    severities = list(limit.by_severity)
    return tuple(
        Threshold(
            text=str(bound).lstrip("<>= "),
            value=bound.number,
            upward=bound.comparison.startswith(">") if bound.comparison else worse is Worse.ABOVE,
            critical=path[0] == "critical" or (path[0] == "by_severity" and path[1] == severities[0]),
        )
        for path, bound in limit.bounds()
        if bound.unit is not Unit.YES_NO
    )


def by_urgency(outlooks: Sequence[Outlook]) -> tuple[Outlook, ...]:
    """Put first what runs out first; what could not be judged comes last."""
    return tuple(sorted(outlooks, key=lambda one: (one.outcome.rank, urgency(one.pressing), one.key)))


def urgency(reached: Reached | None) -> tuple[int, float]:
    """Return what sorts bounds: those that are reached already, then by date, then by how likely they are."""
    if reached is None:
        return 3, 0.0
    rank = ("already", "within the horizon", "not within the horizon").index(reached.state)
    return rank, reached.median.timestamp() if reached.median else -reached.probability
