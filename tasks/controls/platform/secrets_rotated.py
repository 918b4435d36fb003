"""Secrets change."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "secrets-rotated",
    "Secrets and API keys were rotated within 90 days",
    remedy="Rotate them, and state when.",
    soc2=("CC6.1",),
    iso=("A.5.17", "A.8.24"),
)
