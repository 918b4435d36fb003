"""One checklist of a platform: facts from its vaults, reports and ledger, judged by the controls. Without Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import ValidationError

from tasks import evidence, platforms
from tasks.backing_up import version_of_watchkeeper
from tasks.controls import about
from tasks.core.compliance import FLOW, Checklist, Copy, Facts, Statement, itemize, lapsed
from tasks.core.control import settle
from tasks.core.drill import FLOW as DRILLS
from tasks.core.drill import Drill
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.manifest import Manifest
from tasks.core.report import Report, Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.inspections import report_store, store_beside_reports
from tasks.runs import Run
from tasks.vault.opening import open_platform_vault
from tasks.vault.records import read_verification
from tasks.vault.vault import Vault

_HEALTH = "health-check"
_MONTH, _QUARTER = timedelta(days=31), timedelta(days=92)
_LISTS = frozenset({"backup_manifest", "fingerprints.jsonl", "index.json"})
_NEWEST = 10
"""So many of the newest backups of a system in a vault are read."""


class ChecklistRun(Run):
    """What a checklist is made of."""

    @classmethod
    def open(cls, name: str, settings: Settings) -> ChecklistRun:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, or the lab is not up.
        """
        return cls(platforms.load(name, settings), platforms.access(settings), settings)

    def look(self) -> Facts:
        """Fetch the facts; what cannot be had is said in them, and the others are there all the same."""
        protected = {name: tuple(spec.backup.to) for name, spec in self.platform.protected.items() if spec.backup}
        copies, unread = self._copies(protected)
        now, kept = self.access.now(), report_store(self.settings)
        name = self.platform.platform
        health: Report | None = None
        checked: tuple[datetime, ...] = ()
        drilled: tuple[tuple[datetime, bool], ...] = ()
        try:
            newest = kept.newest(name, _HEALTH)
            health = newest[0] if newest and newest[0].environment == self.settings.environment else None
            checked = tuple(one.began for one in kept.kept(name, _HEALTH) if now - one.began <= _MONTH)
            drilled = tuple(self._drills(now))
        except WatchkeeperError as error:
            self.trouble("report_store", error, Outcome.WARNED)
        return Facts(
            now, protected, copies=copies, unread=unread, health=health, checked=checked, drilled=drilled,
            ledger=self._ledger(), statements=tuple(self._statements()),
        )  # fmt: skip

    def report(self, facts: Facts, *, scheduled: datetime | None = None, run_url: str | None = None) -> Checklist:
        """Judge the facts and put the list together."""
        judged = [settle(control, facts) for control in about("platform")]
        return Checklist(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            items=itemize(judged, facts, self._before()),
            notes=(*self.notes, *lapsed(facts, judged)),
        )

    def _copies(self, protected: dict[str, tuple[str, ...]]) -> tuple[list[Copy], dict[str, str]]:
        copies: list[Copy] = []
        unread: dict[str, str] = {}
        for name in sorted({vault for vaults in protected.values() for vault in vaults}):
            try:
                vault = open_platform_vault(
                    self.platform, name, self.access.resolver, now=self.access.now,
                    version=version_of_watchkeeper(), ca_bundle=self.access.ca_bundle,
                )  # fmt: skip
                for system, vaults in protected.items():
                    if name in vaults:
                        copies += self._of(vault, system)
            except WatchkeeperError as error:
                unread[name] = self.access.resolver.scrub(error.message)
        return copies, unread

    def _of(self, vault: Vault, system: str) -> Iterator[Copy]:
        entries = [one for one in vault.entries(self.platform.platform, system) if one.state == "complete"]
        for entry in entries[-_NEWEST:]:
            manifest = vault.get(entry.folder)
            records = [read_verification(vault, f"{entry.folder}/{record}") for record in entry.verified]
            proven = max((one.at for one in records if one.proves), default=None)
            yield Copy(system, vault.name, entry.id, entry.time, is_encrypted(manifest), proven)

    def _drills(self, now: datetime) -> Iterator[tuple[datetime, bool]]:
        store = report_store(self.settings)
        for one in store.kept(self.platform.platform, DRILLS):
            if now - one.began > _QUARTER:
                continue
            report = store.read(one.key, Drill)
            if report is not None and report.environment == self.settings.environment:
                yield report.finished, report.verdict in (Verdict.PASSED, Verdict.WARNED)

    def _ledger(self) -> str | None:
        try:
            checked = evidence.verify(self.settings)
        except WatchkeeperError as error:
            self.trouble("evidence_ledger", error, Outcome.WARNED)
            return None
        if checked.fault is not None:
            return f"record {checked.fault.sequence} of the ledger: {checked.fault.what}"
        return "" if checked.records else None

    def _statements(self) -> list[Statement]:
        try:
            return statements(self.platform.platform, self.settings)
        except WatchkeeperError as error:
            self.trouble("statements", error, Outcome.WARNED)
            return []

    def _before(self) -> Checklist | None:
        try:
            store = report_store(self.settings)
            for one in reversed(store.kept(self.platform.platform, FLOW)):
                if one.began < self.started.replace(microsecond=0):
                    found = store.read(one.key, Checklist)
                    if found is not None and found.environment == self.settings.environment:
                        return found
        except WatchkeeperError as error:
            self.notes.append(self.access.resolver.scrub(f"earlier checklists cannot be read: {error}"))
        return None


def is_encrypted(manifest: Manifest) -> bool:
    """Return whether a backup is encrypted, lists of hashes aside, which the next backup reads without any key."""
    open_parts = {part.name for part in manifest.parts if part.encryption == "none"}
    return bool(manifest.recipients) and open_parts <= _LISTS


def statements(platform: str, settings: Settings) -> list[Statement]:
    """Return what people stated of a platform, oldest first.

    Raises:
        ConfigError: One cannot be read.
        WatchkeeperError: The store refuses or does not answer.
    """
    store = store_beside_reports(settings, "statements")
    found = []
    for key in store.list(f"{platform}/"):
        try:
            found.append(Statement.model_validate_json(store.get(key) or b""))
        except ValidationError:
            raise ConfigError(f"{store.where(key)} is no statement that can be read", hint="remove it") from None
    return sorted(found, key=lambda one: (one.at, one.id))


def state(statement: Statement, settings: Settings) -> None:
    """Keep what a person stated.

    Raises:
        ConfigError: There is no such control, or a machine checks it and it cannot be attested.
        WatchkeeperError: The store refuses or does not answer.
    """
    known = {control.id: control for control in about("platform")}
    if statement.control not in known:
        raise ConfigError(f"{statement.control!r} is no control of a platform", hint=f"there are {', '.join(known)}")
    if statement.kind == "attestation" and known[statement.control].owner != "people":
        hint = "mend what it finds, or waive it"
        raise ConfigError(f"a machine checks {statement.control}: it cannot be attested", hint=hint)
    store = store_beside_reports(settings, "statements")
    store.put_if_absent(f"{statement.platform}/{statement.id}.json", statement.model_dump_json(indent=2).encode())
