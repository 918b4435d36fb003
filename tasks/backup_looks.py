"""Looking over the vaults for the health check: how the backups of each system are. Without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import perf_counter

from tasks.archive_looks import has_archive, measure_archive
from tasks.backing_up import version_of_watchkeeper
from tasks.clients.threads import in_thread
from tasks.core.backup_health import Holding, measure_backups
from tasks.core.errors import WatchkeeperError
from tasks.core.judging import judge
from tasks.core.manifest import Manifest
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport
from tasks.core.results import Gap, Measurement, Outcome, Reading
from tasks.core.system import Access, BackupPlan
from tasks.core.verification import is_verified
from tasks.vault.opening import open_platform_vault
from tasks.vault.records import read_verification
from tasks.vault.vault import Entry, Vault

_ENOUGH = 12
"""So many backups of each method are read."""
_MOST = 300
_READERS = 8
_LIVE = {"files": "size", "s3": "size", "redis": "memory"}
_SECONDS = 60.0
NEVER_IN_THE_LAB = "nothing was backed up in this lab yet: watchkeeper backup --lab"


async def with_backups(
    checking: Awaitable[Sequence[SystemReport]],
    systems: Sequence[str],
    platform: PlatformSpec,
    access: Access,
    previous: Report | None = None,
    *,
    is_lab: bool = False,
) -> list[SystemReport]:
    """Look into the vaults while systems are checked, and return their reports with what is to be said of backups.

    Args:
        checking: What is seen of each system itself.
        systems: Those that are checked.
        platform: The spec.
        access: What opens its vaults.
        previous: The report before, for since when a problem has lasted.
        is_lab: Whether the embedded lab is looked at: that it has no backups yet is no failure.
    """
    vaults = Vaults(platform, access)

    async def one(name: str) -> tuple[Seen, float]:
        began = perf_counter()
        try:
            async with asyncio.timeout(_SECONDS):
                seen = await in_thread(look, name, vaults)
        except TimeoutError:
            late = Gap(outcome=Outcome.ERRORED, name="backup_age", reason=f"no answer within {_SECONDS:g} s")
            seen = Seen([], [late])
        return seen, perf_counter() - began

    protected = [name for name in systems if name in platform.protected]
    found, looks = await asyncio.gather(checking, asyncio.gather(*map(one, protected)))
    seen = dict(zip(protected, looks, strict=True))
    return [
        _joined(report, *seen[report.name], platform, access, previous, is_lab=is_lab)
        if report.name in seen
        else report
        for report in found
    ]


def live_size(report: SystemReport) -> float | None:
    """Return how large a system is now, of the kinds that measure it as their backups do, or None."""
    name = _LIVE.get(report.kind)
    sizes = (reading.value for reading in report.measurements if reading.name == name and not reading.subject)
    return next((float(size) for size in sizes if not isinstance(size, str)), None)


class Vaults:
    """The vaults of a platform, each opened once, whoever looks into it.

    Args:
        platform: The spec.
        access: What opens them.
    """

    def __init__(self, platform: PlatformSpec, access: Access) -> None:
        self.platform, self.access = platform, access
        self._opened: dict[str, Vault] = {}
        self._opening = Lock()

    def open(self, name: str) -> Vault:
        """Return a vault by its name.

        Raises:
            ConfigError: It cannot be opened as the spec says.
        """
        with self._opening:
            if name not in self._opened:
                self._opened[name] = open_platform_vault(
                    self.platform,
                    name,
                    self.access.resolver,
                    now=self.access.now,
                    version=version_of_watchkeeper(),
                    ca_bundle=self.access.ca_bundle,
                )
            return self._opened[name]


@dataclass(frozen=True)
class Seen:
    """What lies in the vaults of one system.

    Attributes:
        holdings: What each vault holds that could be looked into.
        readings: What is to be told of vaults that could not, and of the archives.
    """

    holdings: Sequence[Holding]
    readings: Sequence[Reading]


def look(system: str, vaults: Vaults) -> Seen:
    """Look for the backups of one system; of a vault that cannot be looked into, that is told."""
    platform, access = vaults.platform, vaults.access
    plan = _plan(platform, system)
    holdings: list[Holding] = []
    readings: list[Reading] = []
    for name in plan.to:
        try:
            vault = vaults.open(name)
            holding = _holding(vault, platform.platform, system, plan)
            holdings.append(holding)
            if has_archive(plan):
                readings += measure_archive(vault, platform.platform, system, holding.manifests, access.now())
        except WatchkeeperError as error:
            reason, hint = access.resolver.scrub(error.message), access.resolver.scrub(error.hint or "")
            readings.append(
                Gap(
                    outcome=Outcome.ERRORED,
                    name="backup_age",
                    subject=name,
                    reason=f"vault {name}: {reason}",
                    hint=hint,
                )
            )
    return Seen(holdings, readings)


def measured(seen: Seen, plan: BackupPlan, now: datetime, *, live: float | None, is_lab: bool) -> list[Reading]:
    """Measure what was seen.

    Args:
        seen: By `look`.
        plan: Of the system's backups.
        now: The time to compare with.
        live: How large the system is now, where its backups say so too.
        is_lab: Whether no backups at all are nothing to tell.
    """
    if is_lab and seen.holdings and not any(one.manifests for one in seen.holdings):
        return [*seen.readings, Gap(outcome=Outcome.NOT_CHECKED, name="backup_age", reason=NEVER_IN_THE_LAB)]
    if not seen.holdings:
        return list(seen.readings)
    return [*seen.readings, *measure_backups(seen.holdings, plan.methods(), now, live=live)]


def _plan(platform: PlatformSpec, system: str) -> BackupPlan:
    plan = platform.protected[system].backup
    assert plan is not None  # noqa: S101 - it is protected
    return plan


def _holding(vault: Vault, platform: str, system: str, plan: BackupPlan) -> Holding:
    entries = vault.entries(platform, system)
    complete = [entry for entry in entries if entry.state == "complete"]
    manifests = _newest(vault, complete, plan.methods())
    read = {manifest.id for manifest in manifests}
    verified = frozenset(
        entry.id
        for entry in complete
        if entry.id in read
        and is_verified(read_verification(vault, f"{entry.folder}/{record}") for record in entry.verified)
    )
    begun = [entry.time for entry in entries if entry.state == "incomplete"]
    return Holding(vault.name, manifests, begun, verified)


def _newest(vault: Vault, entries: Sequence[Entry], methods: Sequence[str]) -> list[Manifest]:
    """Read manifests, the newest first, until there are enough of each method; a damaged one is the vault check's."""
    found: list[Manifest] = []
    newest = entries[::-1][:_MOST]
    with ThreadPoolExecutor(_READERS) as pool:
        for begin in range(0, len(newest), _ENOUGH):
            found += filter(None, pool.map(lambda entry: _read(vault, entry), newest[begin : begin + _ENOUGH]))
            counts = [sum(manifest.method == method for manifest in found) for method in methods]
            if min(counts, default=0) >= _ENOUGH:
                break
    return found


def _read(vault: Vault, entry: Entry) -> Manifest | None:
    try:
        return vault.get(entry.folder)
    except WatchkeeperError:
        return None


def _joined(
    report: SystemReport,
    seen: Seen,
    seconds: float,
    platform: PlatformSpec,
    access: Access,
    previous: Report | None,
    *,
    is_lab: bool,
) -> SystemReport:
    before = {finding.key: finding for finding in previous.of(report.name)} if previous is not None else {}
    plan, now = _plan(platform, report.name), access.now()
    readings = measured(seen, plan, now, live=live_size(report), is_lab=is_lab)
    findings = []
    for reading in readings:
        key = f"{report.name}/{reading.name}" + (f"[{reading.subject}]" if reading.subject else "")
        finding = judge(reading, platform=platform, system=report.name, previous=before.get(key), now=now)
        findings += [finding] if finding is not None else []
    return report.model_copy(
        update={
            "findings": (*report.findings, *findings),
            "measurements": (
                *report.measurements,
                *(reading for reading in readings if isinstance(reading, Measurement)),
            ),
            "seconds": round(max(report.seconds, seconds), 3),
        }
    )
