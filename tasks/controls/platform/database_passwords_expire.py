"""Passwords end."""

from __future__ import annotations

from tasks.controls.platform.cases import account
from tasks.controls.platform.common import AT, control
from tasks.core.audit import Part, each, missing, of_kind
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every role of PostgreSQL that may log in, the server's own aside."""
    audits = of_kind(facts.told.audits, "postgres")
    judged = Judgement(gaps=missing(audits, Part.ACCOUNTS))
    for system, one in each(audits, Part.ACCOUNTS):
        if not one.login or one.own or not one.can_expire:
            continue
        judged.looked += 1
        if one.expires is None:
            judged.breaches.append(Breach(f"{one.name} of {system}: its password never ends", {"system": system}))
    return judged


CONTROL = control(
    "database-passwords-expire",
    "Passwords of databases end",
    proves="Every role that may log in has a VALID UNTIL; not that nobody moved it on without a new password.",
    severity=Severity.MEDIUM,
    remedy="ALTER ROLE ... VALID UNTIL '...', with the next rotation.",
    judge=judge,
    bad=lambda: account("postgres", can_expire=True),
    good=lambda: account("postgres", can_expire=True, expires=AT),
    soc2=("CC6.1",),
    iso=("A.5.17",),
)
