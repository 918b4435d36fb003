"""What a spec says of a Prometheus, and what can be measured there: objectives, and alerts that fire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.core.limits import REACHABLE, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.references import Address, SecretReference
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec, limit_severities
from tasks.core.units import EXAMPLES, Unit

CATALOG = Catalog(
    Measure(name="latency", unit=Unit.SECONDS, help="Time that the server took for a trivial query."),
    Measure(
        name="firing_alerts",
        unit=Unit.COUNT,
        help="How many alerts fire (/api/v1/alerts), and their names; measured only where `limits` names it.",
        remedy="Open the alerts page of this Prometheus, and follow each alert's own runbook.",
    ),
)


class Objective(Limit):
    """A PromQL query with what is too much of it; `for` counts from the server's own history.

    The bad side is in the bound (`< 99.5%`), above where it has no comparison. The unit is that of the bounds; a ratio
    is what the query answers as 0 to 1.
    """

    query: str = Field(description="PromQL that answers one number for each series.", min_length=1)
    title: str | None = Field(None, description="What it says, in a line; the query by default.")
    unit: Literal[Unit.RATIO, Unit.SECONDS, Unit.BYTES, Unit.COUNT, Unit.RATE, Unit.YES_NO] | None = Field(
        None, description="What the answer is counted in; that of the bounds by default, a count where there are none."
    )
    single: bool = Field(
        default=False, description="Whether the query must answer one series; else each is held against the limit."
    )
    empty: Literal["errored", "not checked", "zero"] = Field(
        "errored", description="What no data means: it could not be told, it is not measured here, or nothing happened."
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Objective:
        units = {bound.unit for _, bound in self.bounds()}
        if len(units | {self.measured_in}) > 1:
            bounds = ", ".join(f"{path[-1]} {bound}" for path, bound in self.bounds())
            if self.unit is None:
                raise ValueError(f"its bounds have different units: {bounds}")
            raise ValueError(f"its unit is {self.unit.value}, written like {EXAMPLES[self.unit]}, not {bounds}")
        return self

    @property
    def measured_in(self) -> Unit:
        """The unit that is given, that of the first bound, or a count."""
        return self.unit or next((bound.unit for _, bound in self.bounds()), Unit.COUNT)

    @property
    def worse(self) -> Worse:
        """The bad side, as the bounds' comparisons tell it."""
        below = any((bound.comparison or ">").startswith("<") for _, bound in self.bounds())
        return Worse.BELOW if below else Worse.ABOVE

    @property
    def window(self) -> timedelta | None:
        """The longest time that a breach must hold before it counts, if any bound asks for one."""
        return max(self._lasting(), default=None)

    def _lasting(self) -> Iterator[timedelta]:
        tiers = (tier.lasting for tier in self.by_severity.values())
        yield from (lasting for lasting in (self.lasting, *tiers) if lasting is not None)


class Spec(SystemSpec):
    """A Prometheus, or another server of its query API."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["prometheus"]
    url: Address = Field(description="The base address; `/api/v1/query` is added to it.")
    token: SecretReference | None = Field(None, description="Where the bearer token is to be found, if it needs one.")
    objectives: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Objective] = Field(
        default_factory=dict, description="What must hold, by name: snake_case."
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _something_of_its_own_name(self) -> Spec:
        for name in (REACHABLE.name, *CATALOG):
            if name in self.objectives:
                raise ValueError(f"{name} is a measurement of its own: give the objective another name")
        return self

    def measure(self, measurement: Measurement) -> Measure:
        """Return the catalog's entry, or one made from the objective of that name."""
        objective = self.objectives.get(measurement.name)
        if objective is None:
            return super().measure(measurement)
        return Measure(
            name=measurement.name,
            unit=objective.measured_in,
            help=objective.title or objective.query,
            worse=objective.worse,
            remedy=objective.remedy,
        )

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return the objective itself, which is a limit."""
        return self.objectives.get(measurement.name) or super().limit(measurement)

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Add the severities that the objectives name."""
        named = super().severities()
        for name, objective in self.objectives.items():
            named += limit_severities(objective, ("objectives", name))
        return named
