"""Verification records: what was proven of a backup, when, and how far. Pure; the vault keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.restore import Assertion
from tasks.core.results import Outcome

RESTORED = 3
"""The level at which a backup was restored and compared: what counts as verified."""


class Verification(Model):
    """What one verification of one backup saw. It is appended beside the manifest, and never changed."""

    format: int = Field(1, description="Version of the format.")
    id: str = Field(description="Time and eight hexadecimal digits, as a backup's id.")
    backup: str = Field(description="The backup's folder, `platform/system/id`.")
    at: AwareDatetime = Field(description="When it ended.")
    level: int = Field(
        ge=0, le=4, description="How far it went: 0 exists, 1 hashes, 2 parses, 3 restored and compared, 4 application."
    )
    outcome: Outcome = Field(description="Passed or failed; errored where it could not be told.")
    seconds: float = Field(0.0, ge=0, description="How long it took.")
    into: str = Field("", description="What it was restored into, for a person; never an address with a password.")
    assertions: tuple[Assertion, ...] = ()
    watchkeeper: str = Field("", description="Version that verified.")

    @property
    def proves(self) -> bool:
        """Whether it restored the backup and found in it what must be there."""
        return self.outcome is Outcome.PASSED and self.level >= RESTORED

    @property
    def tells(self) -> bool:
        """Whether it tells anything: what could not be told changes nothing."""
        return self.outcome in (Outcome.PASSED, Outcome.FAILED)


def is_verified(records: Iterable[Verification]) -> bool:
    """Return whether a backup counts as verified: it was proven, and nothing that was seen later speaks against it."""
    told = sorted((record for record in records if record.tells), key=lambda record: (record.at, record.id))
    proven = [place for place, record in enumerate(told) if record.proves]
    return bool(proven) and all(record.outcome is Outcome.PASSED for record in told[proven[-1] :])
