"""What was done can be told."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "audit-logs-written",
    "Audit logs are being written",
    remedy="Do something that must be logged, look for it in the log, and state both.",
    soc2=("CC7.2",),
    iso=("A.8.15",),
    gdpr=("Art. 30",),
)
