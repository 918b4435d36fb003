"""When something ends that a person wrote: always with its time zone, as `today` is over at other times elsewhere."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PATTERN = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?( ?(Z|[+-]\d{2}:\d{2})| [A-Za-z][A-Za-z0-9_+/-]*)$"
"""What an end looks like."""

_PARTS = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?))? ?(.*)")
_CURE = "write 2027-01-31T18:00+05:00, or a whole day with its zone: 2027-01-31 Asia/Tashkent"


def read_end(value: object) -> datetime:
    """Read an end; a day without a time of day counts whole, where its zone is.

    Raises:
        ValueError: It is none, or names no time zone; the message says what to write.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} names no time zone: {_CURE}")
        return value
    if isinstance(value, date):
        raise ValueError(f"{value} names no time zone: {_CURE}")  # noqa: TRY004 - pydantic
    found = _PARTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no end: {_CURE}")
    day, clock, zone = found.groups()
    if not zone:
        raise ValueError(f"{value} names no time zone: {_CURE}")
    try:
        begin = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock or "00:00"))
        if zone in available_timezones():
            end = begin if clock else begin + timedelta(days=1)
            return end.replace(tzinfo=ZoneInfo(zone))
        end = datetime.fromisoformat(f"{begin.isoformat()}{zone}")
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is no end: {_CURE}") from None
    return end if clock else end + timedelta(days=1)


def written_end(at: datetime) -> str:
    """Say an end for a person, with its zone: `2027-02-01 00:00 +05 (Asia/Tashkent)`."""
    name = getattr(at.tzinfo, "key", "")
    return f"{at:%Y-%m-%d %H:%M %Z}" + (f" ({name})" if name and name != f"{at:%Z}" else "")


End = Annotated[
    datetime,
    BeforeValidator(read_end),
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": PATTERN, "examples": ["2027-01-31T18:00+05:00", "2027-01-31 Asia/Tashkent"]}
    ),
]
"""A time with its zone; exclusive."""
