"""What a bucket may hold, for advice; how much it held, the kept reports tell."""

from __future__ import annotations

from tasks.core.advice.bundle import Bucket
from tasks.core.system import Access
from tasks.systems.s3.spec import Spec

_ALERT = 0.8


async def facts(spec: Spec, access: Access) -> Bucket:  # noqa: ARG001 - as every kind's; nothing is asked for
    """Return its quota and the share of it at which people are warned."""
    limit = spec.limits.get("used")
    alert = limit.warn.number if limit is not None and limit.warn is not None else _ALERT
    return Bucket(spec.quota, None, alert, name=spec.bucket)
