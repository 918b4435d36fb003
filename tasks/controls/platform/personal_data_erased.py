"""Erasure works."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "personal-data-erased",
    "Personal data that was to be erased is gone everywhere",
    remedy="Erase a canary from primary, replica, search index and backups, and state what was seen.",
    soc2=("P4.3",),
    iso=("A.5.34", "A.8.10"),
    gdpr=("Art. 17",),
)
