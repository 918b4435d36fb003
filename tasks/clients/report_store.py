"""Where reports are kept: for "since yesterday", for a person who looks back, and as evidence."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import NamedTuple

from pydantic import ValidationError

from tasks.clients.blobs import BlobStore
from tasks.core.errors import WatchkeeperError
from tasks.core.report import Report

log = logging.getLogger(__name__)

_LOOK_BACK = 10


class Earlier(NamedTuple):
    """The report before, or why there is none to compare with."""

    report: Report | None
    note: str = ""


class ReportStore:
    """Reports as JSON and HTML under `<platform>/<flow>/<id>`; ids sort by time."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def save(self, report: Report, html: str) -> str:
        """Keep a report and return where a person finds its HTML.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        base = f"{report.platform}/{report.flow}/{report.id}"
        self._store.put(f"{base}.html", html.encode())
        self._store.put(f"{base}.json", report.model_dump_json(indent=2).encode())
        return self._store.where(f"{base}.html")

    def newest(self, platform: str, flow: str) -> tuple[Report, str] | None:
        """Return the newest report that can be read, and where a person finds its HTML.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        for key in sorted(self._store.list(f"{platform}/{flow}/"), reverse=True):
            if key.endswith(".json") and (report := self._read(key)) is not None:
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
            report = self._read(key)
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

    def _read(self, key: str) -> Report | None:
        try:
            return Report.model_validate_json(self._store.get(key) or b"", extra="ignore")
        except (ValidationError, WatchkeeperError) as error:
            log.warning("the report %s cannot be read: %s", key, type(error).__name__)
            return None
