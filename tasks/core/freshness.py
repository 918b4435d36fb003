"""Freshness: how old a look may be before it says nothing of now."""

from __future__ import annotations

from datetime import datetime, timedelta

EXPECTED_WITHIN = timedelta(hours=26)
"""A check each morning, and two hours for a late one and for a change of clocks."""


def is_stale(at: datetime | None, now: datetime, within: timedelta = EXPECTED_WITHIN) -> bool:
    """Tell whether what was seen then no longer counts; what was never seen does not either."""
    return at is None or now - at > within
