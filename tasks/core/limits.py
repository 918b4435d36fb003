"""Limits: the bounds that a spec sets on a measurement, and the catalog that says which measurements there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from tasks.core.model import Model
from tasks.core.results import Measurement, Sample
from tasks.core.units import EXAMPLES, Duration, Unit, format_quantity, parse_quantity, write_quantity


class Worse(StrEnum):
    """On which side of a bound a measurement is in trouble."""

    ABOVE = "above"
    BELOW = "below"


_BOUND_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}],
    "examples": ["80%", "200ms", "30d", "2GiB", "> 100", "< 99.5%", "100/h"],
}


class Bound:
    """One bound with its unit, written `80%`, `> 80%`, `>= 3`, `< 99.5%` or `no`.

    Without a comparison, the measurement's own bad side holds: above for use, below for what should last.
    """

    def __init__(self, number: float, unit: Unit, comparison: str | None = None) -> None:
        self.number, self.unit, self.comparison = number, unit, comparison

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bound) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[float, Unit, str | None]:
        return self.number, self.unit, self.comparison

    def __repr__(self) -> str:
        return f"Bound({str(self)!r})"

    def __str__(self) -> str:
        quantity = write_quantity(self.number, self.unit)
        return f"{self.comparison} {quantity}" if self.comparison else quantity

    def breached(self, value: float, worse: Worse) -> bool:
        """Tell whether a value is beyond this bound; a yes or no is breached by that very answer."""
        if self.unit is Unit.YES_NO:
            return value == self.number
        match self.comparison or (">" if worse is Worse.ABOVE else "<"):
            case ">":
                return value > self.number
            case ">=":
                return value >= self.number
            case "<":
                return value < self.number
            case "<=":
                return value <= self.number
            case other:
                raise AssertionError(other)

    def side(self, worse: Worse) -> Worse:
        """Return the bad side: the comparison's, or the measurement's own where the bound has none."""
        return Worse(worse) if self.comparison is None else Worse.ABOVE if ">" in self.comparison else Worse.BELOW

    def describe(self, worse: Worse) -> str:
        """Write the bound for a person: `above 80%`."""
        if self.unit is Unit.YES_NO:
            return "when " + format_quantity(self.number, self.unit)
        quantity = format_quantity(self.number, self.unit)
        words = {">": "above", ">=": "at or above", "<": "below", "<=": "at or below"}
        return f"{words[self.comparison] if self.comparison else worse.value} {quantity}"

    @classmethod
    def parse(cls, value: object) -> Bound:
        """Read a bound.

        Raises:
            ValueError: It is none; the message shows what is.
        """
        if isinstance(value, Bound):
            return value
        comparison = None
        if isinstance(value, str):
            text = value.strip()
            for sign in (">=", "<=", ">", "<"):
                if text.startswith(sign):
                    comparison, value = sign, text[len(sign) :].strip()
                    break
            if value in ("yes", "no"):
                value = value == "yes"
        number, unit = parse_quantity(value)
        if comparison is not None and unit is Unit.YES_NO:
            raise ValueError("yes and no are not compared: write the answer that is bad")
        return cls(number, unit, comparison)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate from text, number or boolean; serialize as text."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        """Text with a unit, a bare count, or a boolean."""
        return dict(_BOUND_SCHEMA)


class Tier(Model):
    """A bound that stands for one of the platform's own severities."""

    bound: Bound = Field(description="The bound, such as `50%` or `> 10s`.")
    lasting: Duration | None = Field(None, alias="for", description="How long it must hold before it counts.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return data if isinstance(data, dict) else {"bound": data}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A bound alone, or the whole."""
        reference = handler(schema)
        definition = handler.resolve_ref_schema(reference)
        whole = dict(definition)
        definition.clear()
        definition["anyOf"] = [*_BOUND_SCHEMA["anyOf"], whole]
        return reference


class Limit(Model):
    """What is too much (or too little) of one measurement."""

    warn: Bound | None = Field(None, description="From here on it is a warning.")
    critical: Bound | None = Field(None, description="From here on it is a failure.")
    lasting: Duration | None = Field(None, alias="for", description="How long it must hold before it counts.")
    severity: str | None = Field(None, description="One of the platform's severities, for a breach of this limit.")
    by_severity: dict[str, Tier] = Field(
        default_factory=dict, description="Bounds by the platform's own severities, worst first."
    )
    remedy: str | None = Field(None, description="What to do about it: a sentence, or a link to the runbook.")

    def bounds(self) -> Iterator[tuple[tuple[str, ...], Bound]]:
        """Yield every bound with its path inside the limit."""
        if self.warn is not None:
            yield ("warn",), self.warn
        if self.critical is not None:
            yield ("critical",), self.critical
        for name, tier in self.by_severity.items():
            yield ("by_severity", name), tier.bound

    def over(self, default: Limit | None) -> Limit:
        """Fill what this limit leaves open from the measurement's default limit.

        Bounds of one's own replace the default's all together: who says only `warn` wants no `critical`.
        """
        if default is None:
            return self
        bounded = any(True for _ in self.bounds())
        base = Limit(remedy=default.remedy, severity=default.severity) if bounded else default
        return base.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


_PLACE = re.compile(r"\{(system|subject)\}")
_SAME = ((" ({subject})", ""), ("{subject} of {system}", "{system}"), ("{subject}", "{system}"))
"""What stands for the places of a subject where there is none: what is measured is all of the system."""


class Measure(Model):
    """One entry of a kind's catalog: a measurement that the kind can take."""

    name: str
    unit: Unit
    help: str = Field(description="What it is and where it is read, in a line.")
    worse: Worse = Worse.ABOVE
    limit: Limit | None = Field(None, description="What holds when the spec says nothing.")
    remedy: str | None = None
    words: str = Field("", description="What a person calls it, with `{system}` and `{subject}` in their places.")
    share: str = Field("", description="What a ratio is a share of, as in `80% of its quota`.")

    def called(self, system: str, subject: str = "") -> str:
        """Name it with what it is of: `memory of Redis`, `disk / of node-1`.

        Args:
            system: What the system is called.
            subject: The part of it that is measured; the system itself where there is none.
        """
        words = self.words or self.name.replace("_", " ") + " of {subject} of {system}"
        for place, instead in () if subject else _SAME:
            words = words.replace(place, instead)
        places = {"system": system, "subject": subject}
        return _PLACE.sub(lambda found: places[found[1]], words)


class Catalog(Mapping[str, Measure]):
    """The measurements of one kind, by name."""

    def __init__(self, *measures: Measure) -> None:
        self._measures = {measure.name: measure for measure in measures}
        if len(self._measures) != len(measures):
            raise ValueError("a catalog names each measurement once")

    def __getitem__(self, name: str) -> Measure:
        return self._measures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._measures)

    def __len__(self) -> int:
        return len(self._measures)

    def read(
        self,
        name: str,
        value: float | bool | str,  # noqa: FBT001
        *,
        at: datetime,
        subject: str = "",
        note: str = "",
        series: tuple[Sample, ...] = (),
    ) -> Measurement:
        """Make a measurement of this catalog, in its unit.

        Raises:
            KeyError: The catalog has no such measurement: a mistake in the probe.
        """
        return Measurement(
            name=name, value=value, unit=self[name].unit, at=at, subject=subject, note=note, series=series
        )


