"""The export of audit logs works."""

from __future__ import annotations

from tasks.controls.platform.exporting import export_control

CONTROL = export_control(
    "audit-export",
    "The export of audit logs works",
    wanted=lambda facts: facts.plan.audit_export is not None,
    unknown="how audit logs are exported",
    gdpr=("Art. 5", "Art. 30"),
)
