"""Silences: what a person said of a problem so that nobody else is woken by it. Each one ends by itself. Pure."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.results import Finding, Outcome


class Silence(Model):
    """One acknowledgement ("I am on it") or snooze ("not before then").

    An acknowledgement is of a problem that was there when it was given: a problem that began later, or that became
    worse, is told. A snooze holds for whatever its pattern fits, until it ends.
    """

    id: str = Field(description="Unique, sorts by time.")
    kind: Literal["acknowledged", "snoozed"]
    platform: str
    pattern: str = Field(description="The key of a finding, or a pattern of keys: `cache/reachable`, `api/*`, `*`.")
    by: str = Field(description="Who said so.")
    why: str = Field("", description="What is done about it, or why it can wait.")
    at: AwareDatetime
    until: AwareDatetime
    outcomes: dict[str, Outcome] = Field(
        default_factory=dict, description="How bad each problem was when it was acknowledged, by key."
    )

    def fits(self, key: str) -> bool:
        """Tell whether a finding's key is meant; only `*` is special, as keys hold brackets and question marks."""
        return _fits(key, self.pattern) or _fits(key.partition("/")[0], self.pattern)

    def is_about(self, system: str) -> bool:
        """Tell whether any finding of a system could be meant."""
        return _fits(system, self.pattern.partition("/")[0])

    def holds(self, finding: Finding, now: datetime) -> bool:
        """Tell whether it covers a problem now."""
        if not self.at <= now < self.until or not self.fits(finding.key):
            return False
        if self.kind == "snoozed":
            return True
        was = self.outcomes.get(finding.key)
        same = finding.since is not None and finding.since <= self.at
        return was is not None and same and finding.outcome.rank >= was.rank

    @property
    def text(self) -> str:
        """Say it for a person: `acknowledged by kim: disk is ordered`."""
        return f"{self.kind} by {self.by}" + (f": {self.why}" if self.why else "")


def _fits(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))
