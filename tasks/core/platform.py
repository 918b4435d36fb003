"""The platform: all that one spec file describes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from tasks.core.compliance_plan import CompliancePlan
from tasks.core.drill_plan import DrillPlan
from tasks.core.foresight import Foresight
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.results import Outcome
from tasks.core.statements import Waiver
from tasks.core.steadiness import Confirm
from tasks.core.system import ProtectedSpec, SystemSpec
from tasks.core.units import Duration, format_duration
from tasks.core.vaults import Encryption, VaultSpec
from tasks.core.windows import Window, ZoneName

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
"""Lower case, digits, dashes: it becomes part of keys and addresses."""


class Slack(Model):
    """Where people are told."""

    channel: str = Field(description="The channel that reports go to, with its `#`, or its id.", pattern=r"^[#CGD].+")
    incidents: str | None = Field(None, description="The channel for incidents, where the runbook names one.")
    others: tuple[str, ...] = Field((), description="Further channels that the runbook names.")


class Contact(Model):
    """A person or a team, by role."""

    role: str = Field(description="As the runbook says it: `Primary on-call`.")
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    slack: str | None = Field(None, description="A handle such as `@oncall-stylesync`.")


class Severity(Model):
    """One of the runbook's own classes."""

    means: str = Field(description="What the runbook says it is.")
    respond: Duration | Literal["immediately", "next-day", "next-business-day"] = Field(
        description="How soon a person must respond."
    )
    notify: str | None = Field(
        None, description="Whom, or when: `immediately`, `on-call`, `business-hours`, `backlog`."
    )
    outcome: Literal[Outcome.FAILED, Outcome.WARNED] = Field(
        Outcome.FAILED, description="Whether a finding of this class fails the check or only warns."
    )


class DefaultSeverity(Model):
    """The severity of a finding whose limit and system name none."""

    warn: str
    critical: str


class Recovery(Model):
    """The recovery objectives."""

    rto: Duration = Field(description="Recovery time objective: how long until it works again.")
    rpo: Duration = Field(description="Recovery point objective: how much recent data may be lost.")


class Evening(Model):
    """What the evening's digest holds besides the day's problems; each entry is a `system.measurement`.

    What is set against yesterday and last week must be of a system that can be asked for an earlier time.
    """

    business: tuple[str, ...] = Field((), description="Set against yesterday and the same day last week.")
    objectives: tuple[str, ...] = Field((), description="Shown against their targets.")
    backups: tuple[str, ...] = Field((), description="How old the newest copy is.")

    def entries(self) -> Iterator[tuple[str, int, str]]:
        """Yield section, position and entry."""
        for section in type(self).model_fields:
            yield from ((section, position, entry) for position, entry in enumerate(getattr(self, section)))

    def systems(self) -> dict[str, list[str]]:
        """Return the measurements that the digest takes of each system."""
        wanted: dict[str, list[str]] = {}
        for _, _, entry in self.entries():
            system, _, name = entry.partition(".")
            wanted.setdefault(system, []).append(name)
        return wanted


