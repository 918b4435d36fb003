"""What a check of a platform's vaults saw: what is missing, changed or left over. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, computed_field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.run_report import RunReport

FLOW = "vault-check"


class Flawed(Model):
    """Something in a vault that is not as it should be."""

    folder: str
    what: str
    lost: bool = Field(description="Whether a backup that counts cannot be read; else it only takes room.")


class CheckedVault(Model):
    """What was seen of one vault."""

    vault: str
    backups: int = 0
    stored_bytes: int = 0
    bytes_read: int = 0
    flaws: tuple[Flawed, ...] = ()
    error: str = Field("", description="Why it could not be looked at.")


class VaultReport(RunReport):
    """One check of a platform's vaults, ready to render and store."""

    flow: Literal["vault-check"] = "vault-check"
    read_data: float = Field(description="Per cent of the parts whose bytes were read and hashed.")
    vaults: tuple[CheckedVault, ...] = ()
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where a backup that counts cannot be read, or a vault cannot be looked at; a leftover only warns."""
        if any(vault.error or any(flaw.lost for flaw in vault.flaws) for vault in self.vaults):
            return Verdict.FAILED
        if not self.vaults:
            return Verdict.UNKNOWN
        return Verdict.WARNED if self.notes or any(vault.flaws for vault in self.vaults) else Verdict.PASSED
