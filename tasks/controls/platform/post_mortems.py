"""Incidents are learnt from."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "post-mortems",
    "Post-mortems are written within 48 hours",
    remedy="Write what is missing, and state where they are.",
    soc2=("CC7.5",),
    iso=("A.5.27",),
)
