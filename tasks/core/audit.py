"""What the systems of a platform tell of how they are guarded: facts for the controls, without any secret. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from tasks.core.errors import WatchkeeperError

T = TypeVar("T")


class Part(StrEnum):
    """What an audit looks at."""

    ACCOUNTS = "accounts"
    DOORS = "doors"
    BUCKETS = "buckets"
    SECRETS = "secrets"
    PLACES = "places"
    RESOURCES = "resources"


@dataclass(frozen=True)
class Account:
    """A user of a system.

    Attributes:
        name: Its name.
        powers: What it may do that only an administrator should; empty where nothing.
        login: Whether somebody may log in as it.
        expires: When its password ends; None where never, or where the system has no such thing.
        own: Whether the server itself is run by it.
        can_expire: Whether passwords of the system can have an end.
    """

    name: str
    powers: tuple[str, ...] = ()
    login: bool = True
    expires: datetime | None = None
    own: bool = False
    can_expire: bool = False


@dataclass(frozen=True)
class Door:
    """A way in that must be shut.

    Attributes:
        sort: `no password`, `public create`.
        where: Of what it is.
        open: Whether it is open.
    """

    sort: str
    where: str
    open: bool


@dataclass(frozen=True)
class Bucket:
    """A bucket.

    Attributes:
        name: Its name.
        public: Why anybody may read it; empty where nobody may. None where it could not be told.
        encryption: How the store encrypts it by itself; empty where it does not. None where it could not be told.
        versioned: Whether it keeps versions; None where it could not be told.
        locked: Whether it can lock objects; None where it could not be told.
        expires: The days of its enabled rules that let everything expire; None where it could not be told.
        oldest: When its oldest object came, with its key; None where there is none.
        cut: Whether not everything was listed.
    """

    name: str
    public: tuple[str, ...] | None = None
    encryption: str | None = None
    versioned: bool | None = None
    locked: bool | None = None
    expires: tuple[int, ...] | None = None
    oldest: tuple[datetime, str] | None = None
    cut: bool = False


@dataclass(frozen=True)
class Secret:
    """Something secret, by its name; nobody has read its value.

    Attributes:
        name: Where it is.
        changed: When its value was changed last.
        by: What tells so.
    """

    name: str
    changed: datetime
    by: str = ""


@dataclass(frozen=True)
class Place:
    """Where data is.

    Attributes:
        what: Of what: `node worker-1`, `bucket uploads`.
        region: The region as it tells itself; empty where it does not.
        name: By what the spec may say it.
    """

    what: str
    region: str = ""
    name: str = ""


@dataclass
class Audited:
    """What one system tells.

    Attributes:
        system: Its name.
        kind: Its kind.
        accounts: Its users.
        doors: Its ways in.
        buckets: Its bucket.
        secrets: What is secret in it.
        places: Where it is.
        resources: Its resources, where it is a cluster: JSON as the API has it, without Secrets.
        gaps: Why a part could not be looked at.
    """

    system: str = ""
    kind: str = ""
    accounts: list[Account] = field(default_factory=list)
    doors: list[Door] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)

    def missed(self, parts: Iterable[Part], error: WatchkeeperError) -> None:
        """Remember why parts could not be looked at."""
        for part in parts:
            self.gaps.setdefault(part, error.message)

    def take(self, parts: Sequence[Part], look: Callable[[], T]) -> T | None:
        """Look at parts; what cannot be told is remembered, and the others are looked at all the same."""
        try:
            return look()
        except WatchkeeperError as error:
            self.missed(parts, error)
            return None


Audits = Mapping[str, Audited]


def of_kind(audits: Audits, *kinds: str) -> Audits:
    """Return what the systems of some kinds tell."""
    return {name: audited for name, audited in audits.items() if audited.kind in kinds}


def each(audits: Audits, part: Part) -> Iterator[tuple[str, Any]]:
    """Yield each thing of a part with its system."""
    for system, audited in audits.items():
        for one in getattr(audited, part):
            yield system, one


def missing(audits: Audits, part: Part) -> list[str]:
    """Say of which systems a part could not be looked at."""
    return [f"{system}: {audited.gaps[part]}" for system, audited in audits.items() if part in audited.gaps]


@dataclass(frozen=True)
class Oldest:
    """How old the oldest of something is.

    Attributes:
        name: What it is.
        at: When the oldest is of; None where there is nothing.
        what: Which one it is.
        empty_is_fine: Whether there may be nothing.
        gap: Why it could not be told; empty where it could.
    """

    name: str
    at: datetime | None = None
    what: str = ""
    empty_is_fine: bool = True
    gap: str = ""


@dataclass(frozen=True)
class Rows:
    """What a step of the spec answered.

    Attributes:
        rows: The rows.
        gap: Why there are none; empty where the step was taken.
    """

    rows: tuple[Mapping[str, Any], ...] = ()
    gap: str = ""


@dataclass(frozen=True)
class Attacks:
    """What the access logs tell.

    Attributes:
        result: What the scan of all of them found; None where there is none.
        unusual: Addresses with an unusual hour.
        addresses: How many addresses have a history.
        gaps: Why logs could not be read, by system.
    """

    result: Mapping[str, Any] | None = None
    unusual: Sequence[Mapping[str, Any]] = ()
    addresses: int = 0
    gaps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """All that was fetched for the controls beside health checks, vaults and the ledger.

    Attributes:
        audits: What each system tells of how it is guarded.
        vaults: The same of each vault in a bucket.
        entries: Every backup there is: vault, id, when it was taken.
        oldest: The oldest of what is kept for a time.
        files: Secrets in files, and why one could not be looked at.
        attacks: What access logs tell.
        updates: Updates that wait; None where the spec asks for none.
        incidents: Incidents; None where the spec names no list.
        calls: Test calls of contacts; None where the spec names no list.
    """

    audits: Audits = field(default_factory=dict)
    vaults: Audits = field(default_factory=dict)
    entries: Sequence[tuple[str, str, datetime]] = ()
    oldest: Sequence[Oldest] = ()
    files: Audited = field(default_factory=Audited)
    attacks: Attacks = Attacks()
    updates: Rows | None = None
    incidents: Rows | None = None
    calls: Rows | None = None
