"""The times that lines of logs begin with, in the ways that are common."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_HEAD = 200
_YEAR_FIRST = re.compile(
    r"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)? ?(Z|UTC|[+-]\d\d:?\d\d)?"
)
_COMMON_LOG = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_SYSLOG = re.compile(r"^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) ")
_EPOCH = re.compile(r'"(?:ts|time|timestamp|@timestamp)": ?(\d{10})(\d{3})?(?:\.\d+)?[,}]')
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}


def time_of(line: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when a line was written, or None where it does not say.

    Args:
        line: ISO 8601 with a space or a T, slashes as nginx writes them, the common log format, syslog, or JSON with
            Unix seconds or milliseconds.
        zone: Of times that name none.
        now: For the year, which syslog leaves out.
    """
    head = line[:_HEAD]
    try:
        if found := _YEAR_FIRST.search(head):
            *numbers, offset = found.groups()
            return _at_offset(numbers, offset) if offset else _at_offset(numbers, "Z").replace(tzinfo=zone)
        if found := _COMMON_LOG.search(head):
            day, month, year, *clock, offset = found.groups()
            return _at_offset([year, str(_MONTHS[month]), day, *clock], offset)
        if found := _EPOCH.search(line):
            return datetime.fromtimestamp(int(found[1]), UTC)
        if found := _SYSLOG.match(head):
            month, *rest = found.groups()
            written = _at_offset([str(now.year), str(_MONTHS[month]), *rest], "Z").replace(tzinfo=zone)
            return written.replace(year=now.year - 1) if written > now.replace(hour=23, minute=59) else written
    except (ValueError, KeyError):
        return None
    return None


def _at_offset(numbers: list[str], offset: str) -> datetime:
    date, clock = "-".join(f"{int(one):02}" for one in numbers[:3]), ":".join(numbers[3:])
    return datetime.fromisoformat(f"{date}T{clock}{'+00:00' if offset in ('Z', 'UTC') else offset}")
