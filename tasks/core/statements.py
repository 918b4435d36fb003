"""What people say: that a control holds, that a breach is accepted, that nothing could run for a while. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, Field, model_validator

from tasks.core.control import Breach, Judgement, Result
from tasks.core.ends import End, written_end
from tasks.core.model import Model

EVIDENCE = r"^(https?://\S+|sha256:[0-9a-f]{64})$"
"""What an auditor can follow: an address, or a file that the ledger keeps."""

REMIND = (timedelta(days=14), timedelta(days=3))
"""How long before an attestation lapses its owner is reminded."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = (Result.PASS, Result.ATTESTED, Result.NOT_APPLICABLE)
_FORGOTTEN = timedelta(days=92)
"""A waiver given by form that ended longer ago, and of what is kept now, is history."""


class Statement(Model):
    """What a person says of a control: that it holds (an attestation), or that a breach is accepted (a waiver)."""

    id: str
    kind: Literal["attestation", "waiver"]
    platform: str
    control: str
    by: str = Field(min_length=1, description="Who says so; nobody checks the name.")
    approver: str = Field("", description="Who accepted a waiver; not the one who asked for it.")
    text: str = Field(min_length=1, description="What is stated, or why the breach is accepted.")
    evidence: str = Field(
        "", pattern=r"^$|" + EVIDENCE, description="Where an auditor finds what shows it: https://... or sha256:..."
    )
    at: AwareDatetime
    until: End = Field(description="Until when it holds; exclusive.")

    @model_validator(mode="after")
    def _sensible(self) -> Statement:
        if not self.by.strip() or not self.text.strip():
            raise ValueError("it says nothing, or not who says it")
        if self.until <= self.at:
            raise ValueError(f"until: {written_end(self.until)} is over already: name an end that is still to come")
        if self.kind == "waiver" and _same(self.approver, self.by):
            raise ValueError("a waiver needs an approver who is somebody else")
        if self.kind == "attestation" and not self.evidence:
            raise ValueError("an attestation needs evidence: an address, or a file kept by `evidence attach`")
        return self

    @property
    def in_spec(self) -> bool:
        """Whether it stands in the platform's spec."""
        return self.at == _LONG_AGO

    def holds(self, now: datetime) -> bool:
        """Tell whether it holds now."""
        return self.at <= now < self.until


class Waiver(Model):
    """A breach that is accepted for a time. It is shown in every list, and its end is a finding."""

    control: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$", description="Which control, as `watchkeeper controls list` has it."
    )
    reason: str = Field(min_length=1, description="Why the breach is accepted.")
    owner: str = Field(min_length=1, description="Who answers for it, and asked for it.")
    approver: str = Field(min_length=1, description="Who accepted it; somebody else than the owner.")
    until: End = Field(
        description="Its end with the time zone: `2027-01-31T18:00+05:00`, or a whole day: `2027-01-31 Asia/Tashkent`."
    )
    evidence: str = Field("", pattern=r"^$|" + EVIDENCE, description="Where it was decided: an address.")

    @model_validator(mode="after")
    def _two_people(self) -> Waiver:
        if _same(self.approver, self.owner):
            raise ValueError("the approver of a waiver is somebody else than its owner")
        return self

    def statement(self, platform: str) -> Statement:
        """Return it as what was stated."""
        return Statement(
            id=f"spec-{self.control}", kind="waiver", platform=platform, control=self.control, by=self.owner,
            approver=self.approver, text=self.reason, evidence=self.evidence, at=_LONG_AGO, until=self.until,
        )  # fmt: skip


class Request(Model):
    """That people were asked to attest: until when they may, and where."""

    id: str
    platform: str
    controls: tuple[str, ...]
    at: AwareDatetime
    until: AwareDatetime
    run_url: str = ""


class Downtime(Model):
    """A time in which nothing could run, with the reason: it explains gaps, and hides none."""

    id: str
    platform: str
    by: str = Field(min_length=1, description="Who says so.")
    text: str = Field(min_length=1, description="Why nothing ran.")
    at: AwareDatetime
    begin: AwareDatetime
    until: AwareDatetime

    @model_validator(mode="after")
    def _a_time(self) -> Downtime:
        if self.until <= self.begin:
            raise ValueError("it ends before it begins")
        return self


