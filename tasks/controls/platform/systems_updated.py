"""Known holes are closed."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "systems-updated",
    "Systems and dependencies have no known serious vulnerability",
    remedy="Run pip-audit, npm audit and trivy, update, and state the results.",
    soc2=("CC7.1",),
    iso=("A.8.8",),
    gdpr=("Art. 32",),
)
