"""The page that says how a platform's spec is written; its tables are made from the models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from tasks.core.compliance_plan import (
    AccessLogs,
    Buckets,
    Canary,
    CompliancePlan,
    Ephemeral,
    Erasure,
    Export,
    Incidents,
    Kept,
    Residency,
    Rotation,
    Scans,
    Updates,
)
from tasks.core.drill_plan import DrillPlan, Failover, Reconciliation, Smoke
from tasks.core.limits import REACHABLE, Limit, Measure, Tier
from tasks.core.platform import Contact, Evening, PlatformSpec, Recovery, Severity, Slack
from tasks.core.retention import Policy
from tasks.core.steadiness import Confirm
from tasks.core.steps import Step
from tasks.core.system import SystemSpec
from tasks.core.units import Unit, write_quantity
from tasks.core.vaults import DeleteKeys, Encryption, FolderVault, S3Vault
from tasks.core.windows import Window
from tasks.systems import Kind, kinds

_START = """\
# How a platform's spec is written

One YAML file in `deployments/platforms/` describes a platform: what it relies on, what is too much, how bad that is,
and who is told. It says neither when things happen (`prefect.yaml` does) nor how (the kinds know).

```yaml
# yaml-language-server: $schema=./platform.schema.json
platform: shop
title: Web shop
slack: {channel: "#shop-oncall"}
severities:                      # the runbook's own words, worst first
  P1: {means: down,     respond: 15m, notify: immediately}
  P2: {means: degraded, respond: 4h,  outcome: warned}
default_severity: {warn: P2, critical: P1}
systems:
  api:
    kind: http
    url: {env: SHOP_API_URL, default: "https://shop.example.com"}
    expect:
      /health: {latency: {warn: 500ms, critical: 2s}}
  cache:
    kind: redis
    url: {env: SHOP_REDIS_URL}
    limits: {memory_used: {warn: 80%}}
```

The first line gives an editor completion and a word about every field. `watchkeeper validate FILE...` finds what is
wrong with a file and says where; `--secrets` resolves every reference too; `watchkeeper check NAME` tries it.

**Quantities carry their unit**: `80%`, `200ms`, `15m`, `1h30m`, `30d`, `2GiB`, `500MB`, `100/h`, `100`, `yes`, `no`.

**A limit** is a bound or two, and what a breach means:

```yaml
limits:
  memory_used: {warn: 80%, critical: 95%}            # beyond: the measurement's own bad side
  connections: {warn: 5000, severity: P2, for: 10m}  # as bad as P2, once it has lasted
  hit_ratio: {critical: "< 30%"}                     # the side said
  latency: {by_severity: {P1: 2s, P2: {bound: 1s, for: 5m}}}
```

Bounds of your own replace the defaults of that measurement, all of them; a `remedy` or `severity` alone leaves the
default bounds. A breach has the severity that its limit names, else that of the system, else `default_severity`.

**What differs by place, or is secret, is a reference**: `{env: NAME}`, `{file: path}`, `{secret: prefect-block}`. An
address may have a `default`; a secret never has, and is never written in a spec.

YAML reads some plain words as something else: put `"no"`, `"on"`, `"10:30"` and `"#channel"` in quotes where text is
meant.
"""


_VAULTS = (FolderVault, S3Vault, DeleteKeys, Policy, Encryption, DrillPlan, Smoke, Reconciliation, Failover)
_COMPLIANCE = (
    CompliancePlan, Residency, Canary, Ephemeral, Erasure, Export, Kept, Rotation, Buckets, AccessLogs, Scans, Updates,
    Incidents, Step,
)  # fmt: skip
_JSON_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}


class _AsWritten(GenerateJsonSchema):
    """Shows default durations as a spec spells them, not in ISO 8601."""

    def encode_default(self, dft: Any) -> Any:
        return (
            write_quantity(dft.total_seconds(), Unit.SECONDS)
            if isinstance(dft, timedelta)
            else super().encode_default(dft)
        )


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON Schema in the keys and the spelling that a file uses."""
    return model.model_json_schema(by_alias=True, schema_generator=_AsWritten)


