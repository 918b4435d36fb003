"""What a spec says of a Docker Compose project, and what the Docker Engine API tells."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(
        name="latency",
        words="time that the engine of {system} takes to answer",
        unit=Unit.SECONDS,
        help="Time that the engine takes to tell its version.",
    ),
    Measure(
        name="running",
        words="running containers of {subject}",
        share="those that there should be",
        unit=Unit.RATIO,
        help="Running containers against those that there should be, by service; one that restarts or pauses is not.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(1, Unit.RATIO)),
        remedy="See its log, then restart the service.",
    ),
    Measure(
        name="healthy",
        unit=Unit.YES_NO,
        help="What the service's own health check says, by service; not measured where it has none.",
        worse=Worse.BELOW,
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Read what the check said (docker inspect) and the service's log.",
    ),
    Measure(
        name="ended_badly",
        words="containers of {subject} that ended badly",
        unit=Unit.COUNT,
        help="Containers that ended with another exit code than 0, by service that the spec does not name.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Read its log; a job such as a migration may have to run again.",
    ),
    Measure(
        name="restarts", words="restarts of {subject}", unit=Unit.COUNT, help="The highest RestartCount, by service."
    ),
    Measure(
        name="recent_restarts",
        words="restarts of {subject} within an hour",
        unit=Unit.COUNT,
        help="Containers that the engine had to start again within the last hour, by service.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Read the log of what came before (docker compose logs), and look for a lack of memory.",
    ),
    Measure(
        name="cpu",
        words="processor time of {subject}",
        share="the host's",
        unit=Unit.RATIO,
        help="Processor time against the host's, by service; only where limited.",
    ),
    Measure(
        name="memory_used",
        words="memory of {subject}",
        share="its limit",
        unit=Unit.RATIO,
        help="Memory against the limit or the host's; only where limited.",
    ),
)


class Service(Model):
    """What is expected of one service."""

    replicas: int = Field(1, ge=0, description="How many containers there should be at least.")
    severity: str | None = Field(None, description="The platform's severity when it is not running.")


class Spec(SystemSpec):
    """A Docker Compose project, seen through the Docker Engine API."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["compose"]
    engine: Address = Field(
        "unix:///var/run/docker.sock", description="Where the Docker Engine listens: `unix://` or `tcp://`."
    )
    project: str = Field(description="The Compose project's name.")
    services: dict[str, Service] = Field(min_length=1, description="The services that must run.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return the limit with the service's own severity where it has one."""
        general = super().limit(measurement)
        service = self.services.get(measurement.subject)
        if general is None or service is None or service.severity is None or general.severity is not None:
            return general
        return general.model_copy(update={"severity": service.severity})

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name the severities of single services too."""
        own = [
            (("services", name, "severity"), service.severity)
            for name, service in self.services.items()
            if service.severity is not None
        ]
        return [*super().severities(), *own]
