"""What one run of verifications saw, ready to render and store. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.core.run_report import RunReport
from tasks.core.verification import RESTORED, Verification

FLOW = "verify-backups"


class Verified(Model):
    """One backup that was looked at."""

    system: str
    kind: str
    method: str
    vault: str
    id: str
    why: str = Field(description="Why this one: `newest`, `a random older one`, `named`.")
    wanted: int = Field(description="The level that was asked for.")
    consistent_as_of: AwareDatetime
    verification: Verification | None = Field(None, description="None where no record could be written.")
    error: str = ""
    hint: str = ""

    @property
    def outcome(self) -> Outcome:
        """What it came to; one that did not come as far as was asked is not proven."""
        found = self.verification
        if found is None:
            return Outcome.ERRORED
        return Outcome.ERRORED if found.outcome is Outcome.PASSED and found.level < self.wanted else found.outcome


class VerifyReport(RunReport):
    """A platform's backups and what was proven of them."""

    flow: Literal["verify-backups"] = "verify-backups"
    backups: tuple[Verified, ...] = ()
    missing: dict[str, str] = Field(default_factory=dict, description="Systems of which nothing could be seen; why.")
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where a backup is damaged or a system has none; unknown where it could not be told."""
        outcomes = {one.outcome for one in self.backups}
        if Outcome.FAILED in outcomes or self.missing:
            return Verdict.FAILED
        if outcomes & {Outcome.ERRORED, Outcome.NOT_CHECKED} or not outcomes:
            return Verdict.UNKNOWN
        return Verdict.WARNED if Outcome.WARNED in outcomes else Verdict.PASSED

    @property
    def restored(self) -> int:
        """How many were restored and compared."""
        found = (one.verification for one in self.backups)
        return sum(one is not None and one.level >= RESTORED and one.outcome is Outcome.PASSED for one in found)
