"""What a spec says of a work queue inside another system, and what can be measured there."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.core.limits import Catalog, Measure, limits_field
from tasks.core.system import SystemSpec, Use
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(
        name="depth",
        words="jobs that wait in {system}",
        unit=Unit.COUNT,
        help="Jobs that wait: LLEN of the list, or of Celery's queue with its priorities.",
        remedy="Scale the workers, and see that none is stuck.",
    ),
    Measure(
        name="oldest_job",
        words="wait of the oldest job in {system}",
        unit=Unit.SECONDS,
        help="How long the oldest job has waited, by its own time; only where the spec says where that stands.",
        remedy="No worker takes it: see that they run, and listen to this queue.",
    ),
    Measure(
        name="unacknowledged",
        words="jobs of {system} that are not acknowledged",
        unit=Unit.COUNT,
        help="Jobs that workers took and did not acknowledge, HLEN unacked: of all of Celery's queues in the database.",
        remedy="Look for workers that hang, or died while they worked.",
    ),
    Measure(
        name="oldest_unacknowledged",
        words="time that the oldest job of {system} is worked on",
        unit=Unit.SECONDS,
        help="Since when a worker holds the job that was taken first, of unacked_index; Celery only.",
        remedy="That worker hangs or is gone; Celery gives the job to another after its visibility timeout.",
    ),
)


class Spec(SystemSpec):
    """A work queue inside another system of the platform."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["queue"]
    inside: str = Field(alias="in", description="The system that holds the queue: one of kind `redis`.")
    list: str | None = Field(None, description="The Redis list that is the queue.")
    celery: str | None = Field(None, description="The name of a Celery queue.")
    priorities: tuple[Annotated[int, Field(ge=0, le=255)], ...] = Field(
        (0, 3, 6, 9), min_length=1, description="Celery's `priority_steps`: each but 0 has a list of its own."
    )
    timestamp: str | None = Field(
        None,
        description="Where in a job's JSON its time stands: `enqueued_at`, `headers.sent_at`. "
        "Seconds since 1970, or ISO 8601.",
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _exactly_one(self) -> Spec:
        if (self.list is None) == (self.celery is None):
            raise ValueError("a queue is exactly one of `list` and `celery`")
        return self

    def length_of(self, queue: str) -> tuple[str, str] | None:
        """Return the measurement that tells how long the queue is, where it is this one."""
        return ("depth", "") if queue in (self.list, self.celery) else None

    def uses(self) -> tuple[Use, ...]:
        """Name the system that holds the queue too."""
        return (*super().uses(), Use(("in",), self.inside, ("redis",)))
