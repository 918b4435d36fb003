"""What a check brings home: measurements, gaps where nothing could be measured, and findings that judge them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, Field

from tasks.core.errors import NotOffered, WatchkeeperError
from tasks.core.model import Model
from tasks.core.units import Unit, format_quantity


class Outcome(StrEnum):
    """What became of one thing that was to be checked, worst first."""

    FAILED = "failed"
    ERRORED = "errored"
    WARNED = "warned"
    NOT_CHECKED = "not checked"
    SKIPPED = "skipped"
    PASSED = "passed"

    @cached_property
    def rank(self) -> int:
        """0 for the worst outcome; sorts findings."""
        return list(Outcome).index(self)

    @cached_property
    def is_problem(self) -> bool:
        """Whether a person should look: failed, errored or warned."""
        return self in (Outcome.FAILED, Outcome.ERRORED, Outcome.WARNED)


class Sample(NamedTuple):
    """One point of a short history."""

    at: datetime
    value: float


class Measurement(Model):
    """A named value with a unit and a time, read from a live system. It judges nothing."""

    name: str
    value: float | bool | str
    unit: Unit
    at: AwareDatetime
    subject: str = Field(
        "", description="The part of the system it is of: a path, a table, a pod. Empty for all of it."
    )
    note: str = Field("", description="What a person should know of it: the reason of a refusal, the slowest query.")
    series: tuple[Sample, ...] = Field((), description="Its recent history where the system itself keeps one.")

    @property
    def text(self) -> str:
        """The value for a person."""
        return format_quantity(self.value, self.unit)


class Gap(Model):
    """Something that was to be measured and was not: errored, not checked, or skipped."""

    outcome: Outcome
    reason: str
    name: str = Field("", description="The measurement; empty for the whole system.")
    subject: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: WatchkeeperError, name: str, subject: str = "") -> Gap:
        """Say why one measurement could not be taken; what a system does not offer is `not checked`, not an error."""
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else Outcome.ERRORED
        return cls(outcome=outcome, reason=error.message, name=name, subject=subject, hint=error.hint or "")


Reading = Measurement | Gap


class Quiet(Model):
    """Why nobody is notified of a problem. It stays in the report, and quiet is never the same as resolved."""

    why: Literal["dependency", "maintenance", "acknowledged", "snoozed"]
    text: str = Field(description="For a person: `depends on cache, which does not answer`.")
    until: AwareDatetime | None = Field(None, description="When it ends by itself; None where something must change.")


class Finding(Model):
    """A measurement held against its limit, or the plain statement that there was nothing to hold."""

    system: str
    measurement: str
    subject: str = ""
    outcome: Outcome
    severity: str | None = Field(None, description="One of the platform's severities; only problems have one.")
    observed: str = Field("", description="The value for a person.")
    value: float | None = None
    unit: Unit | None = None
    limit: str = Field("", description="The limit for a person: `above 80%`.")
    bound: float | None = Field(None, description="The breached bound in `unit`, or the nearest; None where none is.")
    worse: Literal["above", "below"] | None = Field(None, description="On which side of the bound the trouble is.")
    note: str = ""
    remedy: str = ""
    at: AwareDatetime
    since: AwareDatetime | None = Field(None, description="Since when it has been a problem, as far as is known.")
    track: str = Field(
        "", description="What the last looks saw, oldest first: P passed, W warned, F failed, E could not tell."
    )
    flapping: bool = Field(default=False, description="It changes so often that no single look says how it is.")
    quiet: Quiet | None = Field(None, description="Why nobody is notified of this problem; None where people are.")

    @property
    def is_loud(self) -> bool:
        """Whether it is a problem that people are to be notified of."""
        return self.outcome.is_problem and self.quiet is None

    @property
    def key(self) -> str:
        """The same thing has the same key in every report."""
        return f"{self.system}/{self.measurement}" + (f"[{self.subject}]" if self.subject else "")

    @property
    def label(self) -> str:
        """What it is of, for a person: `api /health latency`."""
        name = self.measurement.replace("_", " ")
        return " ".join(part for part in (self.system, self.subject, name) if part)
