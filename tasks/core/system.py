"""The base of every kind's spec, and what a probe is given to work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, Self

from pydantic import Field, field_validator

from tasks.core.backup_catalog import BACKUPS
from tasks.core.limits import REACHABLE, Catalog, Limit, Measure, limits_field
from tasks.core.model import Model
from tasks.core.references import Resolver
from tasks.core.results import Measurement, Reading
from tasks.core.steadiness import Confirm
from tasks.core.units import Duration


class Use(NamedTuple):
    """One system's need of another.

    Attributes:
        path: Where inside the system it is said.
        name: The other system.
        kinds: The kinds that it may be of; any where empty.
    """

    path: tuple[str, ...]
    name: str
    kinds: tuple[str, ...] = ()


class SystemSpec(Model):
    """One thing that a platform relies on. Each kind extends it in `tasks/systems/<kind>/spec.py`."""

    CATALOG: ClassVar[Catalog] = Catalog()
    REMEMBERS: ClassVar[bool] = False
    """Whether a probe whose clock is set back measures what was then."""

    kind: str
    title: str | None = Field(None, description="What people call it; the system's name by default.")
    severity: str | None = Field(None, description="The platform's severity when it fails; limits may say otherwise.")
    depends_on: tuple[str, ...] = Field((), description="Systems of this platform that it cannot work without.")
    timeout: Duration = Field(
        timedelta(seconds=10), gt=timedelta(0), description="The whole check of this system may take this long."
    )
    confirm: Confirm | None = Field(
        None, description="How often its problems must be seen before they count; as the platform says by default."
    )
    limits: dict[str, Limit] = Field(default_factory=dict, description="Bounds on measurements, by name.")

    def called(self, name: str) -> str:
        """Return what people call it: its title, or the name that the spec gives it. Kinds may know better."""
        return self.title or name

    @property
    def is_local(self) -> bool:
        """Whether it is reached without any network. Kinds that look at this host extend it."""
        return False

    def measure(self, measurement: Measurement) -> Measure:
        """Return the catalog's entry for a measurement."""
        return REACHABLE if measurement.name == REACHABLE.name else self.CATALOG[measurement.name]

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return what holds for a measurement, or None where it only informs. Kinds with subjects extend it."""
        default = self.measure(measurement).limit
        given = self.limits.get(measurement.name)
        return given.over(default) if given is not None else default

    def measured(self) -> tuple[str, ...]:
        """Name every measurement that it may take. Kinds with measurements of their own making extend it."""
        return tuple(self.CATALOG)

    def only(self, names: Collection[str]) -> Self:
        """Return the system with no more to measure than these, as far as the kind can leave out the rest."""
        limits = {name: limit for name, limit in self.limits.items() if name in names}
        return self.model_copy(update={"limits": limits})

    def length_of(self, queue: str) -> tuple[str, str] | None:  # noqa: ARG002 - most kinds hold no queues
        """Return the measurement and the subject that tell how long a queue is; None where it is not this system's."""
        return None

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name every severity in use with its path inside this system. Kinds with more limits extend it."""
        named: list[tuple[tuple[str, ...], str]] = [] if self.severity is None else [(("severity",), self.severity)]
        for name, limit in self.limits.items():
            named += limit_severities(limit, ("limits", name))
        return named

    def uses(self) -> tuple[Use, ...]:
        """Name every other system that this one needs. Kinds may extend it."""
        return tuple(Use(("depends_on", str(position)), parent) for position, parent in enumerate(self.depends_on))


class BackupPlan(Model):
    """How a system is backed up. Each kind that can be extends it in its `spec.py`; when, `prefect.yaml` says."""

    to: tuple[str, ...] = Field(
        min_length=1,
        description="The platform's vaults: it is taken into the first, and copied from there to the others.",
    )
    limits: limits_field(BACKUPS) = Field(  # type: ignore[valid-type]
        default_factory=dict, description="Bounds on the measurements of its backups, by name."
    )

    @field_validator("to")
    @classmethod
    def _each_vault_once(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in to if to.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice: a second copy in the same vault is none")
        return to

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken, each a backup of its own: `logical`, `physical`. Kinds extend it."""
        raise NotImplementedError

    def base(self, method: str) -> str | None:  # noqa: ARG002
        """Name the method whose backups one of this method goes on from: an oplog slice from a dump. Kinds extend it.

        It is of no use without one: where there is none, that method is taken first.
        """
        return None


class ProtectedSpec(SystemSpec):
    """A system of a kind that can be backed up; such a kind narrows `backup` to a plan of its own."""

    backup: BackupPlan | None = Field(None, description="How it is backed up; not at all where this is missing.")

    def measure(self, measurement: Measurement) -> Measure:
        """Return the catalog's entry for a measurement, of the system or of its backups."""
        return BACKUPS[measurement.name] if measurement.name in BACKUPS else super().measure(measurement)

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return what holds for a measurement, of the system or of its backups."""
        if measurement.name not in BACKUPS:
            return super().limit(measurement)
        default = BACKUPS[measurement.name].limit
        given = self.backup.limits.get(measurement.name) if self.backup is not None else None
        return default if given is None else given.over(default)

    def measured(self) -> tuple[str, ...]:
        """Name every measurement that may be taken, of the system and of its backups."""
        return (*super().measured(), *BACKUPS) if self.backup is not None else super().measured()

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name every severity in use with its path inside this system."""
        named = super().severities()
        for name, limit in (self.backup.limits if self.backup is not None else {}).items():
            named += limit_severities(limit, ("backup", "limits", name))
        return named


def limit_severities(limit: Limit, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """Name every severity that a limit uses, with its path."""
    named = [] if limit.severity is None else [((*path, "severity"), limit.severity)]
    return named + [((*path, "by_severity", name), name) for name in limit.by_severity]


@dataclass(frozen=True)
class Access:
    """What a probe is given: how to resolve references, whom to trust, and the time.

    Attributes:
        resolver: Turns references into values and scrubs them from texts.
        ca_bundle: A PEM file of certificate authorities to trust instead of the host's, if any.
        now: The clock; aware, UTC.
        systems: The other systems of the platform by name, for kinds that live inside another (a queue in a Redis).
        pause: Waits for so many seconds between two looks; None where the first look counts.
    """

    resolver: Resolver
    now: Callable[[], datetime]
    ca_bundle: Path | None = None
    systems: dict[str, SystemSpec] | None = None
    pause: Callable[[float], Awaitable[None]] | None = asyncio.sleep


class Probe(Protocol):
    """Measures one system through its real driver.

    It yields what it reads as it reads it, so that a failure in the middle keeps what came before. It judges nothing,
    retries nothing, changes nothing, and leaves no connection open. It raises `Unreachable` when the system gave no
    usable answer at first contact, any other `WatchkeeperError` when it cannot tell, and yields a `Gap` for a single
    measurement that it could not take while the others went on.
    """

    def __call__(self, spec: SystemSpec, access: Access, /) -> AsyncIterator[Reading]:
        """Yield the readings of one system."""
        ...
