"""An advice: what to change, on what evidence, what it saves or risks, what it would have done, and the patch for it.

Pure, as all of this package: facts and series come in, advice comes out, and no clock is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.units import Unit

Kind = Literal[
    "requests", "autoscaler", "queue scaler", "redis", "postgres", "pools", "volume", "bucket", "backups", "gpu"
]


class When(StrEnum):
    """How soon it should be done, most urgent first."""

    NOW = "now"
    MONTH = "this month"
    LATER = "when convenient"

    @property
    def rank(self) -> int:
        """Where it stands among the others; the most urgent is 0."""
        return list(When).index(self)


class Change(Model):
    """One value that changes."""

    what: str = Field(description="`api: CPU request`.")
    before: str = Field(description="`none` where there is none.")
    after: str


class Replayed(Model):
    """What would have been on the same history, with today's values and with the advised ones."""

    what: str = Field(description="`minutes throttled`.")
    before: float
    after: float
    unit: Unit = Unit.COUNT
    note: str = ""


class Saving(Model):
    """What is given back; below zero, what it costs. On average, over the history that was looked at."""

    cores: float = 0.0
    memory: float = Field(0.0, description="Bytes.")
    storage: float = Field(0.0, description="Bytes.")
    money: float | None = Field(None, description="A month, where the spec has prices.")
    currency: str = ""


class Patch(Model):
    """How it is done by hand."""

    title: str
    language: Literal["yaml", "sql", "shell"]
    text: str = Field(description="The document, or the statements.")
    command: str = Field("", description="What applies the document, which is in a file of the name `file`.")
    file: str = Field("", description="The name that the command gives the document.")


class Thing(Model):
    """What was looked at."""

    key: str = Field(description="System and part: `cluster/deployment/apex-api`.")
    name: str = Field("", description="What a person calls it; the key where it has no name.")

    @property
    def called(self) -> str:
        """What a person calls it."""
        return self.name or self.key


class Advice(Thing):
    """One thing that should be changed."""

    kind: Kind
    when: When
    do: str = Field(description="What to do with it, in a clause.")
    why: str = Field(description="The reason, in one sentence with its number.")
    changes: tuple[Change, ...] = ()
    evidence: tuple[str, ...] = Field((), description="Each number on which it rests, with its source.")
    replay: tuple[Replayed, ...] = ()
    saving: Saving | None = None
    risk: str = Field("", description="What may go wrong with it, or without it.")
    unknown: tuple[str, ...] = Field((), description="What could not be told and would matter.")
    patches: tuple[Patch, ...] = ()


class Fine(Thing):
    """What was looked at and is right as it is."""

    kind: Kind
    note: str = ""


class Unjudged(Thing):
    """What could not be judged."""

    kind: Kind
    reason: str


class Wrong(Model):
    """What follows for one bound if its date is another than the likely one."""

    key: str
    limit: str
    critical: bool
    act_by: AwareDatetime | None = Field(None, description="The last day on which what is ordered comes in time.")
    overdue: bool = Field(description="Whether that day is over already, if the early end is true.")
    early: str = Field(description="What follows if the early end of the interval is true.")
    late: str = Field(description="What follows if the late end is true.")


class Supposed(Model):
    """What would follow from a supposition."""

    what: str = Field(description="`traffic=2`.")
    follows: tuple[str, ...] = Field((), description="What comes out differently.")
    unknown: tuple[str, ...] = Field((), description="What cannot be told.")


Judged = Advice | Fine | Unjudged


def by_urgency(advice: Iterable[Advice]) -> tuple[Advice, ...]:
    """Put first what cannot wait, then what saves most."""
    return tuple(sorted(advice, key=lambda one: (one.when.rank, -worth(one.saving), one.key)))


def worth(saving: Saving | None) -> float:
    """Return a saving as one number: money where there is a price, else cores and a quarter of each GiB of memory."""
    if saving is None:
        return 0.0
    return saving.money if saving.money is not None else saving.cores + saving.memory / 2**32 + saving.storage / 2**38


def total(savings: Sequence[Saving | None]) -> Saving:
    """Add up what is given back and what is asked for; money only where every one has its price."""
    known = [one for one in savings if one is not None]
    prices = [one.money for one in known]
    priced = [price for price in prices if price is not None]
    return Saving(
        cores=sum(one.cores for one in known),
        memory=sum(one.memory for one in known),
        storage=sum(one.storage for one in known),
        money=sum(priced) if priced and len(priced) == len(prices) else None,
        currency=next((one.currency for one in known if one.currency), ""),
    )
