"""What people are asked and reminded of: a result of its own, kept and told like every other. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.model import Model
from tasks.core.report import Verdict
from tasks.core.run_report import RunReport


class Wanted(Model):
    """One control that a person is to attest."""

    control: str
    title: str
    owner: str
    remedy: str = ""
    last: str = Field("", description="What was stated last, and when that lapses; empty where nothing was.")
    until: AwareDatetime | None = Field(None, description="When the last statement lapses.")


class Asking(RunReport):
    """That people are asked to attest, or reminded that an attestation lapses."""

    flow: Literal["collect-attestations", "remind-attestations"]
    wanted: tuple[Wanted, ...]
    until: AwareDatetime | None = Field(None, description="Until when they may; None for a reminder.")
    notes: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """A warning: something is to be done, and nothing is broken."""
        return Verdict.WARNED if self.wanted else Verdict.PASSED
