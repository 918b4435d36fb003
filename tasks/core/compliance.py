"""What the controls of a platform judge, what people state, and the checklist that comes of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field, computed_field, model_validator

from tasks.core.control import Judged, Result
from tasks.core.model import Model
from tasks.core.report import Report, Verdict
from tasks.core.run_report import RunReport

FLOW = "compliance-checklist"
_GREEN = (Result.PASS, Result.ATTESTED, Result.WAIVED, Result.NOT_APPLICABLE)


@dataclass(frozen=True)
class Copy:
    """One complete backup, as far as it can be told without reading its data.

    Attributes:
        system: Of which system.
        vault: In which vault.
        id: Its id.
        taken: When it was begun.
        encrypted: Whether every part of it is.
        proven: When it was last restored and found good; None where it never was.
    """

    system: str
    vault: str
    id: str
    taken: datetime
    encrypted: bool
    proven: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a platform when its checklist is made.

    Attributes:
        now: When it is.
        protected: The systems that are to have backups, with the vaults they are to be in.
        encrypted: Whether backups are to be encrypted at all, as the spec says.
        copies: The backups there are.
        unread: Why vaults could not be looked at, by name.
        health: The newest health check; None where there is none.
        checked: When each health check of the last 31 days ended.
        drilled: When each drill ended, and whether it passed.
        ledger: What is wrong with the ledger of evidence; empty where nothing is, None where there is none to tell of.
        statements: What people stated.
    """

    now: datetime
    protected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encrypted: bool = True
    copies: Sequence[Copy] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    health: Report | None = None
    checked: Sequence[datetime] = ()
    drilled: Sequence[tuple[datetime, bool]] = ()
    ledger: str | None = ""
    statements: Sequence[Statement] = ()


class Statement(Model):
    """What a person says of a control: that it holds (an attestation), or that a breach is accepted (a waiver)."""

    id: str
    kind: Literal["attestation", "waiver"]
    platform: str
    control: str
    by: str = Field(min_length=1, description="Who says so; nobody checks the name.")
    approver: str = Field("", description="Who accepted a waiver; not the one who asked for it.")
    text: str = Field(min_length=1, description="What is stated, or why the breach is accepted.")
    evidence: str = Field("", description="Where an auditor finds what shows it: an address, a ticket.")
    at: AwareDatetime
    until: AwareDatetime = Field(description="Until when it holds; exclusive.")

    @model_validator(mode="after")
    def _sensible(self) -> Statement:
        if self.until <= self.at:
            raise ValueError("it ends before it begins")
        if self.kind == "waiver" and (not self.approver.strip() or self.approver.strip() == self.by.strip()):
            raise ValueError("a waiver needs an approver who is somebody else")
        return self


class Item(Model):
    """One line of the checklist."""

    control: str
    title: str
    severity: str
    owner: str
    result: Result
    looked_at: int = 0
    findings: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    proves: str = ""
    requirements: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    since: AwareDatetime = Field(description="Since when it has had this result, as far as the lists before tell.")
    change: Literal["new", "fixed", "regressed", "unchanged", "incomparable"] = "incomparable"


class Checklist(RunReport):
    """A platform's checklist, ready to render and store."""

    flow: Literal["compliance-checklist"] = "compliance-checklist"
    items: tuple[Item, ...] = ()
    notes: tuple[str, ...] = Field((), description="What a person should know of the list itself.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """Failed where a control fails; unknown where one could not judge; warned where something was not checked."""
        results = {item.result for item in self.items}
        if Result.FAIL in results:
            return Verdict.FAILED
        if Result.ERROR in results or not results:
            return Verdict.UNKNOWN
        return Verdict.PASSED if results <= set(_GREEN) and not self.notes else Verdict.WARNED

    @property
    def counts(self) -> dict[Result, int]:
        """How many items there are of each result."""
        return Counter(item.result for item in self.items)

    @property
    def denominator(self) -> str:
        """Say honestly how much was proven: `4 of 9 proven, 1 attested, 2 not checked`."""
        counts = self.counts
        asked = len(self.items) - counts.get(Result.NOT_APPLICABLE, 0)
        words = {Result.FAIL: "failed", Result.ERROR: "in error"}
        told = [f"{counts[result]} {words.get(result, result)}" for result in Result if self._told(result)]
        return ", ".join([f"{counts.get(Result.PASS, 0)} of {asked} proven", *told])

    def _told(self, result: Result) -> bool:
        return result not in (Result.PASS, Result.NOT_APPLICABLE) and self.counts.get(result, 0) > 0


def itemize(judged: Sequence[Judged], facts: Facts, before: Checklist | None) -> tuple[Item, ...]:
    """Make the items of a list, worst first, with what people stated and what was before."""
    known = {item.control: item for item in before.items} if before else {}
    used: set[str] = set()
    items = []
    for one in judged:
        result, reason = one.result, one.reason
        if result is Result.FAIL and (waiver := _waiver(one.control.id, facts)) is not None:
            used.add(waiver.id)
            result = Result.WAIVED
            reason = (
                f"{waiver.text} ({waiver.by}, approved by {waiver.approver}, until {waiver.until:%Y-%m-%d %H:%M %Z})"
            )
        items.append(_item(one, result, reason, known.get(one.control.id), facts.now))
    return tuple(sorted(items, key=lambda item: (item.result.rank, item.control)))


def lapsed(facts: Facts, judged: Sequence[Judged]) -> tuple[str, ...]:
    """Say which waivers ended or match nothing: an exception that is forgotten is a finding of its own."""
    failing = {one.control.id for one in judged if one.result is Result.FAIL}
    known = {one.control.id for one in judged}
    told = []
    for one in facts.statements:
        if one.kind != "waiver":
            continue
        if one.control not in known:
            told.append(f"the waiver {one.id} is of {one.control}, which is no control")
        elif one.until <= facts.now and one.control in failing:
            told.append(f"the waiver {one.id} of {one.control} ended on {one.until:%Y-%m-%d %H:%M %Z}")
        elif one.until > facts.now and one.control not in failing:
            told.append(f"the waiver {one.id} of {one.control} has nothing to waive: take it back")
    return tuple(told)


def _waiver(control: str, facts: Facts) -> Statement | None:
    found = (one for one in facts.statements if one.kind == "waiver" and one.control == control)
    return next((one for one in found if one.at <= facts.now < one.until), None)


def _item(one: Judged, result: Result, reason: str, before: Item | None, now: datetime) -> Item:
    control = one.control
    return Item(
        control=control.id,
        title=control.title,
        severity=control.severity,
        owner=control.owner,
        result=result,
        looked_at=one.looked,
        findings=tuple(breach.what for breach in one.breaches),
        reason=reason,
        remedy=control.remedy,
        proves=control.proves,
        requirements={name: tuple(clauses) for name, clauses in control.requirements.items() if clauses},
        since=before.since if before is not None and before.result is result else now,
        change=_change(before, result),
    )


def _change(before: Item | None, result: Result) -> Literal["new", "fixed", "regressed", "unchanged", "incomparable"]:
    if before is None:
        return "new"
    if before.result is result:
        return "unchanged"
    was, good = before.result in _GREEN, result in _GREEN
    unclear = (Result.NOT_CHECKED, Result.STALE, Result.ERROR)
    if before.result in unclear or result in unclear or was == good:
        return "incomparable"
    return "fixed" if good else "regressed"
