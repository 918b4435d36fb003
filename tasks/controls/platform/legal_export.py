"""The export for a court works."""

from __future__ import annotations

from tasks.controls.platform.exporting import export_control

CONTROL = export_control(
    "legal-export",
    "The export for a court works",
    wanted=lambda facts: facts.plan.legal_export is not None,
    unknown="how what a court asks for is exported",
    gdpr=("Art. 6", "Art. 15"),
)
