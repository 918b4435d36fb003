"""Looking over the vaults for the health check: how the backups of each system are. Without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
    found: Sequence[SystemReport],
    platform: PlatformSpec,
    access: Access,
    previous: Report | None = None,
    *,
    is_lab: bool = False,
) -> list[SystemReport]:
    """Return the reports of systems with what is to be said of the backups of those that have any.

    Args:
        found: What was seen of each system itself.
        platform: The spec.
        access: What opens its vaults.
        previous: The report before, for since when a problem has lasted.
        is_lab: Whether the embedded lab is looked at: that it has no backups yet is no failure.
    """

    async def one(report: SystemReport) -> SystemReport:
        if report.name not in platform.protected:
            return report
        began = perf_counter()
        try:
            async with asyncio.timeout(_SECONDS):
                live = live_size(report)
                readings = await in_thread(look, platform, report.name, access, live=live, is_lab=is_lab)
        except TimeoutError:
            readings = [Gap(outcome=Outcome.ERRORED, name="backup_age", reason=f"no answer within {_SECONDS:g} s")]
        return _joined(report, readings, platform, access, previous, perf_counter() - began)

    return list(await asyncio.gather(*map(one, found)))


def live_size(report: SystemReport) -> float | None:
    """Return how large a system is now, of the kinds that measure it as their backups do, or None."""
    name = _LIVE.get(report.kind)
    sizes = (reading.value for reading in report.measurements if reading.name == name and not reading.subject)
    return next((float(size) for size in sizes if not isinstance(size, str)), None)


def look(
    platform: PlatformSpec, system: str, access: Access, *, live: float | None = None, is_lab: bool = False
) -> list[Reading]:
    """Measure the backups of one system; a vault that cannot be looked at is told, and the others are looked at."""
    plan = platform.protected[system].backup
    assert plan is not None  # noqa: S101 - it is protected
    holdings: list[Holding] = []
    gaps: list[Reading] = []
    for name in plan.to:
        try:
            vault = _opened(platform, name, access)
            holding = _holding(vault, platform.platform, system, plan)
            holdings.append(holding)
            if has_archive(plan):
                gaps += measure_archive(vault, platform.platform, system, holding.manifests, access.now())
        except WatchkeeperError as error:
            reason, hint = access.resolver.scrub(error.message), access.resolver.scrub(error.hint or "")
            gaps.append(
                Gap(
                    outcome=Outcome.ERRORED,
                    name="backup_age",
                    subject=name,
                    reason=f"vault {name}: {reason}",
                    hint=hint,
                )
            )
    if is_lab and holdings and not any(one.manifests for one in holdings):
        return [*gaps, Gap(outcome=Outcome.NOT_CHECKED, name="backup_age", reason=NEVER_IN_THE_LAB)]
    if not holdings:
        return gaps
    return [*gaps, *measure_backups(holdings, plan.methods(), access.now(), live=live)]


def _opened(platform: PlatformSpec, name: str, access: Access) -> Vault:
    return open_platform_vault(
        platform, name, access.resolver, now=access.now, version=version_of_watchkeeper(), ca_bundle=access.ca_bundle
    )


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
    readings: Sequence[Reading],
    platform: PlatformSpec,
    access: Access,
    previous: Report | None,
    seconds: float,
) -> SystemReport:
    before = {finding.key: finding for finding in previous.of(report.name)} if previous is not None else {}
    findings = []
    for reading in readings:
        key = f"{report.name}/{reading.name}" + (f"[{reading.subject}]" if reading.subject else "")
        finding = judge(reading, platform=platform, system=report.name, previous=before.get(key), now=access.now())
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
