"""One run of retention over a platform's vaults: the plan first, then the removals. Without Prefect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from tasks import platforms
from tasks.archive_looks import has_archive, trim_archive
from tasks.backing_up import version_of_watchkeeper
from tasks.core.backup_report import FLOW as BACKUP
from tasks.core.backup_report import BackupReport
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.prune_report import FLOW, Decided, PruneReport, VaultPlan, fingerprint
from tasks.core.results import Outcome
from tasks.core.retention import Decision
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.inspections import report_store
from tasks.runs import Run
from tasks.vault.opening import open_platform_vault
from tasks.vault.pruning import Prospect, Pruned, carry_out, foresee
from tasks.vault.vault import Vault

_LOOK_BACK = 20
NOW = "now"
"""Approves the plan whatever it is; else its fingerprint does."""


class PruneRun(Run):
    """What is planned in which vaults.

    Attributes:
        approve: The fingerprint of the plan that a person approved, `now` for whatever it is, or nothing.
    """

    def __init__(self, platform: PlatformSpec, access: Access, settings: Settings, *, approve: str = "") -> None:
        super().__init__(platform, access, settings)
        self.approve = approve
        self._prospects: dict[str, Prospect] = {}
        self._plans: dict[str, VaultPlan] = {}

    @classmethod
    def open(cls, name: str, settings: Settings, *, approve: str = "") -> PruneRun:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, it has no vaults, or the lab is not up.
        """
        platform = platforms.load(name, settings)
        if not platform.vaults:
            raise ConfigError(f"{platform.platform} has no `vaults`", hint="docs/backup.md shows some")
        return cls(platform, platforms.access(settings), settings, approve=approve)

    def foresee(self) -> None:
        """Plan every vault; what cannot be planned is told, and nothing of that vault is removed."""
        failed = tuple(self._failed())
        for name in self.platform.vaults:
            try:
                prospect = self._foresee(name, failed)
            except WatchkeeperError as error:
                self._plans[name] = VaultPlan(vault=name, error=self._said(error))
            else:
                self._prospects[name] = prospect
                self._plans[name] = _planned(name, prospect)

    @property
    def fingerprint(self) -> str:
        """What a person approves."""
        return fingerprint({name: plan.fingerprint for name, plan in self._plans.items()})

    @property
    def is_approved(self) -> bool:
        """Whether a person approved this very plan, so that more than the cap may go."""
        return self.approve in (NOW, self.fingerprint)

    def carry_out(self) -> None:
        """Remove what the plans say; a group beyond the cap only where a person approved this very plan."""
        if self.approve and not self.is_approved:
            self.notes.append(f"{self.approve} was approved, and the plan is {self.fingerprint} now: look at it again")
        failed, approved = tuple(self._failed()), self.is_approved
        for name, prospect in self._prospects.items():
            try:
                pruned = carry_out(
                    self._vault(name),
                    prospect,
                    lambda name=name: self._foresee(name, failed),  # type: ignore[misc]
                    approved=approved,
                )
            except WatchkeeperError as error:
                self._plans[name] = self._plans[name].model_copy(update={"error": self._said(error)})
            else:
                plan = self._became(self._plans[name], pruned)
                self._plans[name] = plan.model_copy(update=self._trimmed(name, plan))

    def _trimmed(self, name: str, plan: VaultPlan) -> dict[str, dict[str, Any]]:
        """Remove log that no kept copy needs, of systems with nothing to look at; return what became of it."""
        waits = {group.partition("/")[0] for group in plan.held_back} | {one.partition(":")[0] for one in plan.troubles}
        gone: dict[str, int] = {}
        failed = dict(plan.failed)
        for system, spec in self.platform.protected.items():
            wanted = spec.backup is not None and name in spec.backup.to and has_archive(spec.backup)
            if not wanted or system in waits:
                continue
            try:
                if names := trim_archive(self._vault(name), self.platform.platform, system):
                    gone[system] = len(names)
            except WatchkeeperError as error:
                failed[f"{self.platform.platform}/{system}/wal"] = self._said(error)
        return {"log_removed": gone, "failed": failed}

    def stopped(self, error: Exception) -> None:
        """Say of every vault that its plan was not made, or not carried out."""
        said = self.access.resolver.scrub(str(error))
        for name in self.platform.vaults:
            plan = self._plans.get(name, VaultPlan(vault=name))
            self._plans[name] = plan.model_copy(update={"error": plan.error or said})

    def report(self, *, applied: bool, scheduled: datetime | None = None, run_url: str | None = None) -> PruneReport:
        """Put the report together."""
        return PruneReport(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            applied=applied,
            approved=self.approve,
            vaults=tuple(self._plans.values()),
            notes=tuple(self.notes),
        )

    def _vault(self, name: str) -> Vault:
        access = self.access
        return open_platform_vault(
            self.platform,
            name,
            access.resolver,
            now=access.now,
            version=version_of_watchkeeper(),
            ca_bundle=access.ca_bundle,
        )

    def _foresee(self, name: str, failed: Sequence[str]) -> Prospect:
        policy = self.platform.vaults[name].keep
        return foresee(self._vault(name), self.platform.platform, policy, zone=self.platform.zone, failed=failed)

    def _failed(self) -> Iterator[str]:
        """Yield the systems and groups whose last backup failed, as far as the kept reports tell."""
        seen: set[str] = set()
        try:
            store = report_store(self.settings)
            kept = store.kept(self.platform.platform, BACKUP)
        except WatchkeeperError as error:
            self.trouble("earlier backups cannot be looked at", error, Outcome.WARNED)
            return
        for one in reversed(kept[-_LOOK_BACK:]):
            report = store.read(one.key, BackupReport)
            if report is None or report.environment != self.settings.environment:
                continue
            groups = {(f"{b.system}/{b.method}", False) for b in report.backups}
            groups |= {(f"{f.system}/{f.method}" if f.method else f.system, True) for f in report.failed if not f.id}
            yield from sorted(group for group, broken in groups if broken and group not in seen)
            seen |= {group for group, _ in groups}

    def _became(self, plan: VaultPlan, pruned: Pruned) -> VaultPlan:
        scrub = self.access.resolver.scrub
        became = {
            "removed": pruned.removed,
            "finished": pruned.finished,
            "failed": {name: scrub(why) for name, why in pruned.failed.items()},
            "held_back": dict(pruned.held_back),
        }
        return plan.model_copy(update=became)

    def _said(self, error: WatchkeeperError) -> str:
        return self.access.resolver.scrub(str(error))


def _planned(name: str, prospect: Prospect) -> VaultPlan:
    def decided(one: Decision) -> Decided:
        size = prospect.sizes.get(one.id, 0)
        return Decided(id=one.id, group=prospect.copies[one.id].group, reasons=one.reasons, stored_bytes=size)

    return VaultPlan(
        vault=name,
        fingerprint=prospect.fingerprint,
        keep=tuple(map(decided, prospect.plan.keep)),
        remove=tuple(map(decided, prospect.plan.remove)),
        beyond=dict(prospect.plan.beyond),
        troubles=tuple(f"{trouble.system}: {trouble.what}" for trouble in prospect.troubles),
    )
