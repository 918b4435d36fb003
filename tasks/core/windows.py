"""Maintenance windows: when work is announced, nobody is notified of what it breaks. Pure; `now` is handed in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, model_validator

from tasks.core.model import Model

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_WEEK = 7


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no time zone: write an IANA name such as UTC or Europe/Prague")
    return value


def _time_of_day(value: object) -> object:
    if isinstance(value, time):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("YAML reads 02:00 without quotes as a number: write it with quotes")  # noqa: TRY004 - pydantic
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no time of day: write it with quotes, such as '02:00'")
    return time(int(match[1]), int(match[2]))


ZoneName = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone that there is."""
TimeOfDay = Annotated[
    time, BeforeValidator(_time_of_day, json_schema_input_type=str), PlainSerializer("{:%H:%M}".format, return_type=str)
]


def _day(value: str) -> str:
    words = value.lower().split()
    fits = words == ["daily"] or (words and words[-1] in WEEKDAYS and (len(words) == 1 or words[0] in _ORDINALS))
    if not fits or len(words) > 2:  # noqa: PLR2004 - an ordinal and a weekday
        raise ValueError(f"{value!r} is no day: write daily, sunday, first sunday or last friday")
    return " ".join(words)


class Window(Model):
    """When work is announced: each week or month, or once."""

    title: str | None = Field(None, description="What is done, for a person.")
    day: Annotated[str, AfterValidator(_day)] | None = Field(
        None, description="`daily`, `sunday`, `first sunday`, `last friday`: a window that returns."
    )
    begin: TimeOfDay | None = Field(None, alias="from", description="Local time of its beginning: '02:00'.")
    end: TimeOfDay | None = Field(
        None, alias="to", description="Local time of its end: '04:00'; earlier than `from` where it ends the day after."
    )
    starts: AwareDatetime | None = Field(None, description="A single window's beginning: 2026-12-01T02:00:00+01:00.")
    ends: AwareDatetime | None = Field(None, description="A single window's end.")
    timezone: ZoneName | None = Field(None, description="IANA time zone of `from` and `to`; the platform's by default.")
    systems: tuple[str, ...] = Field((), description="Whom it is about; the whole platform where none is named.")

    @model_validator(mode="after")
    def _one_form(self) -> Window:
        returns = (self.day, self.begin, self.end)
        single = (self.starts, self.ends)
        if all(part is not None for part in returns) and single == (None, None):
            if self.begin == self.end:
                raise ValueError("a window that ends as it begins never holds: write another `to`")
            return self
        if returns == (None, None, None) and self.starts is not None and self.ends is not None:
            if self.ends <= self.starts:
                raise ValueError("`ends` is not after `starts`")
            return self
        raise ValueError("write `day`, `from` and `to` for a window that returns, or `starts` and `ends` for one")

    def until(self, now: datetime, timezone: str) -> datetime | None:
        """Return when the window that holds now ends; None where none holds.

        Times are wall-clock times where the window is: where clocks are changed it is an hour longer or shorter.

        Args:
            now: Aware time.
            timezone: The platform's, for a window without one of its own.
        """
        if self.starts is not None and self.ends is not None:
            return self.ends if self.starts <= now < self.ends else None
        where = ZoneInfo(self.timezone or timezone)
        today = now.astimezone(where).date()
        for first in (today, today - timedelta(days=1)):
            if self._is_on(first):
                start, end = self._span(first, where)
                if start <= now < end:
                    return end
        return None

    def spans(self, since: datetime, until: datetime, timezone: str) -> Iterator[tuple[datetime, datetime]]:
        """Yield beginning and end of each time it holds between two times.

        Args:
            since: Aware time.
            until: Aware time.
            timezone: The platform's, for a window without one of its own.
        """
        if self.starts is not None and self.ends is not None:
            spans = [(self.starts, self.ends)]
        else:
            where = ZoneInfo(self.timezone or timezone)
            first = since.astimezone(where).date() - timedelta(days=1)
            days = (first + timedelta(days=number) for number in range((until - since).days + 3))
            spans = [self._span(day, where) for day in days if self._is_on(day)]
        yield from ((start, end) for start, end in spans if start < until and end > since)

    def _span(self, day: date, where: ZoneInfo) -> tuple[datetime, datetime]:
        assert self.begin is not None  # noqa: S101 - the validator has seen to both
        assert self.end is not None  # noqa: S101
        later = timedelta(days=0 if self.end > self.begin else 1)
        start = datetime.combine(day, self.begin, where)
        return start.astimezone(UTC), datetime.combine(day + later, self.end, where).astimezone(UTC)

    def _is_on(self, day: date) -> bool:
        words: list[str] = (self.day or "").split()
        if words == ["daily"]:
            return True
        if day.weekday() != WEEKDAYS.index(words[-1]):
            return False
        if len(words) == 1:
            return True
        if words[0] == "last":
            return (day + timedelta(days=_WEEK)).month != day.month
        return (day.day - 1) // _WEEK + 1 == _ORDINALS[words[0]]
