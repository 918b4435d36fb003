"""What retention keeps and removes in a platform's vaults, with the reason for every backup, and what became of it."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, computed_field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.run_report import RunReport

FLOW = "prune"


class Decided(Model):
    """What becomes of one backup, and why."""

    id: str = Field(description="Its folder: `platform/system/id`.")
    group: str = Field(description="System and method: retention looks at each such group for itself.")
    reasons: tuple[str, ...]
    stored_bytes: int = 0


class VaultPlan(Model):
    """The plan for one vault, and what became of it where it was carried out."""

    vault: str
    fingerprint: str = Field("", description="Another one where any decision is another.")
    keep: tuple[Decided, ...] = ()
    remove: tuple[Decided, ...] = ()
    beyond: dict[str, float] = Field(
        default_factory=dict, description="Groups of which more would go than the cap allows, with the share."
    )
    troubles: tuple[str, ...] = Field((), description="Why nothing of a system is removed though a rule would.")
    removed: tuple[str, ...] = Field((), description="What went.")
    finished: tuple[str, ...] = Field((), description="What an earlier removal had left, and is gone now.")
    failed: dict[str, str] = Field(default_factory=dict, description="Why others could not be removed.")
    held_back: dict[str, float] = Field(default_factory=dict, description="Groups that wait for a person's approval.")
    log_removed: dict[str, int] = Field(
        default_factory=dict, description="Files of the continuous archive that no kept copy needs, by system."
    )
    error: str = Field("", description="Why there is no plan, or it was not carried out.")


class PruneReport(RunReport):
    """One run of retention over a platform's vaults, ready to render and store."""

    flow: Literal["prune"] = "prune"
    applied: bool = Field(description="Whether the plan was carried out; else it is only shown.")
    approved: str = Field("", description="The fingerprint that a person approved.")
    vaults: tuple[VaultPlan, ...] = ()
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def fingerprint(self) -> str:
        """What a person approves: another one where any decision in any vault is another."""
        return fingerprint({plan.vault: plan.fingerprint for plan in self.vaults})

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where a vault or a removal did; warned where something waits for a person."""
        if any(plan.error or plan.failed for plan in self.vaults):
            return Verdict.FAILED
        if not self.vaults:
            return Verdict.UNKNOWN
        waits = any(plan.troubles or plan.held_back or (plan.beyond and not self.applied) for plan in self.vaults)
        return Verdict.WARNED if waits or self.notes else Verdict.PASSED


def fingerprint(plans: dict[str, str]) -> str:
    """Return what stands for the plans of several vaults together."""
    text = "\n".join(f"{vault} {plan}" for vault, plan in sorted(plans.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
