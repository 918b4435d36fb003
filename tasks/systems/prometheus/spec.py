"""What a spec says of a Prometheus, and what can be measured there: objectives, service levels, alerts that fire."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from tasks.core.limits import REACHABLE, Bound, Catalog, Limit, Measure, Tier, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address, SecretReference
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec, limit_severities
from tasks.core.units import EXAMPLES, Duration, Unit

_MONTH = timedelta(days=30)


class Burn(NamedTuple):
    """One way to burn a budget too fast.

    Attributes:
        budget: The share of the budget that may be gone at this speed after the long window.
        windows: The long window and the short one; both must be above.
        urgent: Whether somebody is called, or a ticket is enough.
    """

    budget: float
    windows: tuple[timedelta, timedelta]
    urgent: bool

    def bound(self, period: timedelta) -> Bound:
        """Return the burn rate at which it counts, for a period of the service level."""
        return Bound(round(self.budget * (period / self.windows[0]), 3), Unit.COUNT)


BURNS = {
    "burn_rate_1h": Burn(0.02, (timedelta(hours=1), timedelta(minutes=5)), urgent=True),
    "burn_rate_6h": Burn(0.05, (timedelta(hours=6), timedelta(minutes=30)), urgent=True),
    "burn_rate_1d": Burn(0.10, (timedelta(days=1), timedelta(hours=2)), urgent=False),
    "burn_rate_3d": Burn(0.10, (timedelta(days=3), timedelta(hours=6)), urgent=False),
}
"""The windows of the Site Reliability Workbook, chapter 5, by the measurement that tells of them."""


def promql_duration(time: timedelta) -> str:
    """Write a time as PromQL does: `5m`, `6h`, `30d`."""
    seconds = round(time.total_seconds())
    unit, size = next(
        (unit, size) for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0
    )
    return f"{seconds // size}{unit}"


CATALOG = Catalog(
    Measure(
        name="latency",
        words="response time of {system}",
        unit=Unit.SECONDS,
        help="Time that the server took for a trivial query.",
    ),
    Measure(
        name="clock_skew",
        words="clock skew against {system}",
        unit=Unit.SECONDS,
        help="How far this host's clock and the server's are apart, by the date of its answer.",
        limit=Limit(warn=Bound(60, Unit.SECONDS)),
        remedy="See that both keep their time by NTP: every query is asked for this host's time.",
    ),
    Measure(
        name="newest_sample",
        words="age of the newest sample in {system}",
        unit=Unit.SECONDS,
        help="How old the newest sample of `heartbeat` is: a server that scrapes nothing still answers.",
        limit=Limit(warn=Bound(300, Unit.SECONDS), critical=Bound(1800, Unit.SECONDS)),
        remedy="See whether it still scrapes, and whether its disk is full: nothing that it tells is of now.",
    ),
    *(
        Measure(
            name=name,
            words="speed at which {subject} burns its error budget",
            unit=Unit.COUNT,
            help=f"How many times faster than it may a service level burns its error budget, over "
            f"{promql_duration(burn.windows[0])} and over {promql_duration(burn.windows[1])}: the lesser of both. "
            f"The bound is for a period of 30 days and follows another.",
            limit=Limit(critical=burn.bound(_MONTH)) if burn.urgent else Limit(warn=burn.bound(_MONTH)),
            remedy="See what fails, and since which rollout; stop what changes until the budget recovers.",
        )
        for name, burn in BURNS.items()
    ),
    Measure(
        name="service_level",
        words="good share of {subject}",
        share="all",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="The good share of each service level over its period.",
    ),
    Measure(
        name="error_budget_left",
        words="error budget left of {subject}",
        share="all of it",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="What is left of each service level's error budget over its period; below 0% the target is missed.",
        limit=Limit(warn=Bound(0, Unit.RATIO)),
        remedy="Stop what is risky until the budget recovers.",
    ),
    Measure(
        name="alert",
        unit=Unit.YES_NO,
        help="Whether an alert of the server's own rules fires; measured where the spec has `alerts`, of a storm "
        "the worst twenty.",
        limit=Limit(warn=Bound(1, Unit.YES_NO)),
        remedy="Open the alerts page of this Prometheus, and follow the alert's own runbook.",
    ),
    Measure(
        name="rules_broken",
        words="broken alerting rules of {system}",
        unit=Unit.COUNT,
        help="Alerting rules that could not be evaluated: they never fire.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Open the rules page of this Prometheus: the error stands beside the rule.",
    ),
    Measure(
        name="pending_alerts",
        words="alerts {subject} that are pending",
        unit=Unit.COUNT,
        help="How many alerts wait for their time (`for`), by name.",
    ),
    Measure(
        name="firing_alerts",
        words="alerts {subject} that fire",
        unit=Unit.COUNT,
        help="How many alerts fire (/api/v1/alerts), and their names; measured where `limits` or `alerts` is there.",
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


class ServiceLevel(Model):
    """A target such as 99.9 % over 30 days, with what counts as bad.

    Either counters (`errors`, `total`), or a query for the bad share (`bad_ratio`) with `{window}` for the time.
    """

    slo: Bound = Field(description="The share that must be good, such as `99.9%`.")
    errors: str | None = Field(None, description="The counter of what went wrong, as a selector.", min_length=1)
    total: str | None = Field(None, description="The counter of everything, as a selector.", min_length=1)
    bad_ratio: str | None = Field(None, description="PromQL of the bad share, 0 to 1, over `{window}`.")
    period: Duration = Field(_MONTH, gt=timedelta(days=1), description="What the target is held over.")
    page: str | None = Field(None, description="The platform's severity when the budget burns fast.")
    ticket: str | None = Field(None, description="The platform's severity when it burns slowly, or is spent.")
    title: str | None = Field(None, description="What it says, in a line.")
    empty: Literal["errored", "not checked", "zero"] = Field(
        "errored", description="What no data means: it could not be told, it is not measured here, or nothing failed."
    )

    @model_validator(mode="after")
    def _one_way(self) -> ServiceLevel:
        if self.slo.unit is not Unit.RATIO or self.slo.comparison or not 0 < self.slo.number < 1:
            raise ValueError(f"slo is a share below 100%, written like 99.9%, not {self.slo}")
        if (self.errors is None) != (self.total is None) or (self.errors is None) == (self.bad_ratio is None):
            raise ValueError("write either errors and total, or bad_ratio")
        if self.bad_ratio is not None and "{window}" not in self.bad_ratio:
            raise ValueError("bad_ratio asks for one time only: write {window} where its range is")
        return self

    def query(self, window: timedelta) -> str:
        """Return the PromQL of the bad share over a window."""
        over = promql_duration(window)
        if self.bad_ratio is not None:
            return self.bad_ratio.replace("{window}", over)
        return f"(sum(increase({self.errors}[{over}])) or vector(0)) / sum(increase({self.total}[{over}]))"


class Alerts(Model):
    """Which alerts of the server's own rules are told, and how bad each is."""

    label: str = Field("severity", description="The label of an alert that says how bad it is.")
    severities: dict[str, str] = Field(
        default_factory=dict,
        description="The platform's severity by the value of that label, worst first; others are a warning.",
    )
    ignore: tuple[str, ...] = Field(
        ("Watchdog", "InfoInhibitor"), description="Alerts that always fire, or that only silence others, by name."
    )

    def subject(self, name: str, labels: Mapping[str, str]) -> str:
        """Name an alert with how bad it is: rules often share a name."""
        level = labels.get(self.label, "")
        return f"{name} ({level})" if level else name

    def level(self, subject: str) -> str:
        """Return the label's value from a subject."""
        return subject.rpartition(" (")[2].removesuffix(")") if subject.endswith(")") else ""

    def rank(self, subject: str) -> int:
        """Return how bad it is, 0 for the worst."""
        known = list(self.severities)
        level = self.level(subject)
        return known.index(level) if level in known else len(known)


