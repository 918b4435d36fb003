"""What one run of backups brought home: the restore point, each backup with its copies, and what failed. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.run_report import RunReport

FLOW = "backup"


class Copied(Model):
    """One copy of a backup in another vault, made without reading the source again."""

    vault: str
    location: str = Field(description="Where it lies, for a person: a folder, or an `s3://` address.")
    seconds: float


class TakenBackup(Model):
    """One complete backup, in the vault that it was taken into and those that it was copied to."""

    system: str
    title: str
    kind: str
    method: str
    id: str
    vault: str = Field(description="The vault that it was taken into.")
    location: str = Field(description="Where it lies, for a person: a folder, or an `s3://` address.")
    bytes: int = Field(description="Size of what the system gave.")
    stored_bytes: int = Field(description="Size in the vault: compressed, encrypted.")
    seconds: float
    consistent_as_of: AwareDatetime = Field(description="The moment that the copy shows.")
    parent: str | None = Field(None, description="The backup that it goes on from; None where it holds everything.")
    copies: tuple[Copied, ...] = ()
    warnings: tuple[str, ...] = Field((), description="What is not in it and might be missed, for a person.")
    news: tuple[str, ...] = Field((), description="Those of its warnings that the backup before did not have.")

    @property
    def vaults(self) -> tuple[str, ...]:
        """Every vault that has it."""
        return (self.vault, *(copy.vault for copy in self.copies))


class FailedBackup(Model):
    """What was to be taken, or copied, and was not."""

    system: str
    title: str
    kind: str
    method: str = Field("", description="Empty where all of the system failed.")
    vault: str = Field(description="The vault that does not have it.")
    id: str = Field("", description="Of the backup that could not be copied; empty where none was taken.")
    reason: str
    hint: str = ""
    seconds: float = 0.0


class BackupReport(RunReport):
    """One restore point of a platform, ready to render and store."""

    flow: Literal["backup"] = "backup"
    restore_point: str = Field(description="The same in every backup that was taken together.")
    backups: tuple[TakenBackup, ...] = ()
    failed: tuple[FailedBackup, ...] = ()
    notes: tuple[str, ...] = Field((), description="What a person should know of the run itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def skew_seconds(self) -> float:
        """How far the moments that its backups show lie apart; 0 where there is at most one."""
        moments = [backup.consistent_as_of for backup in self.backups]
        return (max(moments) - min(moments)).total_seconds() if moments else 0.0

    @property
    def stored_bytes(self) -> int:
        """Size of all its backups as they are stored, each counted once."""
        return sum(backup.stored_bytes for backup in self.backups)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where anything is missing; unknown where there is nothing; warned where a person should look.

        What is never in a backup of some system is said each time, and is a warning only when it is new.
        """
        if self.failed:
            return Verdict.FAILED
        if not self.backups:
            return Verdict.UNKNOWN
        return Verdict.WARNED if self.notes or any(backup.news for backup in self.backups) else Verdict.PASSED
