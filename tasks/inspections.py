"""One run's look at one platform, from the spec to the report. Without Prefect: flow and command line share it."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Sequence
from datetime import datetime

from tasks import platforms
from tasks.backup_looks import with_backups
from tasks.clients.blobs import BlobStore, Lock, open_store
from tasks.clients.network import own_trouble
from tasks.clients.report_store import Earlier, ReportStore
from tasks.clients.silence_store import SilenceStore
from tasks.core.errors import ConfigError, Unreachable, WatchkeeperError
from tasks.core.notice import gated, is_cut_off, quieted
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport, build_report
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.silences import Silence
from tasks.core.system import Access
from tasks.runs import Run


class Inspection(Run):
    """What is looked at, what may be used for it, and what was found before.

    Attributes:
        flow: The flow's name; reports are kept and compared by it.
        systems: The names to check, in the spec's order.
        earlier: The report to compare with.
        silences: What people said of problems: acknowledged, or put off.
        network: What is wrong with this host's own network; nothing as long as anything answers.
        troubles: What is to be told of Watchkeeper itself.
    """

    def __init__(self, flow: str, platform: PlatformSpec, access: Access, settings: Settings) -> None:
        super().__init__(platform, access, settings)
        self.flow = flow
        self.systems: Sequence[str] = ()
        self.earlier = Earlier(None)
        self.silences: Sequence[Silence] = ()
        self.network = ""
        self.troubles: list[SystemReport] = []

    @classmethod
    def open(
        cls, flow: str, name: str, systems: Sequence[str], settings: Settings, *, after: str | None = None
    ) -> Inspection:
        """Load a platform and the report before.

        Args:
            flow: The flow's name.
            name: A platform's name, or the path of a spec.
            systems: Only these; all where there are none.
            settings: Where things are.
            after: The flow with whose last report it is compared, where that is another one.

        Raises:
            ConfigError: The spec is broken, there is no such platform or system, or the lab is meant and not up.
        """
        access = platforms.access(settings)
        inspection = cls(flow, platforms.load(name, settings), access, settings)
        inspection.systems = _chosen(inspection.platform, systems)
        inspection.earlier = inspection._before(after or flow)
        inspection.silences = inspection._silenced()
        return inspection

    @property
    def environment(self) -> str:
        """`lab` where the embedded lab is looked at."""
        return self.settings.environment

    def trouble(self, what: str, error: Exception, outcome: Outcome) -> None:
        """Remember what is to be told of Watchkeeper itself."""
        at = self.access.now()
        self.troubles.append(platforms.own_trouble(self.platform, what, error, at, outcome))

    async def with_backups(self, checking: Awaitable[Sequence[SystemReport]]) -> list[SystemReport]:
        """Return what is found with what is to be said of backups, which are looked at meanwhile."""
        before, is_lab = self.earlier.report, self.settings.lab is not None
        return await with_backups(checking, self.systems, self.platform, self.access, before, is_lab=is_lab)

    async def look_around(self, found: Sequence[SystemReport]) -> None:
        """See whether this host has a network, where nothing that is reached over one answers.

        On the lab there is nothing to see: it is all on this host.
        """
        if self.settings.lab is None and is_cut_off(found, self.platform):
            try:
                self.network = await own_trouble(self.settings.witnesses)
            except ConfigError as error:
                self.trouble("witnesses", error, Outcome.WARNED)
        if self.network:
            reason = Unreachable(f"this host reaches nothing: {self.network}", hint="See to the network of this host.")
            self.trouble("network", reason, Outcome.ERRORED)

    def report(
        self, found: Sequence[SystemReport], *, scheduled: datetime | None = None, run_url: str | None = None
    ) -> Report:
        """Put the report together, with whom it is told and whom not."""
        settled = gated(found, self.platform, self.network) if self.network else found
        everything = [*settled, *self.troubles]
        return build_report(
            self.platform,
            quieted(everything, self.platform, silences=self.silences, now=self.access.now()),
            flow=self.flow,
            started=self.started,
            finished=self.access.now(),
            suffix=self.suffix,
            previous=self.earlier.report,
            note=self.earlier.note,
            environment=self.environment,
            scheduled=scheduled,
            run_url=run_url,
        )

    def _before(self, flow: str) -> Earlier:
        try:
            store = report_store(self.settings)
        except WatchkeeperError as error:
            return Earlier(None, f"earlier reports cannot be read: {error}")
        return store.latest(self.platform.platform, flow, environment=self.environment, systems=self.systems)

    def _silenced(self) -> Sequence[Silence]:
        """Return what people said of problems; where it cannot be read, nothing is held back, and that is told."""
        try:
            return silence_store(self.settings).active(self.platform.platform, self.access.now())
        except WatchkeeperError as error:
            self.trouble("acknowledgements", error, Outcome.WARNED)
            return ()


def silence_store(settings: Settings) -> SilenceStore:
    """Open the store of acknowledgements and snoozes."""
    return SilenceStore(store_beside_reports(settings, "silences"))


def store_beside_reports(settings: Settings, name: str, lock: Lock | None = None) -> BlobStore:
    """Open a store of another thing: beside the reports where the settings name a place, else in the state folder."""
    where = f"{settings.reports.rstrip('/')}/{name}" if settings.reports else settings.state / name
    return open_store(where, endpoint=settings.reports_endpoint, ca_bundle=settings.ca_bundle, lock=lock)


def report_store(settings: Settings) -> ReportStore:
    """Open the store of reports that the settings name."""
    where = settings.reports or settings.state / "reports"
    return ReportStore(open_store(where, endpoint=settings.reports_endpoint, ca_bundle=settings.ca_bundle))


def _chosen(platform: PlatformSpec, systems: Sequence[str]) -> Sequence[str]:
    for name in systems:
        if name not in platform.systems:
            close = difflib.get_close_matches(name, platform.systems, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(platform.systems)}"
            raise ConfigError(f"{platform.platform} has no system {name!r}", hint=hint)
    return [name for name in platform.systems if not systems or name in systems]
