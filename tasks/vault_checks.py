"""One check of a platform's vaults: manifests against storage, both ways, and a share of the bytes. Without Prefect."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from tasks import platforms
from tasks.backing_up import version_of_watchkeeper
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.core.vault_report import FLOW, CheckedVault, Flawed, VaultReport
from tasks.runs import Run
from tasks.vault.checking import check
from tasks.vault.opening import open_platform_vault

RECENT = timedelta(days=1)
"""What was begun within so long may be at work still, and is no flaw."""


class VaultCheck(Run):
    """What is checked, and how much of it is read.

    Attributes:
        read_data: Per cent of the parts whose bytes are read and hashed.
    """

    def __init__(self, platform: PlatformSpec, access: Access, settings: Settings, *, read_data: float = 0.0) -> None:
        super().__init__(platform, access, settings)
        self.read_data = read_data

    @classmethod
    def open(cls, name: str, settings: Settings, *, read_data: float = 0.0) -> VaultCheck:
        """Load a platform.

        Raises:
            ConfigError: The spec is broken, there is no such platform, it has no vaults, or the lab is not up.
        """
        platform = platforms.load(name, settings)
        if not platform.vaults:
            raise ConfigError(f"{platform.platform} has no `vaults`", hint="docs/backup.md shows some")
        return cls(platform, platforms.access(settings), settings, read_data=read_data)

    def look(self, name: str) -> CheckedVault:
        """Check one vault; never raises for what is wrong with it."""
        access, platform = self.access, self.platform.platform
        try:
            vault = open_platform_vault(
                self.platform,
                name,
                access.resolver,
                now=access.now,
                version=version_of_watchkeeper(),
                ca_bundle=access.ca_bundle,
            )
            entries = {entry.folder: entry for entry in vault.entries(platform)}
            seen = check(vault, platform=platform, read_data=self.read_data, choose=secrets.randbelow)
        except WatchkeeperError as error:
            return CheckedVault(vault=name, error=access.resolver.scrub(str(error)))
        flaws = [
            Flawed(folder=flaw.folder, what=access.resolver.scrub(flaw.what), lost=flaw.lost)
            for flaw in seen.flaws
            if flaw.lost
            or flaw.folder not in entries
            or entries[flaw.folder].state != "incomplete"
            or entries[flaw.folder].time < self.started - RECENT
        ]
        return CheckedVault(
            vault=name,
            backups=seen.backups,
            stored_bytes=sum(entry.stored_bytes for entry in entries.values()),
            bytes_read=seen.bytes_read,
            flaws=tuple(flaws),
        )

    def report(
        self, vaults: list[CheckedVault], *, scheduled: datetime | None = None, run_url: str | None = None
    ) -> VaultReport:
        """Put the report together."""
        return VaultReport(
            **self.head(FLOW, scheduled=scheduled, run_url=run_url),
            read_data=self.read_data,
            vaults=tuple(vaults),
            notes=tuple(self.notes),
        )
