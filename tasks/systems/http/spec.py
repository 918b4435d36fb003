"""What a spec says of an HTTP service, and what can be measured there."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, JsonValue, Tag, model_validator

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address, Reference
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec, limit_severities
from tasks.core.units import Duration, Unit
from tasks.systems.http.conditions import check_expected

CATALOG = Catalog(
    Measure(
        name="as_expected",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether a path answered with the status and the content that the spec expects; the note says why not.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Read the note and the service's log; look at what the service depends on.",
    ),
    Measure(
        name="latency",
        words="response time of {subject} of {system}",
        unit=Unit.SECONDS,
        help="Median time from sending a request to the end of its answer; only the first one includes connecting. "
        "The note tells where the time went.",
        remedy="Look at the service's load and at what it waits for.",
    ),
    Measure(
        name="dns_time",
        words="time to look up the name of {system}",
        unit=Unit.SECONDS,
        help="Time to look up the host's name, once for all paths; not measured where the url holds an address.",
        remedy="Look at this host's name servers: /etc/resolv.conf, and the cluster's DNS.",
    ),
    Measure(
        name="connect_time",
        words="time to connect to {subject} of {system}",
        unit=Unit.SECONDS,
        help="Time to open the TCP connection of a path's first request; the resolver repeats its answer in it.",
        remedy="Look at the network between here and there, and at a full accept queue.",
    ),
    Measure(
        name="tls_time",
        words="time of the TLS handshake with {subject} of {system}",
        unit=Unit.SECONDS,
        help="Time of the TLS handshake of a path's first request; only for https.",
        remedy="Look at the CPU of what ends TLS: the ingress, the load balancer.",
    ),
    Measure(
        name="first_byte",
        words="time to the first byte of {subject} of {system}",
        unit=Unit.SECONDS,
        help="Median time from the end of a request to the head of its answer: the service's own share of the latency.",
        remedy="Look at the service's load and at what it waits for.",
    ),
    Measure(
        name="status",
        words="status code of {subject} of {system}",
        unit=Unit.COUNT,
        help="The status code that a path answered with.",
    ),
)

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"})


def _no_plain_credentials(headers: dict[str, Any]) -> dict[str, Any]:
    for name, value in headers.items():
        if isinstance(value, str) and name.lower() in _CREDENTIALS:
            raise ValueError(f"{name} is a secret, never written in a spec: write {{env: NAME}} or {{file: path}}")
    return headers


HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
Header = Annotated[
    Annotated[str, Tag("text")] | Annotated[Reference, Tag("reference")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "reference"),
]
"""Plain text for what is no secret (`Accept`), or where the secret is to be found, with its `Bearer`."""
Headers = Annotated[dict[HeaderName, Header], AfterValidator(_no_plain_credentials)]


def _any_at_all(statuses: tuple[int, ...]) -> tuple[int, ...]:
    if not statuses:
        raise ValueError("name at least one status code")
    return statuses


StatusCode = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[
    tuple[StatusCode, ...],
    AfterValidator(_any_at_all),
    BeforeValidator(
        lambda value: (value,) if isinstance(value, int) else value, json_schema_input_type=int | list[int]
    ),
]
"""One status code, or a list of them."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _in_seconds(limit: Limit) -> Limit:
    for _, bound in limit.bounds():
        if bound.unit is not Unit.SECONDS:
            raise ValueError(f"latency is measured in seconds: write 200ms, not {bound}")
    return limit


class Expectation(Model):
    """What one path must answer."""

    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field("GET", description="The request's method.")
    headers: Headers = Field(default_factory=dict, description="Further headers of this path's requests.")
    body: JsonValue = Field(None, description="What is sent: text as it is, anything else as JSON.")
    status: Statuses = Field((200,), description="The status code that is right, or a list of them.")
    contains: Annotated[str, AfterValidator(_pattern)] | None = Field(
        None, description="A regular expression that the answer's text must hold somewhere."
    )
    json_values: dict[str, Annotated[JsonValue, AfterValidator(check_expected)]] = Field(
        default_factory=dict,
        alias="json",
        description="What the answer's JSON must hold, by dotted path: `checks.database: true`, `workers: '>= 3'`, "
        "`alerts.length: 0`. Text that opens with >, >=, <, <= or != compares; all else must be equal.",
    )
    latency: Annotated[Limit, AfterValidator(_in_seconds)] | None = Field(
        None, description="How long an answer may take: `{warn: 500ms, critical: 2s}`."
    )
    severity: str | None = Field(
        None, description="The platform's severity when this path fails or is critically slow; the system's by default."
    )
    requests: int | None = Field(
        None,
        ge=1,
        le=100,
        description="How many requests in a row are timed; none of them may fail. Three by default, as far as the time "
        "allows, and one where the method is not GET or HEAD.",
    )
    follow: bool = Field(
        default=False, description="Whether redirects are followed; no header of the spec goes to another origin."
    )
    timeout: Duration | None = Field(
        None, description="How long all requests of this path may take; the system's time-out by default."
    )


class Spec(SystemSpec):
    """An HTTP service."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["http"]
    url: Address = Field(description="The base address, such as `https://api.example.com/v1`; paths are added to it.")
    headers: Headers = Field(default_factory=dict, description="Headers of every request; credentials by reference.")
    expect: dict[Annotated[str, Field(pattern=r"^/")], Expectation] = Field(
        min_length=1, description="What each path must answer; a path opens with `/` and may have a query."
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _paths_within_the_system(self) -> Spec:
        for path, expectation in self.expect.items():
            if expectation.timeout is not None and expectation.timeout > self.timeout:
                raise ValueError(f"the timeout of {path} is longer than the system's: raise the system's as well")
        return self

    def limit(self, measurement: Measurement) -> Limit | None:
        """Lay a path's own latency and severity over the system's limits."""
        limit = super().limit(measurement)
        expectation = self.expect.get(measurement.subject)
        if expectation is None or measurement.name == "status":
            return limit
        if measurement.name == "latency" and expectation.latency is not None:
            limit = expectation.latency.over(limit)
        if limit is not None and limit.critical is not None and limit.severity is None:
            limit = limit.model_copy(update={"severity": expectation.severity})
        return limit

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Add the severities that the paths name."""
        named = super().severities()
        for path, expectation in self.expect.items():
            if expectation.severity is not None:
                named.append((("expect", path, "severity"), expectation.severity))
            if expectation.latency is not None:
                named += limit_severities(expectation.latency, ("expect", path, "latency"))
        return named
