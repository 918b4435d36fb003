"""Reading a platform's past out of the report store: its reports, its days, its last digest. Without Prefect."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tasks.clients.report_store import Kept, ReportStore
from tasks.core.digest import FLOW as DIGEST
from tasks.core.digest import Digest
from tasks.core.errors import WatchkeeperError
from tasks.core.history import Day, fold
from tasks.core.model import Model
from tasks.core.report import HEALTH_CHECK, Report

log = logging.getLogger(__name__)

CHECK = HEALTH_CHECK
_BEFORE, _LOOK_BACK = 10, 50
_LONGEST_RUN = timedelta(hours=1)


class _Folded(Model):
    """The days that were folded before, so that each report is read once."""

    zone: str
    days: tuple[Day, ...]


class Read(NamedTuple):
    """Reports in the order of time, and how many could not be read."""

    reports: list[Report]
    unreadable: int = 0


class Past:
    """One platform's past in one environment.

    Args:
        store: Where its reports are.
        platform: Its name.
        environment: `production` or `lab`; the other one's reports are not its own.
        zone: Where its days begin and end.
    """

    def __init__(self, store: ReportStore, platform: str, environment: str, zone: ZoneInfo) -> None:
        self._store, self._platform, self._environment, self._zone = store, platform, environment, zone

    def between(self, since: datetime, until: datetime) -> Read:
        """Return the checks that ended after a time and not after another.

        Raises:
            WatchkeeperError: The store does not list what it has.
        """
        kept = [one for one in self._kept() if since - _LONGEST_RUN <= one.began <= until]
        found = self._read(kept)
        return Read([one for one in found.reports if since < one.finished <= until], found.unreadable)

    def before(self, at: datetime) -> list[Report]:
        """Return the last ten checks that ended by then.

        Raises:
            WatchkeeperError: The store does not list what it has.
        """
        kept = [one for one in self._kept() if one.began <= at][-_BEFORE:]
        return [one for one in self._read(kept).reports if one.finished <= at]

    def newest(self, most: int = 5) -> Read:
        """Return the last few checks that can be read, looking at fifty at most.

        Raises:
            WatchkeeperError: The store does not list what it has.
        """
        found, unreadable = [], 0
        for kept in reversed(self._kept()[-_LOOK_BACK:]):
            one = self._read([kept])
            found += one.reports
            unreadable += one.unreadable
            if len(found) == most:
                break
        return Read(sorted(found, key=lambda one: one.finished), unreadable)

    def digest_before(self, day: date) -> Digest | None:
        """Return the last digest of an earlier day, if there is one that can be read.

        Raises:
            WatchkeeperError: The store does not list what it has.
        """
        for kept in reversed(self._store.kept(self._platform, DIGEST)[-_BEFORE:]):
            digest = self._store.read(kept.key, Digest)
            if digest is not None and digest.environment == self._environment and digest.day < day:
                return digest
        return None

    def days(self, last: date, length: int) -> dict[date, Day]:
        """Return the days up to the last one that have reports, at most so many.

        A day is read again only when the store holds another number of its reports than when it was folded.

        Raises:
            WatchkeeperError: The store does not list what it has.
        """
        first = last - timedelta(days=length - 1)
        by_day: dict[date, list[Kept]] = defaultdict(list)
        for kept in self._kept():
            by_day[kept.began.astimezone(self._zone).date()].append(kept)
        known = self._folded()
        days = {}
        for on, kept_then in by_day.items():
            if first <= on <= last:
                before = known.get(on)
                days[on] = before if before and before.kept == len(kept_then) else self._fold(on, kept_then)
        if days != known:
            self._remember(days.values())
        return days

    def _kept(self) -> list[Kept]:
        return self._store.kept(self._platform, CHECK)

    def _read(self, kept: Iterable[Kept]) -> Read:
        read = [self._store.read(one.key, Report) for one in kept]
        reports = [one for one in read if one is not None]
        mine = sorted((one for one in reports if one.environment == self._environment), key=lambda one: one.finished)
        return Read(mine, len(read) - len(reports))

    def _fold(self, on: date, kept: list[Kept]) -> Day:
        found = self._read(kept)
        day = fold(on, len(kept), found.reports)
        return day.model_copy(update={"unreadable": found.unreadable})

    @property
    def _memory(self) -> str:
        return f"status/{self._platform}-{self._environment}.days.json"

    def _folded(self) -> dict[date, Day]:
        folded = self._store.read(self._memory, _Folded)
        return {day.on: day for day in folded.days} if folded and folded.zone == str(self._zone) else {}

    def _remember(self, days: Iterable[Day]) -> None:
        try:
            self._store.put(self._memory, _Folded(zone=str(self._zone), days=tuple(days)).model_dump_json().encode())
        except WatchkeeperError as error:
            log.warning("the days of %s cannot be kept: %s", self._platform, error)
