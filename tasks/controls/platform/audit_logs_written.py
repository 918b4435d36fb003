"""What was done can be told."""

from __future__ import annotations

from tasks.controls.platform.cases import trial, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Judgement, Severity
from tasks.core.trials import judge as tried


def judge(facts: Facts) -> Judgement:
    """Judge the newest canary action: its trace must be in the log."""
    if facts.plan.audit_log is None:
        return unasked("what leaves a trace in the audit log")
    return tried(facts.trials, "audit-logs-written", ("",), facts.now)


CONTROL = control(
    "audit-logs-written",
    "Audit logs are being written",
    proves="An action that must be logged was done, and its trace was in the log by the deadline; not that every"
    " action is logged.",
    severity=Severity.HIGH,
    remedy="See why the action left no trace: the log's table or file, and whoever writes it.",
    judge=judge,
    bad=lambda: trial("audit-logs-written", "there", left=0),
    good=lambda: trial("audit-logs-written", "there", left=1),
    soc2=("CC7.2",),
    iso=("A.8.15",),
    gdpr=("Art. 30",),
    attestable=True,
)
