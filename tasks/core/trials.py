"""Trials: something synthetic is planted, and looked for later, so that a promise is seen to be kept. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.core.control import Breach, Judgement
from tasks.core.model import Model
from tasks.core.units import format_duration

FRESH = timedelta(days=35)
"""A trial that ended before that says nothing of this month."""


class Package(Model):
    """An export that was opened."""

    size: int = Field(description="Bytes.")
    sha256: str
    files: int = Field(1, description="Files in it.")
    entries: int
    expected: int | None = Field(None, description="How many there were at the source before.")
    expected_most: int | None = Field(None, description="How many there were at the source afterwards.")
    at_least: int = 1
    trouble: str = Field("", description="What is wrong inside: a file that its own list of hashes does not know.")


class Trial(Model):
    """One trial: what was planted where and when, and what was found."""

    id: str
    platform: str
    environment: str = "production"
    control: str = Field(description="The control that is put to the proof.")
    subject: str = Field("", description="Of several: which.")
    canary: str
    expects: Literal["gone", "there", "package"]
    planted: AwareDatetime
    acted: AwareDatetime | None = Field(None, description="When the erasure was asked for.")
    due: AwareDatetime = Field(description="From when on what was promised must hold.")
    backups_until: AwareDatetime | None = Field(None, description="When every backup from in between must be gone.")
    seen: dict[str, int] = Field(default_factory=dict, description="How often it was found at once, by place.")
    looked: AwareDatetime | None = Field(None, description="When it was looked for after the deadline.")
    left: dict[str, int] = Field(default_factory=dict, description="How often it was found then, by place.")
    troubles: dict[str, str] = Field(default_factory=dict, description="Why a place, or a step, gave no answer.")
    package: Package | None = None

    @property
    def name(self) -> str:
        """What it is of, for a person."""
        return self.subject or self.canary


def judge(trials: Iterable[Trial], control: str, subjects: Iterable[str], now: datetime) -> Judgement:
    """Judge the newest trial of each subject.

    One that nobody looked at says nothing; so does a place where the canary was never seen: it cannot go red.
    """
    judged = Judgement()
    mine = [one for one in trials if one.control == control]
    for subject in subjects:
        ended = [one for one in mine if one.subject == subject and (one.looked or one.troubles)]
        if not ended:
            open_ = [one for one in mine if one.subject == subject]
            due = f"it is due at {open_[-1].due:%Y-%m-%d %H:%M} UTC" if open_ else "it was never tried"
            judged.gaps.append(f"{subject or control}: {due}")
            continue
        _judge(max(ended, key=lambda one: one.planted), judged, now)
    return judged


def _judge(trial: Trial, judged: Judgement, now: datetime) -> None:
    judged.gaps += [f"{place}: {why}" for place, why in trial.troubles.items()]
    if trial.looked is None:
        return
    if now - trial.looked > FRESH:
        judged.stale = f"{trial.name} was last tried on {trial.planted:%Y-%m-%d}"
    if trial.package is not None:
        _judge_package(trial, trial.package, judged)
        return
    judged.looked += len(trial.left)
    waited = format_duration((trial.looked - (trial.acted or trial.planted)).total_seconds())
    for place, count in trial.left.items():
        if trial.expects == "there" and count == 0:
            judged.breaches.append(Breach(f"{place}: no trace of {trial.canary} after {waited}", {"name": place}))
        elif trial.expects == "gone" and count > 0:
            judged.breaches.append(Breach(f"{place}: {trial.canary} is still there after {waited}", {"name": place}))
        elif trial.expects == "gone" and trial.seen.get(place, 0) == 0:
            judged.gaps.append(f"{place}: it was never seen there, so that its absence proves nothing")


def _judge_package(trial: Trial, package: Package, judged: Judgement) -> None:
    judged.looked += 1
    of = {"name": trial.subject or trial.control}
    if package.trouble:
        judged.breaches.append(Breach(f"the package is not sound: {package.trouble}", of))
    least, most = package.expected, package.expected_most if package.expected_most is not None else package.expected
    if least is not None and most is not None and not min(least, most) <= package.entries <= max(least, most):
        judged.breaches.append(Breach(f"it holds {package.entries} entries of {least}", of))
    elif package.entries < package.at_least:
        judged.breaches.append(Breach(f"it holds {package.entries} entries, at least {package.at_least} wanted", of))


def lingering(trials: Iterable[Trial], copies: Iterable[tuple[str, str, datetime]], now: datetime) -> list[Breach]:
    """Name each backup that was taken while a canary was there and outlives the date when it had to be gone.

    Args:
        trials: All that are known.
        copies: Every backup there is: vault, id, when it was taken.
        now: When it is.
    """
    kept = list(copies)
    return [
        Breach(f"the backup {name} in {vault} of {taken:%Y-%m-%d} may hold {trial.canary}", {"vault": vault})
        for trial in trials
        if trial.backups_until is not None and trial.acted is not None and trial.backups_until <= now
        for vault, name, taken in kept
        if trial.planted <= taken <= trial.acted
    ]
