"""Where data lies."""

from __future__ import annotations

from tasks.controls.platform.common import stated

CONTROL = stated(
    "data-residency",
    "Data stays in the regions that are allowed",
    remedy="See where buckets, nodes, replicas and vaults are, and state it with the list.",
    soc2=("CC6.1",),
    iso=("A.5.31", "A.5.34"),
    gdpr=("Art. 44",),
)
