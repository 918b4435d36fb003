"""Counts the requests of each address by hour, and says whose hour is unusual against its own others."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.core.logscan.addresses import UNKNOWN
from tasks.core.logscan.hours import Hour, Hours

_MOST_SOURCES = 50_000
_FEWEST_HOURS = 3
"""An address is held against its own history once it has so many hours of it."""
_FLOOR = 100
"""So few requests in an hour are never unusual."""


@dataclass
class Traffic:
    """Requests by address and hour.

    Attributes:
        sources: By address, how many in which hour.
        passed_over: Requests of addresses beyond those that are remembered.
    """

    sources: dict[str, Counter[datetime]] = field(default_factory=dict)
    passed_over: int = 0
    _open: dict[Hour, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, source: str, hour: Hour) -> None:
        """Count one request."""
        if source != UNKNOWN:
            self._open[hour][source] += 1

    def settle(self, hours: Hours) -> None:
        """Give the hours of the file that was read their dates."""
        for hour, counted in self._open.items():
            at = hours.settle(hour)
            for source, count in counted.items() if at is not None else ():
                if source not in self.sources and len(self.sources) >= _MOST_SOURCES:
                    self.passed_over += count
                elif at is not None:
                    self.sources.setdefault(source, Counter())[at] += count
        self._open.clear()

    def unusual(self, times: int) -> list[dict[str, Any]]:
        """Return each address with an hour that has so many times its usual number of requests, worst first.

        What is usual is the median of its other hours in which it came at all.
        """
        found = []
        for source, hours in self.sources.items():
            if len(hours) <= _FEWEST_HOURS:
                continue
            at, most = max(hours.items(), key=lambda pair: (pair[1], pair[0]))
            usual = statistics.median(count for hour, count in hours.items() if hour != at)
            if most > _FLOOR and most > times * usual:
                found.append({"source": source, "hour": f"{at:%Y-%m-%dT%H:%M}Z", "requests": most, "usual": usual})
        return sorted(found, key=lambda one: (-one["requests"], one["source"]))

    @property
    def judged(self) -> int:
        """How many addresses have a history to be held against."""
        return sum(len(hours) > _FEWEST_HOURS for hours in self.sources.values())
