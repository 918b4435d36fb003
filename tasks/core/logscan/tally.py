"""Counts what was found, by source and by hour, within bounds on what strangers can make it remember."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tasks.core.logscan.hours import UNTOLD, Hour, Hours

MOST_SOURCES = 200_000
"""Sources beyond these are counted together."""

OTHERS = "others"


class What(StrEnum):
    """What is counted."""

    FAILED_LOGIN = "failed_logins"
    RATE_LIMIT = "rate_limit_violations"
    INJECTION = "sql_injection"


@dataclass(slots=True)
class OfSource:
    """What one source did.

    Attributes:
        total: In all.
        most: In the hour in which it was most.
        hour: The hour that is being counted.
        within: In that hour.
    """

    total: int = 0
    most: int = 0
    hour: Hour = UNTOLD
    within: int = 0


@dataclass
class Count:
    """One thing that is counted."""

    total: int = 0
    sources: dict[str, OfSource] = field(default_factory=dict)
    hours: Counter[datetime] = field(default_factory=Counter)
    without_time: int = 0
    _open: Counter[Hour] = field(default_factory=Counter)

    def add(self, source: str, hour: Hour, count: int) -> None:
        """Count something of a source in an hour of the file that is being read."""
        self.total += count
        self._open[hour] += count
        found = self.sources.get(source)
        if found is None:
            if len(self.sources) >= MOST_SOURCES:
                source = OTHERS
            found = self.sources.setdefault(source, OfSource())
        found.total += count
        if found.hour != hour:
            found.hour, found.within = hour, 0
        found.within += count
        found.most = max(found.most, found.within)

    def settle(self, hours: Hours) -> None:
        """Give the hours of the file that was read their dates."""
        for hour, count in self._open.items():
            at = hours.settle(hour)
            if at is None:
                self.without_time += count
            else:
                self.hours[at] += count
        self._open.clear()
        for one in self.sources.values():
            one.hour = UNTOLD