REACHABLE = Measure(
    name="reachable",
    unit=Unit.YES_NO,
    help="Whether the system answered at all; every kind has it.",
    worse=Worse.BELOW,
    limit=Limit(critical=Bound(0, Unit.YES_NO)),
    remedy="See that it runs, that this host may reach it, and that the address in the spec is right.",
)


def _fits(bound: Bound, measure: Measure) -> None:
    if measure.unit is Unit.TEXT:
        raise ValueError(f"{measure.name} is text and only informs: it has no limit")
    if bound.unit is not measure.unit:
        raise ValueError(
            f"{measure.name} is measured in {measure.unit.value}: write {EXAMPLES[measure.unit]}, not {bound}"
        )


class LimitsOn:
    """Annotates `dict[str, Limit]` so that keys and units are those of a catalog, in errors and in the JSON Schema."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A closed dictionary with one optional key for each measurement."""
        limit = handler.generate_schema(Limit)

        def field(measure: Measure) -> core_schema.TypedDictField:
            def check(value: Limit) -> Limit:
                for _, bound in value.bounds():
                    _fits(bound, measure)
                return value

            return core_schema.typed_dict_field(
                core_schema.no_info_after_validator_function(check, limit),
                required=False,
                metadata={"pydantic_js_updates": {"description": measure.help}},
            )

        measures = {REACHABLE.name: REACHABLE, **self.catalog}
        return core_schema.typed_dict_schema(
            {name: field(measure) for name, measure in measures.items()}, extra_behavior="forbid"
        )


def limits_field(catalog: Catalog) -> Any:
    """Return the type of a kind's `limits` field."""
    return Annotated[dict[str, Limit], LimitsOn(catalog)]
