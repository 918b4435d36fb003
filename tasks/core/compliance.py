"""What the controls of a platform judge, and the checklist that comes of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field, computed_field

from tasks.core.audit import Told
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.control import Judged, Result
from tasks.core.ends import written_end
from tasks.core.model import Model
from tasks.core.operating import Operated
from tasks.core.report import Report, Verdict
from tasks.core.run_report import RunReport
from tasks.core.statements import Request, Statement, attested, voided, waiver_of
from tasks.core.trials import Trial

FLOW = "compliance-checklist"
_TOLD = (Result.ATTESTED, Result.WAIVED, Result.FAIL, Result.ERROR, Result.STALE, Result.NOT_CHECKED)
_WORDS = {Result.FAIL: "failed", Result.ERROR: "in error"}
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
        statements: What people stated, in the spec or by form.
        requests: When people were asked to attest.
        operated: What was to run in the last month, and what did; None where that cannot be told.
        plan: What the spec promises, and how that is put to the proof.
        told: What systems, logs and the spec's lists tell.
        trials: What was planted, and what was found of it.
        roles: The contacts of the spec, by role.
        locked: The vaults in which backups are to be locked.
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
    requests: Sequence[Request] = ()
    operated: Sequence[Operated] | None = None
    plan: CompliancePlan = field(default_factory=CompliancePlan)
    told: Told = field(default_factory=Told)
    trials: Sequence[Trial] = ()
    roles: Sequence[str] = ()
    locked: Sequence[str] = ()


@dataclass(frozen=True)
class Exceptions:
    """What is judged of waivers, once all else was.

    Attributes:
        now: When it is.
        statements: What people stated.
        results: What became of each control, before any waiver.
    """

    now: datetime
    statements: Sequence[Statement] = ()
    results: Mapping[str, Result] = field(default_factory=dict)


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
    operated: tuple[Operated, ...] = Field((), description="What was to run in the last month, and what did.")
    compared_with: AwareDatetime | None = Field(None, description="When the list was made with which it is compared.")

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
        return denominator([item.result for item in self.items])


def denominator(results: Sequence[str]) -> str:
    """Say how many of some results are proven, and of how many; what does not apply is not asked."""
    counts = Counter(results)
    asked = len(results) - counts[Result.NOT_APPLICABLE]
    told = [f"{counts[result]} {_WORDS.get(result, result)}" for result in _TOLD if counts[result]]
    return ", ".join([f"{counts[Result.PASS]} of {asked} proven", *told])


def settled(judged: Judged, facts: Facts) -> Judged:
    """Return what becomes of a control once people were heard, where a machine could tell nothing."""
    if judged.result not in (Result.NOT_CHECKED, Result.STALE) or not judged.control.attestable:
        return judged
    said = attested(judged.control.id, facts.statements, facts.requests, facts.now)
    if said.attested:
        return replace(judged, result=Result.ATTESTED, reason=f"{said.attested}; no machine: {judged.reason}")
    if said.breaches:
        return replace(judged, result=Result.FAIL, breaches=tuple(said.breaches))
    return replace(judged, reason="; ".join(filter(None, (judged.reason, *said.gaps))))


def itemize(
    judged: Sequence[Judged], facts: Facts, before: Checklist | None, last_month: Checklist | None = None
) -> tuple[Item, ...]:
    """Make the items of a list, worst first, with what people stated and what was before.

    Args:
        judged: What became of each control, once people were heard.
        facts: By what.
        before: The list before: since when a control has its result.
        last_month: The list to compare with, where that is another one.
    """
    known = {item.control: item for item in before.items} if before else {}
    compared = last_month or before
    then = {item.control: item for item in compared.items} if compared else {}
    items = []
    for one in judged:
        result, reason = one.result, one.reason
        if result is Result.FAIL and (waiver := waiver_of(one.control.id, facts.statements, facts.now)) is not None:
            result = Result.WAIVED
            who = f"{waiver.by}, approved by {waiver.approver}, until {written_end(waiver.until)}"
            reason = f"{waiver.text} ({who})" + (f", see {waiver.evidence}" if waiver.evidence else "")
        item = _item(one, result, reason, known.get(one.control.id), facts.now)
        items.append(item.model_copy(update={"change": _change(then.get(one.control.id), result)}))
    return tuple(sorted(items, key=lambda item: (item.result.rank, item.control)))


def gone(items: Sequence[Item], last_month: Checklist | None) -> tuple[str, ...]:
    """Say which controls were in last month's list and are no more: none goes unsaid."""
    left = {item.control for item in last_month.items} - {item.control for item in items} if last_month else set()
    return tuple(
        f"{name} was in the list of {last_month.finished:%Y-%m-%d} and is no control any more"
        for name in sorted(left)
        if last_month
    )


def void(facts: Facts, judged: Sequence[Judged]) -> tuple[str, ...]:
    """Say which attestations a machine's check of the same fact made void."""
    failing = {one.control.id for one in judged if one.result is Result.FAIL}
    return tuple(said for _, said in voided(facts.statements, failing, facts.now))


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
