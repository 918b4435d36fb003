"""What a platform's spec says of its compliance: what is allowed, and how each promise is put to the proof."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tasks.core.logscan.addresses import Proxies
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.steps import KINDS, Step
from tasks.core.units import Duration

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
_ZERO = timedelta(0)


class Residency(Model):
    """Where data may be."""

    regions: tuple[str, ...] = Field(min_length=1, description="The regions that are allowed; `uz-*` for several.")
    places: dict[str, str] = Field(
        default_factory=dict,
        description="Where a system, a vault or a standby is that cannot tell; what one tells itself goes before.",
    )


class Canary(Model):
    """An action that must leave a trace."""

    act: tuple[Step, ...] = Field(min_length=1, description="What is done, with `{canary}` in it.")
    look: dict[_Name, Step] = Field(min_length=1, description="Where its trace must appear, by name.")
    within: Duration = Field(timedelta(minutes=5), gt=_ZERO, description="How soon.")


class Ephemeral(Model):
    """Data that must be gone by itself, soon after it came."""

    plant: tuple[Step, ...] = Field(min_length=1, description="How a synthetic one comes, with `{canary}` in it.")
    look: dict[_Name, Step] = Field(min_length=1, description="Where it might be left, by name.")
    within: Duration = Field(gt=_ZERO, description="When it must be gone.")
    bucket: str | None = Field(None, description="The system of kind `s3` that must hold none older.")


class Erasure(Model):
    """Personal data that is erased when a person asks for it."""

    plant: tuple[Step, ...] = Field(min_length=1, description="How a synthetic person is made, with `{canary}` in it.")
    erase: tuple[Step, ...] = Field(min_length=1, description="The platform's own procedure of erasure.")
    look: dict[_Name, Step] = Field(
        min_length=1, description="Where the person might be left: primary, replica, search index."
    )
    within: Duration = Field(timedelta(minutes=5), gt=_ZERO, description="When it must be gone there.")
    backups: Duration | None = Field(
        None, gt=_ZERO, description="When every backup that was taken in between must be gone."
    )


class Export(Model):
    """An export that must work."""

    ask: Step = Field(description="What exports.")
    fetch: Step | None = Field(
        None, description="What fetches the package, where asking only orders it; `{export_id}` is of its answer."
    )
    entries: str = Field("", description="Where the entries stand in an answer of JSON, by dotted path: `logs`.")
    compare: Step | None = Field(None, description="What counts the same at the source; the package must hold as many.")
    at_least: int = Field(1, ge=0, description="So many entries the package must hold.")


class Kept(Model):
    """How long data is kept."""

    keep: Duration = Field(gt=_ZERO, description="How old the oldest may be.")
    system: str = Field("", description="A system of kind `s3` or `logs`: its oldest object or file.")
    ask: Step | None = Field(None, description="What asks for the oldest time: `SELECT min(at) FROM audit_logs`.")
    vault: str = Field("", description="A vault: its oldest backup.")

    @model_validator(mode="after")
    def _one_place(self) -> Kept:
        if sum(map(bool, (self.system, self.ask, self.vault))) != 1:
            raise ValueError("name one of system, ask and vault")
        return self


class Rotation(Model):
    """How old secrets may be. Their values are never read."""

    within: Duration = Field(timedelta(days=90), gt=_ZERO, description="How long ago they were changed at most.")
    files: tuple[Address, ...] = Field((), description="Files that hold secrets, beside those that the spec names.")
    iam: tuple[str, ...] = Field(
        (), description="Systems of kind `s3` whose access key is asked for its age by IAM's ListAccessKeys."
    )
    annotation: str = Field(
        "watchkeeper/rotated-at",
        description="The annotation of a Secret that says when it was rotated, where it has one.",
    )
    exempt: tuple[str, ...] = Field((), description="Names of Secrets that something else renews; `*-tls`.")


class Buckets(Model):
    """What holds of buckets; all of them must be private and encrypted where nothing else is said."""

    public: tuple[str, ...] = Field((), description="Systems whose bucket anybody may read.")
    unencrypted: tuple[str, ...] = Field((), description="Systems whose bucket the store need not encrypt.")
    versioned: tuple[str, ...] = Field((), description="Systems whose bucket must keep versions.")


class AccessLogs(Model):
    """Logs in which attacks are looked for."""

    systems: tuple[str, ...] = Field((), description="Systems of kind `logs`.")
    failed_logins: int = Field(100, ge=0, description="Failed logins in an hour that are still fine.")
    failed_logins_of_one: int = Field(50, ge=0, description="Failed logins of one address that are still fine.")
    rate_limited: int = Field(1000, ge=0, description="Rate-limit violations in an hour that are still fine.")
    unusual: int = Field(10, ge=2, description="So many times an address's usual hour is unusual.")
    proxies: tuple[str, ...] = Field((), description="Addresses and networks whose X-Forwarded-For is believed.")

    @field_validator("proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        Proxies(proxies)
        return proxies


class Scans(Model):
    """What scanners wrote."""

    folder: Address = Field(description="Where it lies: pip-audit, npm audit, trivy, grype as JSON, others as SARIF.")
    within: Duration = Field(timedelta(days=31), gt=_ZERO, description="When the newest result of each is stale.")


class Updates(Model):
    """Security updates that wait."""

    ask: Step = Field(
        description="What says how many wait: rows with `name` and `value`, by machine; such as the metric "
        "`apt_upgrades_pending` of node_exporter's collector for apt."
    )
    fine: int = Field(0, ge=0, description="So many may wait on a machine.")


class Incidents(Model):
    """How incidents are dealt with."""

    log: Step | None = Field(
        None, description="What lists incidents: rows with `id`, `ended`, and `written` for the post-mortem's time."
    )
    written_within: Duration = Field(timedelta(hours=48), gt=_ZERO, description="When a post-mortem must be there.")
    contacts: Step | None = Field(
        None,
        description="What lists test calls: rows with `role`, `asked` and `answered`, for each contact of the spec.",
    )
    answer_within: Duration = Field(timedelta(minutes=15), gt=_ZERO, description="How soon a contact must answer.")
    called_within: Duration = Field(timedelta(days=92), gt=_ZERO, description="How long ago the last test call may be.")


class CompliancePlan(Model):
    """What is promised of a platform, and how it is put to the proof. What is not named here is not checked."""

    residency: Residency | None = Field(None, description="Where data may be.")
    audit_log: Canary | None = Field(None, description="How it is seen that audit logs are being written.")
    ephemeral: dict[_Name, Ephemeral] = Field(default_factory=dict, description="Data that must be gone by itself.")
    erasure: Erasure | None = Field(None, description="How it is seen that personal data is erased everywhere.")
    audit_export: Export | None = Field(None, description="How audit logs are exported.")
    legal_export: Export | None = Field(None, description="How what a court asks for is exported.")
    retention: dict[_Name, Kept] = Field(default_factory=dict, description="How long data is kept, by name.")
    rotation: Rotation = Field(default_factory=Rotation, description="How old secrets may be.")
    administrators: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="By system: the accounts that may do everything, besides the server's own."
    )
    buckets: Buckets = Field(default_factory=Buckets, description="What holds of buckets.")
    access_logs: AccessLogs = Field(default_factory=AccessLogs, description="Where attacks are looked for.")
    scans: Scans | None = Field(None, description="What scanners wrote.")
    updates: Updates | None = Field(None, description="Security updates that wait.")
    incidents: Incidents = Field(default_factory=Incidents, description="How incidents are dealt with.")

    def uses(self) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
        """Yield each system that is named: its path, the name, and the kinds that it may be of; any where empty."""
        for path, step in self.steps():
            if step.system:
                yield (*path, "system"), step.system, KINDS
        yield from self._named()

    def _named(self) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
        for name, one in self.ephemeral.items():
            if one.bucket is not None:
                yield ("ephemeral", name, "bucket"), one.bucket, ("s3",)
        for name, kept in self.retention.items():
            if kept.system:
                yield ("retention", name, "system"), kept.system, ("s3", "logs")
        for system in self.administrators:
            yield ("administrators", system), system, ("postgres", "mongodb", "redis")
        for field in ("public", "unencrypted", "versioned"):
            for position, system in enumerate(getattr(self.buckets, field)):
                yield ("buckets", field, str(position)), system, ("s3",)
        for position, system in enumerate(self.rotation.iam):
            yield ("rotation", "iam", str(position)), system, ("s3",)
        for position, system in enumerate(self.access_logs.systems):
            yield ("access_logs", "systems", str(position)), system, ("logs",)

    def vaults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield each vault that is named, with its path."""
        for name, kept in self.retention.items():
            if kept.vault:
                yield ("retention", name, "vault"), kept.vault

    def steps(self) -> Iterator[tuple[tuple[str, ...], Step]]:
        """Yield every step with its path."""
        yield from _steps((), self)


def _steps(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], Step]]:
    if isinstance(value, Step):
        yield path, value
    elif isinstance(value, Model):
        for name in type(value).model_fields:
            yield from _steps((*path, name), getattr(value, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _steps((*path, str(name)), item)
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _steps((*path, str(position)), item)
