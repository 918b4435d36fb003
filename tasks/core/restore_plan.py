"""What a restore will do, before it does anything, and what came of it. Pure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.drill import PhaseTime
from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.run_report import RunReport

FLOW = "restore-datastore"
PLAN_FLOW = "restore-plan"
SCRATCH = "scratch"


class LastTime(Model):
    """One restore into scratch that was recorded beside its backup, this one or an earlier one."""

    backup: str = Field(description="Id of the backup.")
    at: AwareDatetime = Field(description="When it ended.")
    seconds: float = Field(description="How long it took, with all that was compared.")
    plain_bytes: int = Field(description="Size of the backup, uncompressed.")


class RestorePlan(Model):
    """What is restored, from where, into what, and how long it may take."""

    platform: str
    system: str
    kind: str
    backup: str = Field(description="Id of the backup.")
    method: str
    vault: str
    location: str = Field(description="Where the backup lies, for a person.")
    consistent_as_of: AwareDatetime = Field(description="The moment that the backup shows.")
    until: AwareDatetime | None = Field(None, description="The point in time that is asked for.")
    position: str | None = Field(None, description="The position in the system's own history that is asked for.")
    latest: bool = Field(default=False, description="As new as log or slices reach.")
    only: tuple[str, ...] = Field((), description="Only these parts of it.")
    into: str = Field(description="`scratch`, or the named place; never a password.")
    parents: tuple[str, ...] = Field((), description="Backups that are read as well.")
    plain_bytes: int
    stored_bytes: int
    parts: int
    last: LastTime | None = Field(None, description="When a backup of this system and method was restored last.")
    verified: AwareDatetime | None = Field(None, description="When this very backup was proven last.")


class PlannedRestore(RunReport):
    """What a restore would do, and whether it can be done here; nothing was done."""

    flow: Literal["restore-plan"] = "restore-plan"
    plan: RestorePlan
    checks: tuple[Assertion, ...] = Field((), description="Room, programs, the key, and that the place is not live.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where something that a restore needs is not right, unknown where it could not be told."""
        outcomes = {one.outcome for one in self.checks}
        if Outcome.FAILED in outcomes:
            return Verdict.FAILED
        return Verdict.PASSED if outcomes <= {Outcome.PASSED} else Verdict.UNKNOWN


class RestoreReport(RunReport):
    """What came of one restore, ready to render and store."""

    flow: Literal["restore-datastore"] = "restore-datastore"
    plan: RestorePlan
    outcome: Outcome = Field(description="Passed where all is there and held; errored where it could not be told.")
    phases: tuple[PhaseTime, ...] = ()
    recovered_to: AwareDatetime | None = Field(None, description="The newest record that came back.")
    assertions: tuple[Assertion, ...] = ()
    details: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seconds(self) -> float:
        """How long it took in all."""
        return round((self.finished - self.started).total_seconds(), 3)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed, unknown, warned or passed, as its outcome is."""
        if self.outcome is Outcome.FAILED:
            return Verdict.FAILED
        if self.outcome in (Outcome.ERRORED, Outcome.NOT_CHECKED, Outcome.SKIPPED):
            return Verdict.UNKNOWN
        return Verdict.WARNED if self.warnings or self.outcome is Outcome.WARNED else Verdict.PASSED