def attested(control: str, statements: Sequence[Statement], requests: Sequence[Request], now: datetime) -> Judgement:
    """Judge by what people stated of a control: attested, not attested in time, or nobody said anything yet."""
    mine = [one for one in statements if one.control == control and one.kind == "attestation"]
    holding = [one for one in mine if one.holds(now)]
    if holding:
        newest = max(holding, key=lambda one: one.at)
        said = f"{newest.by}: {newest.text} (until {written_end(newest.until)}, see {newest.evidence})"
        return Judgement(looked=1, attested=said)
    asked = max((one for one in requests if control in one.controls), key=lambda one: one.at, default=None)
    if asked is not None and now < asked.until:
        return Judgement(
            gaps=[f"people were asked on {asked.at:%Y-%m-%d}, and may attest until {asked.until:%Y-%m-%d %H:%M %Z}"]
        )
    if mine:
        last = max(mine, key=lambda one: one.until)
        return Judgement(
            looked=1, breaches=[Breach(f"not attested: the last statement lapsed on {written_end(last.until)}")]
        )
    if asked is not None:
        over = f"{asked.until:%Y-%m-%d %H:%M %Z}"
        what = f"not attested: people were asked on {asked.at:%Y-%m-%d}, and nobody did until {over}"
        return Judgement(looked=1, breaches=[Breach(what)])
    return Judgement(gaps=["no machine checks it, and nobody has attested it"])


def waiver_of(control: str, statements: Sequence[Statement], now: datetime) -> Statement | None:
    """Return the waiver of a control that holds now."""
    found = (one for one in statements if one.kind == "waiver" and one.control == control)
    return next((one for one in found if one.holds(now)), None)


def exceptions(
    statements: Sequence[Statement], results: Mapping[str, Result], now: datetime
) -> list[tuple[Statement, str]]:
    """Return the waivers that a person must look at, with the reason: ended, of nothing, or not needed.

    Args:
        statements: What people stated.
        results: What became of each control, before any waiver.
        now: Aware time.
    """
    told = []
    for one in statements:
        if one.kind != "waiver":
            continue
        name = f"the waiver {one.id} of {one.control} ({one.by}, approved by {one.approver})"
        result = results.get(one.control)
        if result is None:
            told.append((one, f"{name} matches nothing: there is no such control"))
        elif one.until > now and result in _KEPT:
            told.append((one, f"{name} has nothing to waive: take it back"))
        elif one.until <= now and _is_missed(one, result, now) and waiver_of(one.control, statements, now) is None:
            told.append((one, f"{name} ended on {written_end(one.until)}"))
    return told


def _is_missed(one: Statement, result: Result, now: datetime) -> bool:
    return one.in_spec or result is Result.FAIL or now - one.until < _FORGOTTEN


def voided(statements: Sequence[Statement], failing: set[str], now: datetime) -> list[tuple[Statement, str]]:
    """Return the attestations that a machine's check of the same fact makes void."""
    return [
        (one, f"the attestation of {one.control} by {one.by} is void: a machine's check of the same fact fails")
        for one in statements
        if one.kind == "attestation" and one.control in failing and one.holds(now)
    ]


def due(statements: Sequence[Statement], now: datetime) -> list[tuple[Statement, timedelta]]:
    """Return the attestations that lapse soon and have no successor, each with the reminder that is due."""
    newest: dict[str, Statement] = {}
    for one in statements:
        if one.kind == "attestation" and one.holds(now) and one.until > _ends(newest.get(one.control)):
            newest[one.control] = one
    found = []
    for one in newest.values():
        near = [before for before in REMIND if one.until - now <= before]
        if near:
            found.append((one, min(near)))
    return found


def _ends(one: Statement | None) -> datetime:
    return one.until if one is not None else _LONG_AGO


def _same(one: str, other: str) -> bool:
    return not one.strip() or one.strip().casefold() == other.strip().casefold()
