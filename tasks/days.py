"""One platform's day, from its reports and the evening's own measurements to the digest. Without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from tasks.core.digest import BUDGET_LEFT, FLOW, Digest, Evening, make_digest, window
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.history import Day, Seen, uptime
from tasks.core.limits import REACHABLE
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, report_id
from tasks.core.results import Measurement
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.inspections import Inspection, report_store
from tasks.pasts import CHECK, Past
from tasks.systems.checking import check_system, load_drivers
from tasks.systems.checking import measure as take

_PERIOD = 30
_YESTERDAY, _LAST_WEEK = timedelta(days=1), timedelta(days=7)


class Closing:
    """A day that is being closed: what is to be measured for its digest, and what was before.

    A plain class, so that Prefect hands it to tasks as it is.

    Attributes:
        inspection: What is measured in the evening, now.
        yesterday: The same a day earlier, for what is compared.
        last_week: The same a week earlier.
        day: The day where the platform is.
    """

    def __init__(self, inspection: Inspection, day: date | None = None) -> None:
        self.inspection = inspection
        self.platform = inspection.platform
        now, zone = inspection.started, self.platform.zone
        today = now.astimezone(zone).date()
        self.day = day or today
        if self.day > today:
            raise ConfigError(f"{self.day} has not been yet in {zone}")
        self.notes: list[str] = []
        self._past: Past | None = None
        self._begin, self._end = window(self.day, zone, now, self._digest_before())
        self._is_over = self.day < today
        if self._is_over:
            inspection.access = _at(inspection.access, self._end)
        self._narrow(inspection)
        self.yesterday, self.last_week = (self._earlier(back) for back in (_YESTERDAY, _LAST_WEEK))

    @classmethod
    def open(cls, name: str, settings: Settings, day: date | None = None) -> Closing:
        """Load a platform and what was told of it before.

        Raises:
            ConfigError: The spec is broken, there is no such platform, the day is yet to come, or the lab is not up.
        """
        return cls(Inspection.open(FLOW, name, (), settings, after=CHECK), day)

    def digest(self, evening: Evening, *, scheduled: datetime | None = None, run_url: str | None = None) -> Digest:
        """Make the digest of what was found; a store that cannot be read is told in it."""
        inspection = self.inspection
        if self._is_over:
            evening = evening._replace(now=[self._named(one) for one in evening.now])
        measured = inspection.report(evening.now, scheduled=scheduled, run_url=run_url)
        before, reports, days = self._read()
        period = [day for on, day in days.items() if on > self.day - timedelta(days=_PERIOD)]
        today: dict[str, Seen] = days[self.day].systems if self.day in days else {}
        return make_digest(
            self.platform,
            day=self.day,
            since=self._begin,
            before=before,
            reports=[*reports, measured],
            evening=evening,
            uptime=(today, uptime(period)),
            id=report_id(self.platform.platform, FLOW, inspection.started, inspection.suffix),
            environment=inspection.environment,
            started=min(inspection.started, measured.finished),
            finished=measured.finished,
            scheduled=scheduled,
            notes=tuple(dict.fromkeys(self.notes)),
            run_url=run_url,
        )

    def _read(self) -> tuple[list[Report], list[Report], dict[date, Day]]:
        if self._past is None:
            return [], [], {}
        try:
            found = self._past.between(self._begin, self._end)
            if found.unreadable:
                self.notes.append(f"{found.unreadable} of the day's reports could not be read and were passed over")
            return self._past.before(self._begin), found.reports, self._past.days(self.day, _PERIOD)
        except WatchkeeperError as error:
            self.notes.append(f"the reports of the day cannot be read: {error}")
            return [], [], {}

    def _digest_before(self) -> datetime | None:
        """Open the past and return when the digest before ended; where it cannot be read, that is told."""
        inspection = self.inspection
        try:
            store = report_store(inspection.settings)
            name, zone = self.platform.platform, self.platform.zone
            self._past = Past(store, name, inspection.environment, zone)
            before = self._past.digest_before(self.day)
        except WatchkeeperError as error:
            self.notes.append(f"earlier digests cannot be read: {error}")
            return None
        return before.finished if before else None

    def _named(self, system: SystemReport) -> SystemReport:
        """Leave out what is of now and not of the day: a clock that was set back looks wrong to the system."""
        wanted = {*self.platform.digest.systems()[system.name], BUDGET_LEFT, REACHABLE.name, "check"}
        return system.model_copy(
            update={"findings": tuple(one for one in system.findings if one.measurement in wanted)}
        )

    def _narrow(self, inspection: Inspection) -> None:
        """Have the inspection measure what the digest holds, and nothing else."""
        wanted = self.platform.digest.systems()
        names = [name for name in wanted if not self._is_over or self.platform.systems[name].REMEMBERS]
        inspection.platform = _only(self.platform, {name: [*wanted[name], BUDGET_LEFT] for name in names})
        inspection.systems = names

    def _earlier(self, back: timedelta) -> Inspection:
        """Return an inspection whose clock is set back, of the systems with something to compare."""
        wanted: dict[str, list[str]] = {}
        for entry in self.platform.digest.business:
            system, _, name = entry.partition(".")
            wanted.setdefault(system, []).append(name)
        inspection, end = self.inspection, self._end
        then = Inspection(FLOW, _only(self.platform, wanted), _at(inspection.access, end - back), inspection.settings)
        then.systems = list(wanted)
        return then


def _only(platform: PlatformSpec, wanted: dict[str, list[str]]) -> PlatformSpec:
    narrowed = {name: platform.systems[name].only(names) for name, names in wanted.items()}
    return platform.model_copy(update={"systems": {**platform.systems, **narrowed}})


def _at(access: Access, at: datetime) -> Access:
    return replace(access, now=lambda: at, pause=None)


async def measure(inspection: Inspection) -> Sequence[SystemReport]:
    """Measure what an inspection names, all at once."""
    load_drivers(inspection.platform, inspection.systems)
    platform, earlier = inspection.platform, inspection.earlier.report
    checks = (check_system(platform, name, inspection.access, earlier) for name in inspection.systems)
    found = await inspection.with_backups(asyncio.gather(*checks))
    await inspection.look_around(found)
    return found


async def remember(inspection: Inspection) -> list[SystemReport]:
    """Measure what was, all at once; it is only compared, so nothing is judged."""
    platform = inspection.platform
    access = replace(inspection.access, systems=dict(platform.systems))

    async def one(name: str) -> SystemReport:
        spec = platform.systems[name]
        readings = tuple(one for one in await take(spec, access) if isinstance(one, Measurement))
        return SystemReport(name=name, kind=spec.kind, title=spec.title or name, seconds=0.0, measurements=readings)

    return list(await asyncio.gather(*map(one, inspection.systems)))


async def measure_evening(closing: Closing) -> Evening:
    """Measure all that the digest compares."""
    now = measure(closing.inspection)
    return Evening(*await asyncio.gather(now, remember(closing.yesterday), remember(closing.last_week)))


def close_day(name: str, settings: Settings, day: date | None = None) -> tuple[Digest, PlatformSpec]:
    """Make a platform's digest now; nothing is stored and nobody is told.

    Raises:
        ConfigError: See `Closing.open`.
    """
    closing = Closing.open(name, settings, day)
    return closing.digest(asyncio.run(measure_evening(closing))), closing.platform
