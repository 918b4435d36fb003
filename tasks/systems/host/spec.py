"""What a spec says of a machine, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.results import Measurement
from tasks.core.system import SystemSpec, Use, limit_severities
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(
        name="answers",
        unit=Unit.YES_NO,
        help="Whether a machine that told of itself within the last hour still does, by instance; by node-exporter.",
        worse=Worse.BELOW,
        limit=Limit(warn=Bound(0, Unit.YES_NO)),
        remedy="See that the machine and its node-exporter run; one that was taken away is forgotten after an hour.",
    ),
    Measure(
        name="machines",
        words="machines that tell of themselves, of {system}",
        unit=Unit.COUNT,
        help="Machines that tell of themselves; by node-exporter.",
        worse=Worse.BELOW,
        remedy="See which machine is missing, and that its node-exporter runs.",
    ),
    Measure(
        name="cpu",
        words="processor time of {subject} of {system}",
        share="its processors",
        unit=Unit.RATIO,
        help="Processor time in use: here over a second, by node-exporter the average of 5 minutes.",
        remedy="See which process it is (top), then scale out or move it.",
    ),
    Measure(
        name="cpu_peak",
        words="busiest processor of {subject} of {system}",
        share="its time",
        unit=Unit.RATIO,
        help="The busiest processor.",
    ),
    Measure(
        name="load",
        words="load of {subject} of {system}",
        share="its processors",
        unit=Unit.RATIO,
        help="Load average of 5 minutes against the number of processors.",
    ),
    Measure(
        name="memory_used",
        words="memory of {subject} of {system}",
        share="its memory",
        unit=Unit.RATIO,
        help="Memory that is not available to new work.",
        remedy="See which process it is (ps --sort=-rss), then restart or scale out.",
    ),
    Measure(
        name="swap_used", words="swap of {subject} of {system}", share="its swap", unit=Unit.RATIO, help="Swap in use."
    ),
    Measure(
        name="disk_used",
        words="disk {subject} of {system}",
        share="its size",
        unit=Unit.RATIO,
        help="Use of a file system, by mount point.",
        remedy="Rotate logs and remove old files; see which directory grows (du -x).",
    ),
    Measure(
        name="inodes_used",
        words="inodes of disk {subject} of {system}",
        share="its inodes",
        unit=Unit.RATIO,
        help="Inodes in use, by mount point.",
    ),
    Measure(
        name="received",
        words="bytes received by {subject} of {system}",
        unit=Unit.RATE,
        help="Bytes a second received, by interface.",
    ),
    Measure(
        name="sent",
        words="bytes sent by {subject} of {system}",
        unit=Unit.RATE,
        help="Bytes a second sent, by interface.",
    ),
    Measure(
        name="network_errors",
        words="faulty packets of {subject} of {system}",
        unit=Unit.RATE,
        help="Faulty packets a second, by interface.",
    ),
    Measure(
        name="network_drops",
        words="dropped packets of {subject} of {system}",
        unit=Unit.RATE,
        help="Packets dropped a second, by interface.",
    ),
    Measure(
        name="gpus",
        words="graphics processors that answer, of {system}",
        unit=Unit.COUNT,
        help="Graphics processors that answer; by nvidia-smi or DCGM metrics.",
        worse=Worse.BELOW,
        remedy="Run nvidia-smi there; a processor that fell off the bus comes back with a restart of the machine.",
    ),
    Measure(
        name="gpu_memory_used",
        words="memory of graphics processor {subject} of {system}",
        share="its memory",
        unit=Unit.RATIO,
        help="memory.used against memory.total, by graphics processor.",
        remedy="Restart the workers that hold it.",
    ),
    Measure(
        name="gpu_used",
        words="use of graphics processor {subject} of {system}",
        share="its time",
        unit=Unit.RATIO,
        help="utilization.gpu, by graphics processor.",
    ),
)


class Spec(SystemSpec):
    """A machine: this one, or others through their node-exporter metrics."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["host"]
    through: str | None = Field(
        None, description="A system of kind `prometheus` that has node-exporter's metrics; without it, this machine."
    )
    instance: str | None = Field(None, description="Pattern of the `instance` label; all instances without it.")
    disks: dict[str, Limit] = Field(
        default_factory=dict,
        description="Limits on `disk_used` of single mount points, before those of `limits`; here they must exist.",
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.through is None

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return the mount point's own limit where it has one."""
        general = super().limit(measurement)
        own = self.disks.get(_mount(measurement.subject)) if measurement.name == "disk_used" else None
        return own.over(general) if own is not None else general

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name the severities of single mount points too."""
        named = super().severities()
        for mount, limit in self.disks.items():
            named += limit_severities(limit, ("disks", mount))
        return named

    def uses(self) -> tuple[Use, ...]:
        """Name the Prometheus that knows the machine too."""
        own = (Use(("through",), self.through, ("prometheus",)),) if self.through is not None else ()
        return (*super().uses(), *own)


def _mount(subject: str) -> str:
    """Take the mount point out of `instance mount point`; an instance has no spaces."""
    return subject if subject.startswith("/") else subject.partition(" ")[2]
