"""One checklist of a platform: facts from its vaults, reports and ledger, judged by the controls. Without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tasks import evidence, platforms
from tasks.auditing import told
from tasks.backing_up import version_of_watchkeeper
from tasks.clients.trial_store import TrialStore
from tasks.control_runs import judge_clusters, read_results
from tasks.controls import about
from tasks.controls.scanners.reading import Results
from tasks.core.compliance import FLOW, Checklist, Copy, Exceptions, Facts, gone, itemize, settled, void
from tasks.core.control import Control, Result, settle
from tasks.core.drill import FLOW as DRILLS
from tasks.core.drill import Drill
from tasks.core.errors import WatchkeeperError
from tasks.core.manifest import Manifest
from tasks.core.operating import Operated, Ran, operating
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, Verdict
from tasks.core.results import Outcome
from tasks.core.settings import Settings
from tasks.core.statements import REMIND, Request, Statement
from tasks.core.system import Access
from tasks.core.trials import Trial
from tasks.core.vaults import S3Vault
from tasks.inspections import report_store, store_beside_reports
from tasks.proving import Prover
from tasks.runs import Run
from tasks.schedules import slots
from tasks.statements import Statements
from tasks.vault.opening import open_platform_vault
from tasks.vault.records import read_verification
from tasks.vault.vault import Vault

_HEALTH = "health-check"
_MONTH, _QUARTER = timedelta(days=31), timedelta(days=92)
_STILL_RUNNING = timedelta(hours=6)
"""What was to begin less long ago may still be at work."""
_LISTS = frozenset({"backup_manifest", "fingerprints.jsonl", "index.json"})
_NEWEST = 10
"""So many of the newest backups of a system in a vault are read."""


class ChecklistRun(Run):
    """What a checklist is made of.

    Attributes:
        entries: Every backup that was seen: vault, id, when it was taken.
    """

    def __init__(self, platform: PlatformSpec, access: Access, settings: Settings) -> None:
        super().__init__(platform, access, settings)
        self.entries: list[tuple[str, str, datetime]] = []

    @classmethod
    def open(cls, name: str, settings: Settings) -> ChecklistRun:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, or the lab is not up.
        """
        return cls(platforms.load(name, settings), platforms.access(settings), settings)

    def look(self, *, plant: bool = False) -> Facts:
        """Fetch the facts; what cannot be had is said in them, and the others are there all the same. Blocks.

        Args:
            plant: Whether the spec's proofs are carried on: what is due is looked for, and synthetic data is planted.
        """
        protected = {name: tuple(spec.backup.to) for name, spec in self.platform.protected.items() if spec.backup}
        copies, unread = self._copies(protected)
        now, kept = self.access.now(), report_store(self.settings)
        name = self.platform.platform
        health: Report | None = None
        checked: tuple[datetime, ...] = ()
        drilled: tuple[tuple[datetime, bool], ...] = ()
        ledger, ran = self._ledger()
        people = Statements(name, self.settings)
        try:
            newest = kept.newest(name, _HEALTH)
            health = newest[0] if newest and newest[0].environment == self.settings.environment else None
            checked = tuple(one.began for one in kept.kept(name, _HEALTH) if now - one.began <= _MONTH)
            drilled = tuple(self._drills(now))
        except WatchkeeperError as error:
            self.trouble("report_store", error, Outcome.WARNED)
        return Facts(
            now, protected, copies=copies, unread=unread, health=health, checked=checked, drilled=drilled,
            ledger=ledger, statements=tuple(self._statements(people)), requests=tuple(self._asked(people)),
            operated=self._operated(ran, people, now),
            **self._seen(unread, plant=plant),
        )  # fmt: skip

    def _seen(self, unread: dict[str, str], *, plant: bool) -> dict[str, Any]:
        """Return what is seen at the systems themselves."""
        trials = asyncio.run(self._tried(plant=plant))
        seen = asyncio.run(told(self.platform, self.access, self.entries, unread))
        locked = [name for name, vault in self.platform.vaults.items() if isinstance(vault, S3Vault) and vault.lock]
        return {
            "plan": self.platform.compliance,
            "told": seen,
            "trials": tuple(trials),
            "roles": tuple(contact.role for contact in self.platform.contacts),
            "locked": tuple(locked),
        }

    async def _tried(self, *, plant: bool) -> list[Trial]:
        store = TrialStore(store_beside_reports(self.settings, "trials"))
        try:
            if not plant:
                return store.all(self.platform.platform, self.settings.environment)
            return await Prover(self.platform, self.access, store, self.settings.environment).prove()
        except WatchkeeperError as error:
            self.trouble("trials", error, Outcome.WARNED)
            return []

    def report(self, facts: Facts, *, scheduled: datetime | None = None, run_url: str | None = None) -> Checklist:
        """Judge the facts and put the list together."""
        judged = [settled(settle(control, facts), facts) for control in about("platform")]
        judged += judge_clusters(facts.told.audits)
        judged += [settle(control, self.scans()) for control in about("scanners")]
        results = {one.control.id: one.result for one in judged}
        judged += [settle(control, Exceptions(facts.now, facts.statements, results)) for control in about("waivers")]
        before, last_month = self._before()
        items, compared = itemize(judged, facts, before, last_month), last_month or before
        return Checklist(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            items=items,
            notes=(*self.notes, *void(facts, judged), *gone(items, compared)),
            operated=tuple(facts.operated or ()),
            compared_with=compared.finished if compared else None,
        )

    def scans(self) -> Results:
        """Return what scanners wrote into the folder of the spec, with how old it may be."""
        plan = self.platform.compliance.scans
        if plan is None:
            return Results()
        try:
            return read_results(Path(self.access.resolver.resolve(plan.folder)), self.access.now(), plan.within)
        except WatchkeeperError as error:
            self.trouble("scans", error, Outcome.WARNED)
            return Results()

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
        self.entries += [(vault.name, one.id, one.time) for one in entries]
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

    def _ledger(self) -> tuple[str | None, list[Ran] | None]:
        """Verify the ledger; return what is wrong with it, and what it tells of the last month's runs."""
        ran: list[Ran] = []

        def note(document: dict[str, Any]) -> None:
            mine = (self.platform.platform, self.settings.environment)
            if (document.get("platform"), document.get("environment")) == mine and (one := evidence.ran(document)):
                ran.append(one)

        try:
            checked = evidence.verify(self.settings, each=note)
        except WatchkeeperError as error:
            self.trouble("evidence_ledger", error, Outcome.WARNED)
            return None, None
        self.notes += [f"evidence ledger: {note}" for note in checked.notes]
        if checked.fault is not None:
            return f"record {checked.fault.sequence} of the ledger: {checked.fault.what}", None
        return ("" if checked.records else None), ran

    def _operated(self, ran: list[Ran] | None, people: Statements, now: datetime) -> tuple[Operated, ...] | None:
        """Hold what ran in the last month, since there is evidence, against what was to run."""
        if not ran:
            return None
        try:
            since = max(now - _MONTH, min(one.began for one in ran))
            expected = slots(self.platform.platform, since, now - _STILL_RUNNING)
            return operating(expected, ran, self.platform, people.downtimes())
        except WatchkeeperError as error:
            self.trouble("schedules", error, Outcome.WARNED)
            return None

    def _statements(self, people: Statements) -> list[Statement]:
        found = [waiver.statement(self.platform.platform) for waiver in self.platform.waivers]
        try:
            found += people.given()
        except WatchkeeperError as error:
            self.trouble("statements", error, Outcome.WARNED)
        self.notes += people.unread
        return found

    def _asked(self, people: Statements) -> list[Request]:
        try:
            return people.requests()
        except WatchkeeperError as error:
            self.trouble("statements", error, Outcome.WARNED)
            return []

    def _before(self) -> tuple[Checklist | None, Checklist | None]:
        """Return the list before, and the newest one of an earlier month, where the platform is."""
        before: Checklist | None = None
        month = self.started.astimezone(self.platform.zone).strftime("%Y-%m")
        try:
            store = report_store(self.settings)
            for one in reversed(store.kept(self.platform.platform, FLOW)):
                earlier = one.began.astimezone(self.platform.zone).strftime("%Y-%m") < month
                if one.began >= self.started.replace(microsecond=0) or (before is not None and not earlier):
                    continue
                found = store.read(one.key, Checklist)
                if found is not None and found.environment == self.settings.environment:
                    before = before or found
                    if earlier:
                        return before, found
        except WatchkeeperError as error:
            self.notes.append(self.access.resolver.scrub(f"earlier checklists cannot be read: {error}"))
        return before, None


def unanswered(facts: Facts, since: datetime | None = None) -> list[Control[Any]]:
    """Return the controls that a person is to attest: no machine can tell, and no statement holds for long.

    Args:
        facts: What is known.
        since: When people were asked; what was stated after it is an answer, however soon it lapses.
    """
    alone = replace(facts, statements=(), requests=())
    found = []
    for control in about("platform"):
        mine = [one for one in facts.statements if one.kind == "attestation" and one.control == control.id]
        answered = any(
            one.holds(facts.now) and (one.until - facts.now > REMIND[0] or (since is not None and one.at >= since))
            for one in mine
        )
        if control.attestable and not answered and settle(control, alone).result in (Result.NOT_CHECKED, Result.STALE):
            found.append(control)
    return found


def is_encrypted(manifest: Manifest) -> bool:
    """Return whether a backup is encrypted, lists of hashes aside, which the next backup reads without any key."""
    open_parts = {part.name for part in manifest.parts if part.encryption == "none"}
    return bool(manifest.recipients) and open_parts <= _LISTS
