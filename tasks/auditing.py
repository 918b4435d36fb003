"""Fetches what the controls judge beside health checks: how systems are guarded, what logs tell, how old data is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tasks.core.audit import Attacks, Audited, Oldest, Part, Place, Rows, Secret, Told
from tasks.core.compliance_plan import Kept
from tasks.core.errors import ConfigError, PermanentError, WatchkeeperError
from tasks.core.logscan.addresses import Proxies
from tasks.core.logscan.scan import Limits, Scan
from tasks.core.logscan.traffic import Traffic
from tasks.core.moments import moment
from tasks.core.platform import PlatformSpec
from tasks.core.references import Reference, references_in
from tasks.core.steps import Step, filling
from tasks.core.system import Access, SystemSpec
from tasks.core.vaults import FolderVault, S3Vault
from tasks.proving import take
from tasks.systems import kinds

_AT_ONCE = 8
_SECONDS = 90.0
Entries = list[tuple[str, str, datetime]]


async def told(platform: PlatformSpec, access: Access, entries: Entries, unread: dict[str, str]) -> Told:
    """Ask every system; what one cannot tell is said in its place, and the others go on.

    Args:
        platform: The spec.
        access: What reaches its systems.
        entries: Every backup there is.
        unread: Why vaults could not be looked at, by name.
    """
    access = replace(access, systems=dict(platform.systems))
    plan, slots = platform.compliance, asyncio.Semaphore(_AT_ONCE)

    async def audit(name: str, spec: SystemSpec) -> Audited:
        async with slots:
            return await _audited(name, spec, platform, access)

    audited = [audit(name, spec) for name, spec in platform.systems.items() if kinds()[spec.kind].can("audit")]
    of_vaults = [audit(f"vault {name}", spec) for name, spec in _buckets(platform)]
    audits, vaults, attacks = await asyncio.gather(
        asyncio.gather(*audited), asyncio.gather(*of_vaults), _attacks(platform, access)
    )
    named = {one.system: one for one in audits}
    return Told(
        audits=named,
        vaults={one.system: one for one in [*vaults, *_folders(platform)]},
        entries=entries,
        oldest=[
            await _oldest(name, kept, platform, named, entries, unread, access) for name, kept in plan.retention.items()
        ],
        files=_files(platform, access),
        attacks=attacks,
        updates=await _rows(plan.updates.ask if plan.updates else None, platform, access),
        incidents=await _rows(plan.incidents.log, platform, access),
        calls=await _rows(plan.incidents.contacts, platform, access),
    )


async def _audited(name: str, spec: SystemSpec, platform: PlatformSpec, access: Access) -> Audited:
    audit = kinds()[spec.kind].audit()
    assert audit is not None  # noqa: S101 - only such kinds are asked
    try:
        async with asyncio.timeout(_SECONDS):
            found = await audit(spec, platform.compliance, access)
    except TimeoutError:
        found = Audited()
        found.missed(Part, PermanentError("it did not answer in time"))
    except WatchkeeperError as error:
        found = Audited()
        found.missed(Part, error)
    found.system, found.kind = name, spec.kind
    found.gaps = {part: access.resolver.scrub(why) for part, why in found.gaps.items()}
    return found


def _buckets(platform: PlatformSpec) -> Iterator[tuple[str, SystemSpec]]:
    """Yield each vault in a bucket as the system that it is."""
    spec = kinds()["s3"].spec
    for name, vault in platform.vaults.items():
        if isinstance(vault, S3Vault):
            given: dict[str, Any] = {
                field: getattr(vault, field) for field in ("bucket", "endpoint", "region", "access_key", "secret_key")
            }
            yield name, spec(**{"kind": "s3", "pages": 1, **given})


def _folders(platform: PlatformSpec) -> Iterator[Audited]:
    for name, vault in platform.vaults.items():
        if isinstance(vault, FolderVault):
            yield Audited(f"vault {name}", places=[Place(f"vault {name}", name=name)])


async def _attacks(platform: PlatformSpec, access: Access) -> Attacks:
    logs = platform.compliance.access_logs
    limits = Limits(logs.failed_logins_of_one, logs.failed_logins, logs.rate_limited)
    traffic, gaps = Traffic(), dict[str, str]()
    scan = Scan(proxies=Proxies(logs.proxies), zone=ZoneInfo("UTC"), limits=limits, traffic=traffic)
    for name in logs.systems:
        spec = platform.systems[name]
        scanning = kinds()[spec.kind].scan()
        try:
            if scanning is None:
                raise ConfigError(f"{name} has no logs that could be scanned")
            async with asyncio.timeout(_SECONDS):
                await scanning(spec, scan, access)
        except TimeoutError:
            gaps[name] = "it could not be read in time"
        except WatchkeeperError as error:
            gaps[name] = access.resolver.scrub(error.message)
    result = scan.result() if any(file.understood for file in scan.files) else None
    if logs.systems and result is None:
        gaps.setdefault(", ".join(logs.systems), "no line of theirs was understood")
    return Attacks(result, traffic.unusual(logs.unusual), traffic.judged, gaps)


async def _oldest(
    name: str,
    kept: Kept,
    platform: PlatformSpec,
    audits: dict[str, Audited],
    entries: Entries,
    unread: dict[str, str],
    access: Access,
) -> Oldest:
    try:
        if kept.vault:
            return _oldest_backup(name, kept.vault, entries, unread)
        if kept.ask is not None:
            answered = await take(kept.ask.filled(filling("", access.now())), "", platform, access)
            return _oldest_row(name, kept.ask, answered.rows)
        if platform.systems[kept.system].kind == "s3":
            return _oldest_object(name, audits[kept.system])
        return _oldest_file(name, platform.systems[kept.system], access)
    except WatchkeeperError as error:
        return Oldest(name, gap=access.resolver.scrub(error.message))


def _oldest_backup(name: str, vault: str, entries: Entries, unread: dict[str, str]) -> Oldest:
    if vault in unread:
        return Oldest(name, gap=unread[vault])
    mine = [(at, one) for where, one, at in entries if where == vault]
    at, one = min(mine, default=(None, ""))
    return Oldest(name, at, f"the backup {one}")


def _oldest_row(name: str, step: Step, rows: Any) -> Oldest:
    values = [value for row in rows for value in row.values() if value is not None and value != ""]
    if not values:
        return Oldest(name, empty_is_fine=False)
    try:
        at = min(value if isinstance(value, datetime) else moment(value) for value in values[:1])
    except ValueError as error:
        raise PermanentError(f"what {step.system or step.command[0]} answers is no time: {error}") from None
    return Oldest(name, at if at.tzinfo else at.replace(tzinfo=UTC), "the oldest row")


def _oldest_object(name: str, audited: Audited) -> Oldest:
    if not audited.buckets:
        return Oldest(name, gap=audited.gaps.get(Part.BUCKETS, "it tells nothing of its objects"))
    bucket = audited.buckets[0]
    if bucket.cut:
        return Oldest(name, gap="not all of its objects could be listed")
    at, key = bucket.oldest or (None, "")
    return Oldest(name, at, key)


def _oldest_file(name: str, spec: Any, access: Access) -> Oldest:
    if spec.inside is not None:
        raise PermanentError("only logs in files can be told of")
    folder = Path(access.resolver.resolve(spec.folder))
    files = [path for pattern in spec.files for path in folder.glob(f"{pattern}*") if path.is_file()]
    if not files:
        raise PermanentError("there is no such file")
    at, path = min((path.stat().st_mtime, path) for path in files)
    return Oldest(name, datetime.fromtimestamp(at, UTC), path.name)


def _files(platform: PlatformSpec, access: Access) -> Audited:
    """Tell when each file with a secret was written last: those that the spec refers to, and those that it names."""
    found = Audited("files")
    referred = [str(reference.file) for _, reference in references_in(platform) if reference.file is not None]
    for given in (*referred, *platform.compliance.rotation.files):
        try:
            place = Path(access.resolver.resolve(given) if isinstance(given, Reference) else given)
            changed = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        except OSError as error:
            found.gaps[Part.SECRETS] = f"{given}: {error.strerror}"
        except WatchkeeperError as error:
            found.gaps[Part.SECRETS] = access.resolver.scrub(error.message)
        else:
            found.secrets.append(Secret(f"file {place.name}", changed, "its last change"))
    return found


async def _rows(step: Step | None, platform: PlatformSpec, access: Access) -> Rows | None:
    if step is None:
        return None
    try:
        return Rows((await take(step.filled(filling("", access.now())), "", platform, access)).rows)
    except WatchkeeperError as error:
        return Rows(gap=access.resolver.scrub(error.message))
