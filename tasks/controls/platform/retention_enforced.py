"""Old data goes."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "retention-enforced",
    "Data is kept no longer than stated",
    remedy="Compare the oldest rows, objects and logs with the stated days, and state what was seen.",
    soc2=("C1.2",),
    iso=("A.8.10",),
    gdpr=("Art. 5",),
)
