"""What a spec says of logs, and what is counted in them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from tasks.core.limits import Catalog, Limit, Measure, limits_field
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec, Use, limit_severities
from tasks.core.units import Duration, Unit
from tasks.core.windows import ZoneName

CATALOG = Catalog(
    Measure(
        name="matches",
        words="lines that match {subject} in {system}",
        unit=Unit.COUNT,
        help="Lines that match a pattern within the time looked back, by pattern; the note names the commonest.",
        remedy="Read the lines around them; the note says which are the commonest.",
    ),
    Measure(
        name="rate",
        words="lines a second that match {subject} in {system}",
        unit=Unit.RATE,
        help="Matching lines a second, by pattern.",
    ),
    Measure(
        name="most_by_one",
        words="lines of the busiest one that match {subject} in {system}",
        unit=Unit.COUNT,
        help="Matches of the one that has the most (an address, a type), by pattern; only where it says `by` what.",
    ),
    Measure(
        name="bytes_read",
        words="size of {system}",
        unit=Unit.BYTES,
        help="How much was read; reading is bounded in bytes and time.",
    ),
)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Expression = Annotated[str, AfterValidator(_compiles)]


class Pattern(Model):
    """What to count."""

    match: Expression = Field(
        description="Regular expression; `(?P<by>...)` counts by what it matches, `(?P<value>...)` is a number."
    )
    by: str | None = Field(None, description="Field of lines that are JSON by which is counted, such as `error_type`.")
    over: float | None = Field(None, description="Count only where `(?P<value>...)` is a number above this.")
    limits: dict[Literal["matches", "rate", "most_by_one"], Limit] = Field(
        default_factory=dict, description="Bounds on what is counted."
    )

    @model_validator(mode="after")
    def _has_its_groups(self) -> Pattern:
        groups = re.compile(self.match).groupindex
        if (self.over is None) == ("value" in groups):
            raise ValueError("`over` and a group `(?P<value>...)` belong together")
        if self.by is not None and "by" in groups:
            raise ValueError("count either by a field or by a group `(?P<by>...)`")
        return self

    @property
    def divides(self) -> bool:
        """Whether it counts by something."""
        return self.by is not None or "by" in re.compile(self.match).groupindex


class Spec(SystemSpec):
    """Logs in which patterns are counted."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["logs"]
    inside: str | None = Field(
        None, alias="in", description="The system of kind `kubernetes` or `compose` whose logs they are."
    )
    selector: str | None = Field(None, description="Label selector of the pods, such as `app=stylesync-api`.")
    services: tuple[str, ...] = Field((), description="Compose services.")
    files: tuple[str, ...] = Field((), description="Paths or globs of files; rotated ones beside them are found.")
    folder: Address = Field(".", description="Where files are whose paths are relative.")
    timezone: ZoneName = Field("UTC", description="IANA time zone of times in files that name none.")
    since: Duration = Field(timedelta(hours=1), description="How far to look back.")
    patterns: dict[str, Pattern] = Field(min_length=1, description="What to count, by name.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _one_source(self) -> Spec:
        if (self.inside is None) == (not self.files):
            raise ValueError("logs come from exactly one of `in` and `files`")
        if self.selector is not None and self.services:
            raise ValueError("`selector` chooses pods and `services` Compose services: give one of them")
        return self

    @property
    def is_local(self) -> bool:
        """Whether they are files of this machine."""
        return self.inside is None

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return the pattern's own limit where it has one."""
        general = super().limit(measurement)
        pattern = self.patterns.get(measurement.subject)
        own = {str(name): limit for name, limit in pattern.limits.items()}.get(measurement.name) if pattern else None
        return own.over(general) if own is not None else general

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name the severities of single patterns too."""
        named = super().severities()
        for name, pattern in self.patterns.items():
            for measure, limit in pattern.limits.items():
                named += limit_severities(limit, ("patterns", name, "limits", measure))
        return named

    def uses(self) -> tuple[Use, ...]:
        """Name the system whose logs they are too."""
        own = (Use(("in",), self.inside, ("kubernetes", "compose")),) if self.inside is not None else ()
        return (*super().uses(), *own)
