"""Nobody tries to get at the database through the front door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.controls.platform.cases import attacks, scanned
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge every request."""

    def hits(found: Mapping[str, Any]) -> list[str]:
        samples = [f"{one['pattern']} from {one['source']}" for one in found["sql_injection"]["samples"]]
        total = found["sql_injection"]["total"]
        return [f"{total} requests with SQL in them: {', '.join(dict.fromkeys(samples))}"] if total else []

    return scanned(facts, hits)


CONTROL = control(
    "sql-injections",
    "No request holds an SQL injection",
    proves="The access logs of the last day hold no request whose target, referrer or user agent looks like an "
    "SQL injection.",
    severity=Severity.HIGH,
    remedy="Block the source, and see what the request was answered with.",
    judge=judge,
    bad=lambda: attacks(sql_injection={"total": 1, "samples": [{"pattern": "union", "source": "203.0.113.9"}]}),
    good=attacks,
    soc2=("CC6.8", "CC7.2"),
    iso=("A.8.16", "A.8.28"),
    gdpr=("Art. 32",),
)
