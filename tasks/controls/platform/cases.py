"""Small facts by which the controls over a platform prove themselves, and the words that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

from tasks.controls.platform.common import AT
from tasks.core.audit import (
    Account,
    Attacks,
    Audited,
    Bucket,
    Door,
    Oldest,
    Part,
    Place,
    Secret,
    Told,
    each,
    missing,
    of_kind,
)
from tasks.core.compliance import Facts
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.control import Breach, Judgement
from tasks.core.trials import Package, Trial

HOUR = timedelta(hours=1)
_STEP = {"command": ["true"]}


def unasked(what: str) -> Judgement:
    """Say that the spec gives no way to check it."""
    return Judgement(gaps=[f"the spec does not say {what}"])


def unseen(facts: Facts, part: Part, judged: Judgement) -> Judgement:
    """Add of which systems a part could not be looked at."""
    judged.gaps += missing(facts.told.audits, part)
    return judged


def planned(**given: Any) -> CompliancePlan:
    """Return a plan of plain data."""
    return CompliancePlan.model_validate(given)


def trial(control: str, expects: Literal["gone", "there"], *, left: int, seen: int = 1, subject: str = "") -> Facts:
    """Return facts with one trial that was looked at."""
    one = Trial(
        id="t", platform="p", control=control, subject=subject, canary="wkcanary1", expects=expects,
        planted=AT - 2 * HOUR, acted=AT - 2 * HOUR, due=AT - HOUR, seen={"primary": seen} if expects == "gone" else {},
        looked=AT - HOUR, left={"primary": left},
    )  # fmt: skip
    return Facts(AT, plan=_plan_of(control, subject), trials=(one,))


def package(control: str, entries: int) -> Facts:
    """Return facts with one export that was opened, of which ten entries are expected."""
    held = Package(size=9, sha256="0" * 64, entries=entries, expected=10)
    one = Trial(
        id="t", platform="p", control=control, canary="wkcanary1", expects="package", planted=AT, due=AT, looked=AT,
        package=held,
    )  # fmt: skip
    return Facts(AT, plan=_plan_of(control, ""), trials=(one,))


def _plan_of(control: str, subject: str) -> CompliancePlan:
    looked = {"look": {"primary": _STEP}, "within": "1m"}
    return {
        "ephemeral-deleted": lambda: planned(ephemeral={subject or "uploads": {"plant": [_STEP], **looked}}),
        "personal-data-erased": lambda: planned(erasure={"plant": [_STEP], "erase": [_STEP], **looked}),
        "audit-logs-written": lambda: planned(audit_log={"act": [_STEP], **looked}),
        "audit-export": lambda: planned(audit_export={"ask": _STEP}),
        "legal-export": lambda: planned(legal_export={"ask": _STEP}),
    }[control]()


def audited(system: str = "database", plan: CompliancePlan | None = None, **parts: Any) -> Facts:
    """Return facts with what one system tells."""
    return Facts(AT, plan=plan or CompliancePlan(), told=Told(audits={system: Audited(system, **parts)}))


def account(kind: str, **given: Any) -> Facts:
    """Return facts with one account of a system of some kind."""
    return audited(kind=kind, accounts=[Account("app", **given)])


def door(kind: str, sort: str, *, is_open: bool) -> Facts:
    """Return facts with one way in."""
    return audited(kind=kind, doors=[Door(sort, "schema public", is_open)])


def administrators(facts: Facts, *kinds: str) -> Judgement:
    """Judge accounts: who has an administrator's powers is named in the spec, or is the server's own."""
    audits = of_kind(facts.told.audits, *kinds)
    judged = Judgement(gaps=missing(audits, Part.ACCOUNTS))
    for system, one in each(audits, Part.ACCOUNTS):
        judged.looked += 1
        if one.powers and not one.own and one.name not in facts.plan.administrators.get(system, ()):
            what = f"{one.name} of {system}: {', '.join(one.powers)}"
            judged.breaches.append(Breach(what, {"system": system, "name": one.name}))
    return judged


def shut(facts: Facts, sort: str, what: str, *kinds: str) -> Judgement:
    """Judge ways in of one sort, into systems of some kinds: each must be shut."""
    audits = of_kind(facts.told.audits, *kinds)
    judged = Judgement(gaps=missing(audits, Part.DOORS))
    for system, one in each(audits, Part.DOORS):
        if one.sort == sort:
            judged.looked += 1
            if one.open:
                judged.breaches.append(Breach(f"{system}: {what} {one.where}", {"system": system, "name": one.where}))
    return judged


def bucket(plan: CompliancePlan | None = None, **given: Any) -> Facts:
    """Return facts with one bucket."""
    return audited("storage", plan, kind="s3", buckets=[Bucket("uploads", **given)])


def buckets(facts: Facts, wrong: Callable[[str, Bucket], str | None]) -> Judgement:
    """Judge every bucket of the platform's systems.

    Args:
        facts: By what.
        wrong: Says what is wrong with a bucket: nothing where it is empty, and None where it cannot be told.
    """
    judged = Judgement()
    for system, told in of_kind(facts.told.audits, "s3").items():
        if not told.buckets:
            judged.gaps += missing({system: told}, Part.BUCKETS)
        for one in told.buckets:
            what = wrong(system, one)
            if what is None:
                judged.gaps.append(f"{system}: {told.gaps.get(Part.BUCKETS, 'the store does not tell')}")
                continue
            judged.looked += 1
            if what:
                judged.breaches.append(Breach(f"{one.name}: {what}", {"system": system, "name": one.name}))
    return judged


def scanned(facts: Facts, count: Callable[[Mapping[str, Any]], list[str]]) -> Judgement:
    """Judge what the scan of all access logs found.

    Args:
        facts: By what.
        count: Names what is too much in the result.
    """
    if not facts.plan.access_logs.systems:
        return unasked("in which logs attacks are to be looked for")
    judged = Judgement(gaps=[f"{system}: {why}" for system, why in facts.told.attacks.gaps.items()])
    if facts.told.attacks.result is not None:
        judged.looked = 1
        judged.breaches = [Breach(what) for what in count(facts.told.attacks.result)]
    return judged


def secret(age: timedelta) -> Facts:
    """Return facts with one Secret."""
    return audited(secrets=[Secret("Secret api-key", AT - age)])


def place(region: str) -> Facts:
    """Return facts with one node, where only `uz-*` is allowed."""
    return audited("cluster", planned(residency={"regions": ["uz-*"]}), places=[Place("node one", region)])


def oldest(age: timedelta) -> Facts:
    """Return facts with something that is kept for 90 days."""
    plan = planned(retention={"logs": {"ask": _STEP, "keep": "90d"}})
    return Facts(AT, plan=plan, told=Told(oldest=(Oldest("logs", AT - age),)))


def attacks(**given: Any) -> Facts:
    """Return facts with what a scan of logs found."""
    none: dict[str, Any] = {"total": 0, "hours_over_limit": [], "sources_over_limit": [], "samples": []}
    result = dict.fromkeys(("failed_logins", "rate_limit_violations", "sql_injection"), none)
    unusual = given.pop("unusual", ())
    for name, what in given.items():
        result[name] = none | what
    plan = planned(access_logs={"systems": ["logs"]})
    return Facts(AT, plan=plan, told=Told(attacks=Attacks(result | {"files": [], "lines": 9}, unusual, 3)))