def spec_page() -> str:
    """Return the page as markdown."""
    return "\n".join([_START, *_platform(), *_limit(), *_systems()])


def _platform() -> Iterator[str]:
    yield "## The platform\n"
    yield from _fields(PlatformSpec)
    for model in (Slack, Contact, Severity, Recovery, Confirm, Window, Evening, *_VAULTS, *_COMPLIANCE):
        yield f"### {model.__name__}\n"
        yield from _fields(model)


def _limit() -> Iterator[str]:
    yield "## A limit\n"
    yield from _fields(Limit)
    yield "Under `by_severity`, a bound alone or:\n"
    yield from _fields(Tier)


def _systems() -> Iterator[str]:
    yield "## Every system\n"
    yield from _fields(SystemSpec)
    yield f"Every kind measures `{REACHABLE.name}`: {REACHABLE.help}\n"
    for kind in kinds().values():
        yield from _kind(kind)


def _kind(kind: Kind) -> Iterator[str]:
    yield f"## `{kind.name}`\n"
    yield f"{kind.spec.__doc__}\n"
    if not kind.can("probe"):
        yield "*This version does not measure it yet: a check says `not checked`.*\n"
    common = set(SystemSpec.model_fields)
    yield from _fields(kind.spec, leave_out=common)
    for name, field in kind.spec.model_fields.items():
        if name not in common:
            for model in _models_in(field.annotation, kind.package):
                yield f"Each of `{field.alias or name}`:\n"
                yield from _fields(model)
    yield from _measures(list(kind.spec.CATALOG.values()))


def _fields(model: type[BaseModel], *, leave_out: AbstractSet[str] = frozenset()) -> Iterator[str]:
    schema = json_schema(model)
    definitions = schema.get("$defs", {})
    schema = next((option for option in schema.get("anyOf", ()) if "properties" in option), schema)
    required = set(schema.get("required", ()))
    rows = [
        (f"`{field.alias or name}`", _type(part, definitions), _default(part, field.alias or name, required), text)
        for name, field in model.model_fields.items()
        if name not in leave_out
        for part in [schema["properties"][field.alias or name]]
        for text in [field.description or ""]
    ]
    yield from _table(("field", "is", "default", "says"), rows)


def _type(part: dict[str, Any], definitions: dict[str, Any]) -> str:  # noqa: PLR0911 - the forms of JSON Schema
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[-1]
        return _type(definitions[name], definitions) if "enum" in definitions[name] else f"{name}"
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    for union in ("anyOf", "oneOf"):
        if union in part:
            words = [_type(option, definitions) for option in part[union] if option.get("type") != "null"]
            return " or ".join(dict.fromkeys(words))
    if part.get("examples"):
        return "such as " + ", ".join(f"`{example}`" for example in part["examples"][:2])
    if part.get("type") == "array":
        return f"list of {_type(part.get('items', {}), definitions)}"
    if part.get("type") == "object":
        inner = part.get("additionalProperties")
        return f"{_type(inner, definitions)} by name" if isinstance(inner, dict) else "by name"
    return _JSON_TYPES.get(str(part.get("type")), "anything")


def _default(part: dict[str, Any], name: str, required: set[str]) -> str:
    if name in required:
        return "required"
    value = part.get("default")
    return "" if value in (None, [], {}, "") else f"`{value}`".replace("True", "yes").replace("False", "no")


def _models_in(annotation: Any, package: str) -> Iterator[type[BaseModel]]:
    """Yield the kind's own models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation.__module__.startswith(package):
            yield annotation
        return
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument, package)


def _measures(measures: list[Measure]) -> Iterator[str]:
    rows = [
        (f"`{measure.name}`", measure.unit.value, measure.worse.value, _limit_text(measure), measure.help)
        for measure in measures
    ]
    if rows:
        yield from _table(("measures", "unit", "worse", "default limit", "what it is"), rows)


def _limit_text(measure: Measure) -> str:
    if measure.limit is None:
        return ""
    return ", ".join(f"{path[-1]} {bound}" for path, bound in measure.limit.bounds())


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""
