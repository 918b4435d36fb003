"""The hour in which a line was written, also where its year is left out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

Hour = int
"""Hours since 1970 in UTC; below zero: an hour whose year is known only at the end of the file. 0: not told."""

UNTOLD = 0

_NAMES = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES)}
_HALF_A_YEAR, _NEARLY_A_YEAR = 6, 10
_MOST_KEPT = 50_000
_ISO = re.compile(rb"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:[.,]\d+)? ?(Z|UTC|[+-]\d\d:?\d\d)?")
_COMMON = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_SECONDS, _MILLISECONDS, _MICROSECONDS = 1e11, 1e14, 1e17


class Hours:
    """Reads the times of one file.

    Syslog leaves the year out. Years are counted on where the months begin again, and the last line is taken to be the
    newest that is not after `reference`.

    Args:
        zone: Of times that name none.
        reference: When the file was written last; aware.
        year: The year of the file's first line, where it is known.
    """

    def __init__(self, zone: ZoneInfo, reference: datetime, year: int | None = None) -> None:
        self._zone, self._reference, self._year = zone, reference, year
        self._years = 0
        self._month = -1
        self._last: Hour = UNTOLD
        self._leap: Hour = UNTOLD
        self._kept: dict[bytes, Hour] = {}
        self._prefix, self._hour = b"", UNTOLD

    def syslog(self, stamp: bytes) -> Hour:
        """Read `Dec 10 06:55:46`."""
        prefix = stamp[:9]
        if prefix == self._prefix:
            return self._hour
        try:
            month, day, hour = _MONTHS[prefix[:3]], int(prefix[4:6]), int(prefix[7:9])
        except (KeyError, ValueError):
            return UNTOLD
        years = self._years
        if self._month >= 0 and self._month - month >= _HALF_A_YEAR:
            self._years = years = years + 1
        if self._month >= 0 and month - self._month >= _NEARLY_A_YEAR and self._years > 0:
            years -= 1  # a late line of the old year
        else:
            self._month = month
        found = -((((years * 12) + month) * 32 + day) * 24 + hour) - 1
        self._last = min(self._last, found)
        if prefix[:6] == b"Feb 29":
            self._leap = found
        self._prefix, self._hour = prefix, found
        return found

    def iso(self, stamp: bytes) -> Hour:
        """Read ISO 8601, with a T or a space, or the slashes of nginx."""
        key = stamp[:16] + stamp[16:].lstrip(b":.,0123456789")
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        found = _ISO.match(stamp)
        return self._keep(key, UNTOLD if found is None else self._at([int(n) for n in found.groups()[:5]], found[7]))

    def common(self, stamp: bytes) -> Hour:
        """Read `10/Oct/2000:13:55:36 -0700`."""
        key = stamp[:17] + stamp[20:]
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        found = _COMMON.match(stamp)
        if found is None or found[2] not in _MONTHS:
            return UNTOLD
        numbers = [int(found[3]), _MONTHS[found[2]] + 1, int(found[1]), int(found[4]), int(found[5])]
        return self._keep(key, self._at(numbers, found[7]))

    def any(self, value: object) -> Hour:
        """Read what JSON holds: text, or seconds, milliseconds or microseconds since 1970."""
        if isinstance(value, str):
            text = value.strip()
            if text.replace(".", "", 1).isdecimal():
                return self.any(float(text)) if len(text) < 30 else UNTOLD  # noqa: PLR2004 - no time is longer
            written = text.encode()[:40]
            return self.iso(written) or self.common(written.lstrip(b"[")) or self.syslog(written)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _MICROSECONDS:
            return UNTOLD
        scale = 1 if value < _SECONDS else 1_000 if value < _MILLISECONDS else 1_000_000
        return int(value / scale // 3600)

    def settle(self, hour: Hour) -> datetime | None:
        """Return the beginning of an hour in UTC, now that the whole file was read; None where it is not told."""
        if hour == UNTOLD:
            return None
        if hour > 0:
            return datetime.fromtimestamp(hour * 3600, UTC)
        first = self._year if self._year is not None else self._first_year()
        return self._in_year(hour, first)

    def _first_year(self) -> int:
        year = self._reference.year + 1 - self._years
        latest = self._reference + timedelta(days=1)
        for first in range(year, year - 9, -1):
            found = self._in_year(self._last, first)
            leaps = self._leap == UNTOLD or self._in_year(self._leap, first) is not None
            if leaps and found is not None and found <= latest:
                return first
        return year - 1

    def _in_year(self, hour: Hour, first: int) -> datetime | None:
        rest, clock = divmod(-hour - 1, 24)
        rest, day = divmod(rest, 32)
        years, month = divmod(rest, 12)
        try:
            return datetime(first + years, month + 1, day, clock, tzinfo=self._zone).astimezone(UTC)
        except ValueError:  # 29 February of a year that has none
            return None

    def _at(self, numbers: list[int], offset: bytes | None) -> Hour:
        try:
            written = datetime(*numbers, tzinfo=UTC if offset else self._zone)  # type: ignore[arg-type,misc]
            if offset and offset not in (b"Z", b"UTC"):
                minutes = int(offset[1:3]) * 60 + int(offset[-2:])
                written -= timedelta(minutes=minutes if offset[:1] == b"+" else -minutes)
            return max(int(written.timestamp() // 3600), UNTOLD)
        except (ValueError, OverflowError):
            return UNTOLD

    def _keep(self, key: bytes, hour: Hour) -> Hour:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = hour
        return hour
