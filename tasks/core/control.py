"""Controls: one safeguard each, with a pure judge over facts that somebody else fetched.

A control proves itself each time it judges: it must see that its known bad case is bad and its good case is good. One
that could not go red says nothing, and its result is *error*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tasks.core.errors import WatchkeeperError

F = TypeVar("F")


class Result(StrEnum):
    """What became of a control, worst first."""

    FAIL = "fail"
    ERROR = "error"
    STALE = "stale"
    NOT_CHECKED = "not checked"
    WAIVED = "waived"
    ATTESTED = "attested"
    PASS = "pass"  # noqa: S105 - no password
    NOT_APPLICABLE = "not applicable"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Result).index(self)


class Severity(StrEnum):
    """How much it matters, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Breach:
    """One thing that breaks a control.

    Attributes:
        what: What is wrong, in a sentence, without any secret.
        resource: What it is of, by `kind`, `namespace`, `name`, or whatever tells it apart.
        container: The container, where it is of one.
        file: Where it was read, where it was a file.
        line: The line there, from 1; 0 where there is none.
    """

    what: str
    resource: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    file: str = ""
    line: int = 0


@dataclass
class Judgement:
    """What a judge says.

    Attributes:
        looked: How many things it looked at; with none, the control does not apply.
        breaches: What breaks it.
        gaps: What could not be told; without a breach, the control is *not checked*.
        stale: Why the facts are too old to say anything; without a breach, the control is *stale*.
        attested: Who stated it, where no machine can tell; it is *attested*, not passed.
    """

    looked: int = 0
    breaches: list[Breach] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    stale: str = ""
    attested: str = ""


@dataclass(frozen=True)
class Control(Generic[F]):
    """One safeguard.

    Attributes:
        id: The same for ever; evidence names it.
        about: Of what the facts are: `kubernetes`, `logs`, `backups`.
        title: What holds where it is kept.
        proves: What a pass proves, and what it does not.
        owner: Who answers for it.
        severity: Of a breach.
        frequency: How often it is to be shown.
        attestable: Whether a person may attest it where no machine can tell.
        remedy: What to do about a breach.
        requirements: What it helps to meet: clauses by framework (`SOC 2`, `ISO 27001:2022`, `GDPR`, `CIS Kubernetes`).
        judge: Pure: from facts to a judgement.
        bad: Makes facts that break it.
        good: Makes facts that keep it.
    """

    id: str
    about: str
    title: str
    proves: str
    severity: Severity
    remedy: str
    requirements: Mapping[str, tuple[str, ...]]
    judge: Callable[[F], Judgement]
    bad: Callable[[], F]
    good: Callable[[], F]
    owner: str = "platform"
    frequency: str = "monthly"
    attestable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what it is, for JSON."""
        return {
            "id": self.id,
            "about": self.about,
            "title": self.title,
            "proves": self.proves,
            "owner": self.owner,
            "severity": self.severity,
            "frequency": self.frequency,
            "attestable": self.attestable,
            "remedy": self.remedy,
            "requirements": {name: list(clauses) for name, clauses in self.requirements.items()},
        }


@dataclass(frozen=True)
class Judged:
    """A control and its result over some facts.

    Attributes:
        control: What was judged.
        result: What became of it.
        looked: How many things were looked at.
        breaches: What breaks it.
        reason: Why it is neither pass nor fail.
    """

    control: Control[Any]
    result: Result
    looked: int = 0
    breaches: tuple[Breach, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the result, for JSON."""
        found = {"control": self.control.id, "title": self.control.title, "severity": self.control.severity}
        counted = {"result": self.result, "looked_at": self.looked, "findings": len(self.breaches)}
        return found | counted | {"reason": self.reason or None}

    def findings(self) -> list[dict[str, Any]]:
        """Return each breach with what to do about it, for JSON."""
        return [
            {
                "control": self.control.id,
                "resource": dict(breach.resource),
                "container": breach.container or None,
                "file": breach.file or None,
                "line": breach.line or None,
                "severity": self.control.severity,
                "what": breach.what,
                "remedy": self.control.remedy,
            }
            for breach in self.breaches
        ]


def settle(control: Control[F], facts: F) -> Judged:
    """Judge facts, after the control has shown that it can still tell bad from good."""
    try:
        wrong = _disproved(control)
        judged = Judgement() if wrong else control.judge(facts)
    except WatchkeeperError as error:
        wrong = error.message
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        wrong = f"it stumbled over the facts: {type(error).__name__}"
    if wrong:
        return Judged(control, Result.ERROR, reason=wrong)
    if judged.breaches:
        return Judged(control, Result.FAIL, judged.looked, tuple(judged.breaches))
    return _without_breach(control, judged)


def _without_breach(control: Control[F], judged: Judgement) -> Judged:
    if judged.stale:
        return Judged(control, Result.STALE, judged.looked, reason=judged.stale)
    if judged.gaps:
        return Judged(control, Result.NOT_CHECKED, judged.looked, reason="; ".join(dict.fromkeys(judged.gaps)))
    if judged.attested:
        return Judged(control, Result.ATTESTED, judged.looked, reason=judged.attested)
    if judged.looked == 0:
        return Judged(control, Result.NOT_APPLICABLE, reason="there is nothing that it applies to")
    return Judged(control, Result.PASS, judged.looked)


def _disproved(control: Control[F]) -> str:
    """Return why a control's results mean nothing; empty where they mean something."""
    if not control.judge(control.bad()).breaches:
        return "it does not see its own known bad case: its pass means nothing"
    if control.judge(control.good()).breaches:
        return "it calls its own good case bad: its findings mean nothing"
    return ""


def summary(judged: Iterable[Judged]) -> dict[str, int]:
    """Count the results: the honest denominator."""
    counted = dict.fromkeys(Result, 0)
    for one in judged:
        counted[one.result] += 1
    return {str(result): number for result, number in counted.items() if number}
