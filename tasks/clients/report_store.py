"""Where reports are kept: for "since yesterday", for a person who looks back, and as evidence."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from tasks.clients.blobs import BlobStore
from tasks.core.errors import WatchkeeperError
from tasks.core.model import Model
from tasks.core.report import Report

log = logging.getLogger(__name__)

_LOOK_BACK = 10
_STAMP = re.compile(r"-(\d{8}T\d{6}Z)-[^/-]*\.json$")

AnyModel = TypeVar("AnyModel", bound=Model)


class Publishable(Protocol):
    """What is kept under `<platform>/<flow>/<id>`: a report, a digest."""

    @property
    def platform(self) -> str:
        """The platform's name."""
        ...

    @property
    def flow(self) -> str:
        """The flow that made it."""
        ...

    @property
    def id(self) -> str:
        """Unique; sorts by time."""
        ...

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """Return it as JSON."""
        ...


class Kept(NamedTuple):
    """One thing in the store, by its key; when the run that made it began."""

    key: str
    began: datetime


class Earlier(NamedTuple):
    """The report before, or why there is none to compare with."""

    report: Report | None
    note: str = ""


class ReportStore:
    """Reports as JSON and HTML under `<platform>/<flow>/<id>`; ids sort by time."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def save(self, report: Publishable, html: str, beside: Mapping[str, bytes] | None = None) -> str:
        """Keep a report and return where a person finds its HTML.

        Args:
            report: What is kept as JSON.
            html: Its page.
            beside: Further files by the ends of their names: `advice.csv`.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        base = f"{report.platform}/{report.flow}/{report.id}"
        for name, data in (beside or {}).items():
            self._store.put(f"{base}.{name}", data)
        self._store.put(f"{base}.html", html.encode())
        self._store.put(f"{base}.json", report.model_dump_json(indent=2).encode())
        return self._store.where(f"{base}.html")

    def newest(self, platform: str, flow: str) -> tuple[Report, str] | None:
        """Return the newest report that can be read, and where a person finds its HTML.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        for key in sorted(self._store.list(f"{platform}/{flow}/"), reverse=True):
            if key.endswith(".json") and (report := self.read(key, Report)) is not None:
                return report, self._store.where(key.removesuffix("json") + "html")
        return None

    def latest(
        self, platform: str, flow: str, *, environment: str, systems: Collection[str], before: str | None = None
    ) -> Earlier:
        """Return the report to compare with; never raises.

        A check of one system alone must not hide the morning's: of the last ten reports of the same environment, the
        newest of those that share most systems is taken. Reports that cannot be read are passed over, with a note.

        Args:
            platform: The platform's name.
            flow: The flow's name.
            environment: `production` or `lab`; the two are never compared.
            systems: The systems that are to be compared.
            before: Only ids that sort before this one.
        """
        try:
            keys = self._store.list(f"{platform}/{flow}/")
        except WatchkeeperError as error:
            return Earlier(None, f"earlier reports cannot be read: {error}")
        ids = [key for key in keys if key.endswith(".json") and (before is None or key < f"{platform}/{flow}/{before}")]
        best: Report | None = None
        shared, unreadable = -1, 0
        for key in reversed(ids[-_LOOK_BACK:]):
            report = self.read(key, Report)
            if report is None:
                unreadable += 1
            elif report.environment == environment:
                common = len({system.name for system in report.systems} & set(systems))
                if common > shared:
                    best, shared = report, common
            if shared == len(set(systems)):
                break
        note = f"{unreadable} earlier report(s) could not be read and were passed over" if unreadable else ""
        return Earlier(best, note)

    def kept(self, platform: str, flow: str) -> list[Kept]:
        """Return all that is kept of a platform and a flow, in the order of time; nothing is read.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        stamped = ((key, _STAMP.search(key)) for key in self._store.list(f"{platform}/{flow}/"))
        return [
            Kept(key, datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
            for key, stamp in stamped
            if stamp is not None
        ]

    def read(self, key: str, model: type[AnyModel]) -> AnyModel | None:
        """Return what is kept under a key, or None where it is not there or cannot be read."""
        try:
            if (data := self._store.get(key)) is None:
                return None
            return model.model_validate_json(data, extra="ignore")
        except (ValidationError, WatchkeeperError) as error:
            log.warning("the report %s cannot be read: %s", key, type(error).__name__)
            return None

    def page_of(self, key: str) -> str:
        """Return where a person finds the page that is kept beside a key."""
        return self._store.where(key.removesuffix("json") + "html")

    def beside(self, key: str, ending: str) -> tuple[str, bytes] | None:
        """Return where a person finds the file beside a key that has another ending, and what it holds, or None.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        name = key.removesuffix("json") + ending
        data = self._store.get(name)
        return None if data is None else (self._store.where(name), data)

    def put(self, name: str, data: bytes) -> str:
        """Keep a file beside the reports and return where a person finds it.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._store.put(name, data)
        return self._store.where(name)
