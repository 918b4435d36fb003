"""Nobody gets in without a password."""

from __future__ import annotations

from tasks.controls.platform.cases import door, shut
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every Redis and MongoDB: somebody without a password was sent away."""
    return shut(facts, "no password", "it answers without a password:", "redis", "mongodb")


CONTROL = control(
    "stores-ask-for-passwords",
    "No store answers without a password",
    proves="Each Redis and each MongoDB was asked for its data without a user and a password, and refused.",
    severity=Severity.CRITICAL,
    remedy="Set a password (`requirepass`, `aclfile`, `authorization: enabled`) at once; look at who was there.",
    judge=judge,
    bad=lambda: door("redis", "no password", is_open=True),
    good=lambda: door("redis", "no password", is_open=False),
    soc2=("CC6.1",),
    iso=("A.5.15", "A.8.5"),
    gdpr=("Art. 32",),
)
