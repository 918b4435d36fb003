"""Gathering a quarter's drills of every platform from the reports that were kept. Without Prefect."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from tasks import platforms
from tasks.core.drill import FLOW as DRILL
from tasks.core.drill import Drill
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import DefaultSeverity, PlatformSpec, Severity, Slack
from tasks.core.quarter import FLOW, Drilled, PlatformQuarter, Quarter, QuarterReport, of_platform, summed_up, unread
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.inspections import report_store
from tasks.reports import drills
from tasks.runs import Run

EVERYONE = "all-platforms"
"""Whose report it is: no platform may be called so, as a spec's name has its own file."""
_LOOKED_AT = 40
"""So many drills of a platform, the newest, tell of the quarter and of those before."""


class QuarterRun(Run):
    """One look back at a quarter.

    Args:
        quarter: Which one; the one of today where it is empty.
        settings: Where the specs and the reports are.
        access: Resolves references; tells the time.
    """

    def __init__(self, quarter: str, settings: Settings, access: Access) -> None:
        self.specs: dict[str, PlatformSpec | ConfigError] = {}
        for name in platforms.platform_names(settings):
            try:
                self.specs[name] = platforms.load(name, settings)
            except ConfigError as error:
                self.specs[name] = error
        if not self.specs:
            raise ConfigError(f"there is no platform in {settings.platforms}", hint="docs/platform-spec.md shows one")
        super().__init__(everyone(settings, self._channels()), access, settings)
        self.quarter = Quarter.read(quarter) if quarter else Quarter.of(access.now())
        if self.quarter.begins > access.now():
            raise ConfigError(f"{self.quarter} is still to come", hint="name one that has begun, or none for today's")
        self._store = report_store(settings)

    def _channels(self) -> set[str]:
        return {spec.slack.channel for spec in self.specs.values() if isinstance(spec, PlatformSpec)}

    def gather(self) -> tuple[PlatformQuarter, ...]:
        """Read every platform's drills; one of which nothing can be read is told as such."""
        return tuple(self._platform(name, spec) for name, spec in self.specs.items())

    def _platform(self, name: str, spec: PlatformSpec | ConfigError) -> PlatformQuarter:
        if not isinstance(spec, PlatformSpec):
            return unread(
                name, platforms.salvage(name, self.settings).title, f"its spec cannot be read: {spec.message}"
            )
        try:
            return of_platform(spec, self.quarter, list(self._drills(spec)))
        except WatchkeeperError as error:
            trouble = f"the kept reports cannot be read: {self.access.resolver.scrub(error.message)}"
            return of_platform(spec, self.quarter, (), trouble=trouble)

    def _drills(self, spec: PlatformSpec) -> Iterator[Drilled]:
        kept = [one for one in self._store.kept(spec.platform, DRILL) if one.began < self.quarter.ends]
        for one in kept[-_LOOKED_AT:]:
            drill = self._store.read(one.key, Drill)
            if drill is None:
                if one.began >= self.quarter.begins:
                    self.notes.append(f"{one.key} cannot be read, and is not told of")
                continue
            if drill.environment == self.settings.environment:
                in_quarter = one.began >= self.quarter.begins
                where, sha256 = self._evidence(one.key) if in_quarter else ("", "")
                page = self._store.page_of(one.key) if in_quarter else ""
                said = drills.sentence(drill)
                yield summed_up(drill, spec.protected, said, page=page, evidence=where, sha256=sha256)

    def _evidence(self, key: str) -> tuple[str, str]:
        """Return where a drill's bundle is, and its hash; nothing where none was kept."""
        found = self._store.beside(key, "zip")
        return ("", "") if found is None else (found[0], hashlib.sha256(found[1]).hexdigest())

    def report(
        self, found: tuple[PlatformQuarter, ...], *, scheduled: datetime | None = None, run_url: str | None = None
    ) -> QuarterReport:
        """Put the report together."""
        return QuarterReport(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            quarter=str(self.quarter),
            platforms=found,
            notes=tuple(self.notes),
        )


def everyone(settings: Settings, channels: set[str]) -> PlatformSpec:
    """Return a spec that stands for all platforms: whom to tell, and nothing that is looked after.

    Told is the channel of the settings, or the one that all platforms share.
    """
    shared = next(iter(channels)) if len(channels) == 1 else ""
    return PlatformSpec.model_construct(
        platform=EVERYONE,
        title="All platforms",
        slack=Slack.model_construct(channel=settings.slack_channel or shared),
        severities={"told": Severity(means="a report over all platforms", respond="next-business-day")},
        default_severity=DefaultSeverity(warn="told", critical="told"),
        systems={},
    )
