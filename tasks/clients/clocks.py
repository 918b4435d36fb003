"""The clock of another machine, as its answers date themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_RESOLUTION = timedelta(seconds=1)


def ahead(date: str, sent: datetime, received: datetime) -> timedelta | None:
    """Return the least by which the clock that wrote an HTTP date is ahead of ours; negative where it is behind.

    Args:
        date: The header `Date`, which is cut to the second.
        sent: When we asked.
        received: When we had the answer.

    Returns:
        None where there is no such date; zero where the date lies between asking and answering.
    """
    try:
        written = parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    written = written if written.tzinfo else written.replace(tzinfo=UTC)
    if written > received:
        return written - received
    return min(written + _RESOLUTION - sent, timedelta(0))