class Spec(SystemSpec):
    """A Prometheus, or another server of its query API."""

    CATALOG: ClassVar[Catalog] = CATALOG
    REMEMBERS: ClassVar[bool] = True

    kind: Literal["prometheus"]
    url: Address = Field(description="The base address; `/api/v1/query` is added to it.")
    token: SecretReference | None = Field(None, description="Where the bearer token is to be found, if it needs one.")
    objectives: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Objective] = Field(
        default_factory=dict, description="What must hold, by name: snake_case."
    )
    service_levels: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ServiceLevel] = Field(
        default_factory=dict, description="Targets over weeks, by name: burn rates and error budgets are told of them."
    )
    alerts: Alerts | None = Field(None, description="Tells the alerts of the server's own rules one by one.")
    heartbeat: str = Field("up", description="A series that is scraped all the time, as a selector.", min_length=1)
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
            words=objective.title or measurement.name.replace("_", " "),
            help=objective.title or objective.query,
            worse=objective.worse,
            remedy=objective.remedy,
        )

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return the objective itself, which is a limit; what a service level or an alert says of its own severity."""
        own = None if measurement.name in self.limits else self._own_limit(measurement)
        return self.objectives.get(measurement.name) or own or super().limit(measurement)

    def _own_limit(self, measurement: Measurement) -> Limit | None:
        if measurement.name == "alert" and self.alerts is not None:
            severity = self.alerts.severities.get(self.alerts.level(measurement.subject))
            return _at(Bound(1, Unit.YES_NO), severity) if severity else None
        level, burn = self.service_levels.get(measurement.subject), BURNS.get(measurement.name)
        if level is not None and burn is not None:
            bound = burn.bound(level.period)
            if severity := level.page if burn.urgent else level.ticket:
                return _at(bound, severity)
            return Limit(critical=bound) if burn.urgent else Limit(warn=bound)
        if level is not None and level.ticket and measurement.name == "error_budget_left":
            return _at(Bound(0, Unit.RATIO, "<"), level.ticket)
        return None

    def measured(self) -> tuple[str, ...]:
        """Add the objectives."""
        return (*super().measured(), *self.objectives)

    def only(self, names: Collection[str]) -> Self:
        """Leave out the other objectives, the alerts, and the service levels unless what is left of them is named."""
        objectives = {name: objective for name, objective in self.objectives.items() if name in names}
        levels = self.service_levels if "error_budget_left" in names else {}
        update = {"objectives": objectives, "service_levels": levels, "alerts": None}
        return super().only(names).model_copy(update=update)

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Add the severities that the objectives name."""
        named = super().severities()
        for name, level in self.service_levels.items():
            fields = (("page", level.page), ("ticket", level.ticket))
            named += [(("service_levels", name, field), value) for field, value in fields if value is not None]
        if self.alerts is not None:
            named += [(("alerts", "severities", label), value) for label, value in self.alerts.severities.items()]
        for name, objective in self.objectives.items():
            named += limit_severities(objective, ("objectives", name))
        return named


def _at(bound: Bound, severity: str) -> Limit:
    return Limit(by_severity={severity: Tier(bound=bound)})
