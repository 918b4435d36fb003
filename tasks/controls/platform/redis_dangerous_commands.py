"""Nobody empties a store by mistake, or runs programs in it."""

from __future__ import annotations

from tasks.controls.platform.cases import account, administrators
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every user of a Redis."""
    return administrators(facts, "redis")


CONTROL = control(
    "redis-dangerous-commands",
    "Only the named administrators of a Redis may give dangerous commands",
    proves="No user but those that the spec names may give FLUSHALL, CONFIG SET, SHUTDOWN, DEBUG, MODULE LOAD, "
    "REPLICAOF or ACL SETUSER, as `ACL DRYRUN` tells.",
    severity=Severity.HIGH,
    remedy="ACL SETUSER ... -@dangerous -@admin, or name the user under `administrators` with a reason.",
    judge=judge,
    bad=lambda: account("redis", powers=("FLUSHALL",)),
    good=lambda: account("redis"),
    soc2=("CC6.1", "CC6.3"),
    iso=("A.8.2",),
)