class PlatformSpec(Model):
    """A platform and everything that Watchkeeper looks after in it.

    `tasks.systems` narrows `systems` to the union of all kinds; this base accepts any system.
    """

    platform: Name = Field(description="The name by which commands and flows call it.")
    title: str = Field(description="What people call it.")
    timezone: ZoneName = Field("UTC", description="IANA time zone for what people read.")
    slack: Slack
    status_page: str | None = Field(None, description="Address of the public status page.")
    contacts: tuple[Contact, ...] = ()
    escalation: tuple[str, ...] = Field((), description="Who is called after whom.")
    links: dict[str, Address] = Field(default_factory=dict, description="Dashboards, logs, repositories, by name.")
    severities: dict[str, Severity] = Field(description="The runbook's own classes, worst first.", min_length=1)
    default_severity: DefaultSeverity = Field(description="For findings whose limit and system name none.")
    recovery: Recovery | None = None
    confirm: Confirm = Field(Confirm(), description="How often a problem must be seen before it counts.")
    maintenance: dict[Name, Window] = Field(
        default_factory=dict, description="When work is announced, by name: nobody is notified of what it breaks."
    )
    waivers: tuple[Waiver, ...] = Field(
        (), description="Controls of the compliance checklist whose breach is accepted for a time."
    )
    digest: Evening = Field(Evening(), description="What the evening's digest holds besides the day's problems.")
    vaults: dict[Name, VaultSpec] = Field(default_factory=dict, description="Where backups are kept, by name.")
    encryption: Encryption | Literal["none"] | None = Field(
        None, description="For whom backups are encrypted; `none` says that they are not."
    )
    drill: DrillPlan = Field(DrillPlan(), description="How its recovery is rehearsed.")
    capacity: Foresight = Field(Foresight(), description="How its capacity plan is made.")
    compliance: CompliancePlan = Field(
        default_factory=CompliancePlan, description="What is promised of it, and how that is put to the proof."
    )
    systems: dict[Name, SystemSpec] = Field(min_length=1, description="What it relies on, by name.")

    @model_validator(mode="after")
    def _says_who_may_read_backups(self) -> PlatformSpec:
        if self.vaults and self.encryption is None:
            raise ValueError("there are vaults and no encryption: name recipients, or say `encryption: none`")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone for what people read."""
        return ZoneInfo(self.timezone)

    def references(self) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
        """Yield each use of a name that must exist: its path, the name, and the names there are."""
        known, systems = tuple(self.severities), tuple(self.systems)
        yield ("default_severity", "warn"), self.default_severity.warn, known
        yield ("default_severity", "critical"), self.default_severity.critical, known
        for name, window in self.maintenance.items():
            for position, system_name in enumerate(window.systems):
                yield ("maintenance", name, "systems", str(position)), system_name, systems
        for name, system in self.systems.items():
            for path, severity in system.severities():
                yield ("systems", name, *path), severity, known
            for path, parent, kinds in system.uses():
                fitting = (other for other in systems if not kinds or self.systems[other].kind in kinds)
                yield ("systems", name, *path), parent, tuple(other for other in fitting if other != name)
        for name, protected in self.protected.items():
            for position, vault in enumerate(protected.backup.to if protected.backup is not None else ()):
                yield ("systems", name, "backup", "to", str(position)), vault, tuple(self.vaults)
        yield from self._in_plans()
        for section, position, entry in self.digest.entries():
            yield ("digest", section, str(position)), entry, self._measured(lasting=section == "business")

    def _in_plans(self) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
        """Yield what the drill and the compliance name."""
        for plan, uses in (("drill", self.drill.uses()), ("compliance", self.compliance.uses())):
            for path, name, kinds in uses:
                fitting = (it for it in self.systems if not kinds or self.systems[it].kind in kinds)
                yield (plan, *path), name, tuple(fitting)
        for path, name in self.compliance.vaults():
            yield ("compliance", *path), name, tuple(self.vaults)

    def _measured(self, *, lasting: bool) -> tuple[str, ...]:
        """Return every `system.measurement`; where it must last, of the systems that know their past."""
        return tuple(
            f"{name}.{measurement}"
            for name, system in self.systems.items()
            if system.REMEMBERS or not lasting
            for measurement in system.measured()
        )

    @property
    def protected(self) -> dict[str, ProtectedSpec]:
        """The systems that are backed up, by name."""
        return {
            name: system
            for name, system in self.systems.items()
            if isinstance(system, ProtectedSpec) and system.backup is not None
        }

    def cycle(self) -> tuple[str, ...]:
        """Return a circle of `depends_on`, or nothing."""
        done: set[str] = set()

        def walk(name: str, trail: tuple[str, ...]) -> tuple[str, ...]:
            if name in trail:
                return (*trail[trail.index(name) :], name)
            if name in done or name not in self.systems:
                return ()
            for parent in self.systems[name].depends_on:
                if found := walk(parent, (*trail, name)):
                    return found
            done.add(name)
            return ()

        return next((found for name in self.systems if (found := walk(name, ()))), ())

    def needed(self, system: str) -> set[str]:
        """Return all that a system cannot work without, through others too."""
        found: set[str] = set()
        open_ends = [system]
        while open_ends:
            spec = self.systems.get(open_ends.pop())
            parents = {use.name for use in spec.uses()} - found if spec is not None else set()
            found |= parents
            open_ends += parents
        return found - {system}

    def response_time(self, severity: str) -> str:
        """Say how soon a person must respond, for a person."""
        respond: Any = self.severities[severity].respond
        if isinstance(respond, timedelta):
            return f"within {format_duration(respond.total_seconds())}"
        return str(respond).replace("-", " ")
