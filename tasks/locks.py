"""Locks over all runs: whoever backs up a system, or removes its backups, does so alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.asyncio import concurrency

from tasks.core.errors import ConfigError
from tasks.core.platform import PlatformSpec


def lock_names(platform: PlatformSpec) -> list[str]:
    """Return the global concurrency limits, one slot each, that keep two from a system's backups at the same time."""
    return [_lock(platform.platform, system) for system in platform.protected]


@asynccontextmanager
async def locked(platform: str, systems: Sequence[str]) -> AsyncIterator[None]:
    """Hold the locks of systems as long as the block lasts; waits for whoever holds one.

    Raises:
        ConfigError: There is no such lock: the deployments were not applied since the system is backed up.
    """
    try:
        async with concurrency(
            [_lock(platform, system) for system in systems], occupy=1, strict=True, raise_on_lease_renewal_failure=False
        ):
            yield
    except ConcurrencySlotAcquisitionError as error:
        raise ConfigError(
            f"the lock of {', '.join(systems)} cannot be had: {error}", hint="apply the deployments: watchkeeper up"
        ) from None


def _lock(platform: str, system: str) -> str:
    return f"backup-{platform}-{system}"
