"""A platform's capacity plan: its past gathered, each measurement looked ahead, the last plan graded. No Prefect."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from tasks import platforms
from tasks.advising import Gathering
from tasks.core.advice.bundle import Aim, Facts, advise_all
from tasks.core.advice.model import Advice, Fine, Judged, Supposed, Unjudged, Wrong
from tasks.core.advice.model import by_urgency as advice_by_urgency
from tasks.core.advice.what_if import WhatIf, suppose
from tasks.core.advice.wrong import cost_of_being_wrong
from tasks.core.backup_report import FLOW as BACKUP
from tasks.core.capacity import FLOW, CapacityReport, History, Outlook, by_urgency, thresholds_of
from tasks.core.drill import FLOW as DRILL
from tasks.core.errors import WatchkeeperError
from tasks.core.happenings import Happening, Kind, deploys, incidents, maintenance
from tasks.core.outlooks import look_ahead
from tasks.core.platform import PlatformSpec
from tasks.core.report import HEALTH_CHECK, Report
from tasks.core.restore_plan import FLOW as RESTORE
from tasks.core.results import Finding, Measurement, Outcome
from tasks.core.scorecard import grade
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.core.units import Unit
from tasks.inspections import report_store
from tasks.runs import Run
from tasks.systems import kinds
from tasks.vault.opening import open_platform_vault

BACK = timedelta(days=120)
"""How far back is looked."""
_READ = 500
_DRAWN = 12
_HAPPENED = 200
_FLOWS: tuple[tuple[str, Kind, str], ...] = (
    (BACKUP, "backup", "backup"),
    (RESTORE, "restore", "restore"),
    (DRILL, "drill", "drill"),
)
_NUMBERS = (Unit.RATIO, Unit.BYTES, Unit.SECONDS, Unit.COUNT, Unit.RATE)


class CapacityPlan(Run):
    """One look ahead.

    Attributes:
        horizon: How far to look.
        what_if: What is supposed; each is judged anew from the same facts.
    """

    def __init__(
        self,
        platform: PlatformSpec,
        access: Access,
        settings: Settings,
        *,
        horizon: timedelta,
        what_if: Sequence[WhatIf] = (),
    ) -> None:
        super().__init__(platform, access, settings)
        self.horizon, self.what_if = horizon, what_if
        self._measurements: dict[str, list[Measurement]] = {}
        self._facts = Facts()
        self._judged: list[Judged] = []
        self._supposed: tuple[Supposed, ...] = ()
        self._histories: list[History] = []
        self._queues: set[str] = set()
        self._outlooks: tuple[Outlook, ...] = ()
        self._new: list[tuple[datetime, Finding]] = []

    @classmethod
    def open(cls, name: str, settings: Settings, *, horizon: timedelta, what_if: Sequence[WhatIf] = ()) -> CapacityPlan:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, or the lab is not up.
        """
        spec, access = platforms.load(name, settings), platforms.access(settings)
        return cls(spec, access, settings, horizon=horizon, what_if=what_if)

    async def gather(self) -> None:
        """Read the past: from what keeps its own, from the kept reports, from the vaults. What fails is told."""
        for name, spec in self.platform.systems.items():
            if (histories := kinds()[spec.kind].histories()) is None:
                continue
            try:
                found = await histories(spec, self.access, self.started - BACK, self.started)
            except WatchkeeperError as error:
                self.trouble(f"history of {name}", error, Outcome.ERRORED)
            else:
                told = (self._as_queue(replace(one, key=f"{name}/{one.key}")) for one in found)
                self._histories += [one for one in told if one is not None]
        for what, read in (("kept reports", self._from_reports), ("vaults", self._from_vaults)):
            try:
                self._histories += await asyncio.to_thread(lambda read=read: list(read()))  # type: ignore[misc]
            except WatchkeeperError as error:
                self.trouble(what, error, Outcome.ERRORED)
        gathering = Gathering(self.platform, self.access, self.started, self._histories, self._measurements)
        try:
            self._facts = await gathering.facts()
        except Exception as error:  # noqa: BLE001 - what runs out is told without advice too
            self.trouble("facts for advice", error, Outcome.ERRORED)
        self._histories += _durations(self._facts, self.platform)

    def _as_queue(self, history: History) -> History | None:
        """Give the length of a queue that the spec knows the spec's bounds and name; None where another told of it."""
        kind, queue = history.queue or ("", "")
        for name, spec in self.platform.systems.items():
            if spec.kind != kind or (of := spec.length_of(queue)) is None:
                continue
            asked = Measurement(name=of[0], value=0.0, unit=Unit.COUNT, at=self.started, subject=of[1])
            if (key := _key(name, asked)) in self._queues:
                return None
            self._queues.add(key)
            limit, measure = spec.limit(asked), spec.measure(asked)
            thresholds = thresholds_of(limit, measure.worse) if limit is not None else ()
            remedy = (limit.remedy if limit else None) or measure.remedy or history.remedy
            called = measure.called(spec.called(name), of[1])
            return replace(history, thresholds=thresholds, remedy=remedy, name=called)
        return history

    def look(self) -> None:
        """Forecast everything that was gathered; histories are kept for what is most urgent."""
        outlooks = by_urgency([look_ahead(history, self.horizon) for history in self._histories])
        self._outlooks = tuple(one if at < _DRAWN else _undrawn(one) for at, one in enumerate(outlooks))
        try:
            self._advise()
        except Exception as error:  # noqa: BLE001 - what runs out is told without advice too
            self.trouble("advice", error, Outcome.ERRORED)

    def _advise(self) -> None:
        ahead = self.platform.capacity
        titles = {name: spec.called(name) for name, spec in self.platform.systems.items()}
        titles |= {one.key: one.name for one in self._histories if one.name}
        aim = Aim(self.started, ahead.hold, ahead.backup_window, self.platform.zone, titles)
        self._judged = advise_all(self._facts, aim)
        self._supposed = tuple(suppose(one, self._facts, aim, self._histories, self.horizon) for one in self.what_if)

    def report(self, *, scheduled: datetime | None = None, run_url: str | None = None) -> CapacityReport:
        """Put the report together, and grade the one before."""
        earlier = self._earlier()
        return CapacityReport(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            horizon_days=self.horizon / timedelta(days=1),
            outlooks=self._outlooks,
            grades=grade(earlier, self._histories, self.started) if earlier else (),
            graded=earlier.id if earlier else "",
            advice=advice_by_urgency(self._priced()),
            fine=tuple(one for one in self._judged if isinstance(one, Fine)),
            unjudged=tuple(one for one in self._judged if isinstance(one, Unjudged)),
            wrong=tuple(self._wrong()),
            supposed=self._supposed,
            happenings=tuple(self._happenings()),
            notes=tuple(self.notes),
        )

    def _priced(self) -> Iterator[Advice]:
        yield from (self.platform.capacity.priced(one) for one in self._judged if isinstance(one, Advice))

    def _wrong(self) -> Iterator[Wrong]:
        for one in self._outlooks:
            if one.outcome.is_problem and (
                cost := cost_of_being_wrong(one, self.platform.capacity.lead_time, self.started)
            ):
                yield cost

    def _happenings(self) -> list[Happening]:
        """Return what happened since the oldest of what is drawn."""
        drawn = [one.history[0].at for one in self._outlooks if one.history]
        since, store = min(drawn, default=self.started), report_store(self.settings)
        found = [*deploys(self._measurements), *incidents(self._new)]
        found += maintenance(self.platform.maintenance, since, self.started, self.platform.timezone)
        try:
            for flow, kind, text in _FLOWS:
                kept = store.kept(self.platform.platform, flow)
                found += [Happening(kind=kind, at=one.began, text=text) for one in kept]
        except WatchkeeperError as error:
            self.trouble("what happened", error, Outcome.ERRORED)
        return sorted((one for one in found if since <= one.at <= self.started), key=lambda one: one.at)[-_HAPPENED:]

    def _earlier(self) -> CapacityReport | None:
        """Return the newest earlier plan that is old enough to be graded: a day at least."""
        store = report_store(self.settings)
        try:
            kept = store.kept(self.platform.platform, FLOW)
        except WatchkeeperError as error:
            self.trouble("earlier plans", error, Outcome.ERRORED)
            return None
        for one in reversed([one for one in kept if one.began <= self.started - timedelta(days=1)]):
            earlier = store.read(one.key, CapacityReport)
            if earlier is not None and earlier.environment == self.settings.environment:
                return earlier
        return None

    def _from_reports(self) -> Iterator[History]:
        """Yield what the health checks measured, of everything that has a bound and that no other source tells."""
        store = report_store(self.settings)
        kept = [one for one in store.kept(self.platform.platform, HEALTH_CHECK) if one.began >= self.started - BACK]
        own = {name for name, spec in self.platform.systems.items() if kinds()[spec.kind].can("history")}
        found: dict[str, list[Measurement]] = defaultdict(list)
        for one in kept[:: max(1, -(-len(kept) // _READ))]:
            report = store.read(one.key, Report)
            if report is None or report.environment != self.settings.environment:
                continue
            self._new += [(report.finished, finding) for finding in report.changes.new]
            for system in report.systems:
                if system.name in self.platform.systems and system.name not in own:
                    for measured in system.measurements:
                        found[_key(system.name, measured)].append(measured)
        self._measurements = found
        for key, measurements in found.items():
            yield from self._measured(key, measurements)

    def _measured(self, key: str, measurements: list[Measurement]) -> Iterator[History]:
        newest = measurements[-1]
        if key in self._queues:
            return  # a Prometheus tells of it by the hour
        if newest.unit not in _NUMBERS or isinstance(newest.value, str | bool):
            return
        spec = self.platform.systems[key.partition("/")[0]]
        limit = spec.limit(newest)
        thresholds = thresholds_of(limit, spec.measure(newest).worse) if limit is not None else ()
        if not thresholds and newest.unit is not Unit.BYTES:
            return
        numbers = [one for one in measurements if isinstance(one.value, int | float)]
        times = np.array([one.at.timestamp() for one in numbers])
        values = np.array([float(one.value) for one in numbers])
        remedy = (limit.remedy if limit else None) or spec.measure(newest).remedy or ""
        system, measure = key.partition("/")[0], spec.measure(newest)
        yield History(
            key,
            newest.unit,
            times,
            values,
            "the health checks' reports",
            thresholds,
            remedy,
            name=measure.called(spec.called(system), newest.subject),
            share=measure.share,
        )

    def _from_vaults(self) -> Iterator[History]:
        """Yield how large the backups of each system were."""
        access = self.access
        for name in self.platform.vaults:
            vault = open_platform_vault(
                self.platform, name, access.resolver, now=access.now, ca_bundle=access.ca_bundle
            )
            sizes = defaultdict(list)
            for entry in vault.entries(self.platform.platform):
                if entry.state == "complete" and entry.time >= self.started - BACK:
                    sizes[entry.system].append((entry.time.timestamp(), float(entry.stored_bytes)))
            for system, listed in sizes.items():
                times, values = np.array(listed).T
                key, words = f"{system}/stored[{name}]", f"backups of {_called(self.platform, system)} in vault {name}"
                yield History(key, Unit.BYTES, times, values, f"the vault {name}", name=words)


def _durations(facts: Facts, platform: PlatformSpec) -> Iterator[History]:
    """Yield how long the backups of each group took, where that is known."""
    for vault, held in facts.vaults.items():
        groups = defaultdict(list)
        for one in held.taken:
            if one.seconds is not None:
                groups[one.group].append((one.time.timestamp(), one.seconds))
        for group, listed in groups.items():
            times, values = np.array(listed).T
            system, _, method = group.partition("/")
            key = f"{system}/took[{' '.join(filter(None, (vault, method)))}]"
            ways = f", {method}" if method else ""
            words = f"time that backups of {_called(platform, system)} take{ways}, in vault {vault}"
            yield History(key, Unit.SECONDS, times, values, f"the manifests in the vault {vault}", name=words)


def _called(platform: PlatformSpec, system: str) -> str:
    """Name a system; one that the spec has no more keeps its name."""
    spec = platform.systems.get(system)
    return spec.called(system) if spec is not None else system


def _undrawn(one: Outlook) -> Outlook:
    """Keep only what a later report grades."""
    return one.model_copy(update={"history": (), "ahead": one.ahead[:: max(1, len(one.ahead) // 12)]})


def _key(system: str, measured: Measurement) -> str:
    subject = f"[{measured.subject}]" if measured.subject else ""
    return f"{system}/{measured.name}{subject}"
