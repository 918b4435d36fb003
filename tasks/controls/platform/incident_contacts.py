"""Somebody can be called."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "incident-contacts",
    "Incident contacts answer",
    remedy="Call each contact, and state who answered.",
    soc2=("CC7.4",),
    iso=("A.5.24", "A.5.26"),
    gdpr=("Art. 33",),
)
