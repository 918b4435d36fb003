"""Few may do everything."""

from __future__ import annotations

from tasks.controls.platform.cases import account, administrators
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge the roles of PostgreSQL and the users of MongoDB."""
    return administrators(facts, "postgres", "mongodb")


CONTROL = control(
    "database-superusers",
    "Only the named administrators of a database may do everything",
    proves="No role of PostgreSQL is a superuser, makes roles, passes by row security or runs programs, and no "
    "user of MongoDB has a role over everything, but the server's own and those that the spec names.",
    severity=Severity.HIGH,
    remedy="Take the right away, or name the account under `administrators` with a reason.",
    judge=judge,
    bad=lambda: account("postgres", powers=("superuser",)),
    good=lambda: account("postgres"),
    soc2=("CC6.1", "CC6.3"),
    iso=("A.5.15", "A.8.2"),
    gdpr=("Art. 32",),
)
