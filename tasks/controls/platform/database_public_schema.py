"""Not everybody may create what others run."""

from __future__ import annotations

from tasks.controls.platform.cases import door, shut
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every schema, and the database."""
    return shut(facts, "public create", "PUBLIC may create in the", "postgres")


CONTROL = control(
    "database-public-schema",
    "Not everybody may create in a schema",
    proves="PUBLIC has no CREATE on any schema, or on the database; PostgreSQL before 15 gave it by itself.",
    severity=Severity.MEDIUM,
    remedy="REVOKE CREATE ON SCHEMA public FROM PUBLIC.",
    judge=judge,
    bad=lambda: door("postgres", "public create", is_open=True),
    good=lambda: door("postgres", "public create", is_open=False),
    soc2=("CC6.1", "CC6.3"),
    iso=("A.8.2", "A.8.3"),
)
