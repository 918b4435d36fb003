"""Steadiness: how often a problem is looked at before it counts, and when changing is itself the problem. Pure.

A problem that was seen in fewer looks than the spec wants is *soft*: the system is looked at again before anything is
said. One that was seen in that many looks in a row, or that is known to have lasted as long already, is *hard*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from pydantic import Field

from tasks.core.model import Model
from tasks.core.results import Finding, Outcome
from tasks.core.units import Duration

TRACK = 21
"""How many looks are remembered."""
MEMORY = timedelta(days=8)
"""What was seen longer ago says nothing of whether something is steady now."""
_STARTS, _ENDS = 0.30, 0.20
_OLDEST, _NEWEST = 0.8, 1.2
_LETTERS = {Outcome.PASSED: "P", Outcome.WARNED: "W", Outcome.FAILED: "F", Outcome.ERRORED: "E"}


class Confirm(Model):
    """How often a problem must be seen before it counts."""

    looks: int = Field(2, ge=1, le=10, description="A problem counts once it was seen in so many looks in a row.")
    every: Duration = Field(
        timedelta(seconds=3), ge=timedelta(0), description="How long to wait before the system is looked at again."
    )

    @property
    def most(self) -> int:
        """How many looks there are at most: as many once more, so that one good look in between does not decide."""
        return 2 * self.looks - 1


class Looks:
    """The looks of one run at one system, as they come.

    Args:
        confirm: How often a problem must be seen.
        earlier: The findings of the report before, by key.
    """

    def __init__(self, confirm: Confirm, earlier: Mapping[str, Finding]) -> None:
        self._confirm = confirm
        self._earlier = earlier
        self._looks: list[dict[str, Finding]] = []

    @property
    def before(self) -> Mapping[str, Finding]:
        """What was found before the next look, by key: in this run, or else in the report before."""
        return {**self._earlier, **self._looks[-1]} if self._looks else self._earlier

    def add(self, findings: Iterable[Finding]) -> None:
        """Take what one more look found."""
        self._looks.append({finding.key: finding for finding in findings})

    @property
    def settled(self) -> bool:
        """Whether no more look is needed: each problem is hard, or there were enough looks."""
        if len(self._looks) >= self._confirm.most:
            return True
        return not any(finding.outcome.is_problem and not self._is_hard(finding) for finding in self._last())

    def findings(self, unsteady: str) -> list[Finding]:
        """Return the findings of the last look, with what the looks before it add.

        Args:
            unsteady: The severity of what passed and yet changes all the time.
        """
        return [self._told(finding, unsteady) for finding in self._last()]

    def _last(self) -> Iterable[Finding]:
        return self._looks[-1].values() if self._looks else ()

    def _is_hard(self, finding: Finding) -> bool:
        confirm = self._confirm
        if finding.since is not None and finding.at - finding.since >= (confirm.looks - 1) * confirm.every:
            return True
        seen = [look[finding.key] for look in self._looks if finding.key in look]
        row = seen[-confirm.looks :]
        return len(row) == confirm.looks and all(one.outcome.is_problem for one in row)

    def _told(self, finding: Finding, unsteady: str) -> Finding:
        seen = [look[finding.key] for look in self._looks if finding.key in look]
        before = self._earlier.get(finding.key)
        if before is not None and finding.at - before.at > MEMORY:
            before = None
        track = (before.track if before else "") + "".join(_LETTERS.get(one.outcome, "") for one in seen)
        track = track[-TRACK:]
        flapping = is_flapping(track, was=before is not None and before.flapping)
        told = finding.model_copy(update={"track": track, "flapping": flapping, "note": _note(finding, seen)})
        return _as_flapping(told, before, unsteady) if flapping else told


def is_flapping(track: str, *, was: bool) -> bool:
    """Tell whether a track changes between fine and problem too often.

    The weighted share of changes, newer ones weighing more, over a full track: it flaps from 30 % on, and until it is
    below 20 %, so that it does not flap in and out of flapping (the rule of Nagios and Icinga).
    """
    changes = [is_problem != was_problem for was_problem, is_problem in pairwise(letter != "P" for letter in track)]
    steps = TRACK - 1
    first = steps - len(changes)
    weight = (_NEWEST - _OLDEST) / (steps - 1)
    share = sum(_OLDEST + weight * (first + place) for place, changed in enumerate(changes) if changed) / steps
    return share >= (_ENDS if was else _STARTS)


def _note(finding: Finding, seen: Sequence[Finding]) -> str:
    """Say in how many of the looks it was a problem, where they differ."""
    bad = [one for one in seen if one.outcome.is_problem]
    if len(bad) in (0, len(seen)):
        return finding.note
    worst = min(bad, key=lambda one: one.outcome.rank)
    what = f"{worst.outcome.value} in {len(bad)} of {len(seen)} looks"
    if not finding.outcome.is_problem and worst.observed:
        what += f", with {worst.observed}"
    return f"{what}; {finding.note}" if finding.note else what


def _as_flapping(finding: Finding, before: Finding | None, severity: str) -> Finding:
    bad = sum(letter != "P" for letter in finding.track)
    note = f"flapping: a problem in {bad} of the last {len(finding.track)} looks"
    update: dict[str, object] = {"note": f"{note}; {finding.note}" if finding.note else note}
    if finding.outcome is Outcome.PASSED:
        since: datetime = before.since if before is not None and before.since is not None else finding.at
        update |= {"outcome": Outcome.WARNED, "severity": severity, "since": since}
    return finding.model_copy(update=update)
