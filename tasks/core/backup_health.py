"""How a system's backups are, measured from what its vaults hold: age, size, counts, runs and copies that are missing.

Pure, and it judges nothing: each measurement is held against a limit as any other, `backup.limits` of the spec or the
default of the catalog.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from tasks.core.backup_catalog import BACKUPS
from tasks.core.manifest import Manifest
from tasks.core.results import Measurement
from tasks.core.units import format_duration

_FEW, _MANY = 3, 10
_SAME_RUN = timedelta(minutes=10)
_WEEK = timedelta(days=7)
_UNENDED = timedelta(days=1)


class Holding(NamedTuple):
    """What one vault holds of one system.

    Attributes:
        vault: Its name.
        manifests: Of complete backups, as far as they were read, in any order.
        begun: When what is not complete was begun.
        verified: Ids of those that count as verified.
    """

    vault: str
    manifests: Sequence[Manifest]
    begun: Sequence[datetime] = ()
    verified: frozenset[str] = frozenset()


def measure_backups(
    holdings: Sequence[Holding], methods: Sequence[str], now: datetime, *, live: float | None = None
) -> Iterator[Measurement]:
    """Measure a system's backups.

    Args:
        holdings: What each of its vaults holds, the first one first; those that could not be looked at are left out.
        methods: The ways in which it is taken.
        now: Aware.
        live: Size of the live system, in bytes, where it is measured as its backups do.
    """
    for method in methods:
        known = {manifest.id: manifest for one in holdings for manifest in one.manifests if manifest.method == method}
        history = sorted(known.values(), key=lambda manifest: manifest.consistent_as_of)
        yield BACKUPS.read("backup_exists", bool(history), at=now, subject=method)
        if history:
            yield from _of_method(method, history, holdings, now)
            seen = history[-1].source_bytes
            if live is not None and seen:
                yield BACKUPS.read("live_shrinkage", max(1 - live / seen, 0.0), at=now, subject=method)
    yield from _of_vaults(holdings, now)


def _of_method(
    method: str, history: Sequence[Manifest], holdings: Sequence[Holding], now: datetime
) -> Iterator[Measurement]:
    newest = history[-1]
    where = ", ".join(one.vault for one in holdings if any(newest.id == manifest.id for manifest in one.manifests))
    yield BACKUPS.read("backup_age", _age(newest, now), at=now, subject=method, note=f"{newest.id} in {where}")
    verified = {name for one in holdings for name in one.verified}
    proven = next((manifest for manifest in reversed(history) if manifest.id in verified), None)
    note = f"{proven.id} is the newest that was restored and compared" if proven else "none was restored and compared"
    yield BACKUPS.read("verified_backup_age", _age(proven or history[0], now), at=now, subject=method, note=note)
    yield from _sizes(method, [manifest for manifest in history if not manifest.parents], now)
    yield from _missed(method, [manifest.started for manifest in history], now)


def _sizes(method: str, whole: Sequence[Manifest], now: datetime) -> Iterator[Measurement]:
    """Set the newest whole backup against those before it; a few must be known, as the first ones tell nothing."""
    if len(whole) >= _FEW and (usual := statistics.median(one.plain_bytes for one in whole[-_MANY - 1 : -1])):
        change = whole[-1].plain_bytes / usual - 1
        yield BACKUPS.read("backup_shrinkage", max(-change, 0.0), at=now, subject=method)
        yield BACKUPS.read("backup_growth", max(change, 0.0), at=now, subject=method)
    if len(whole) > 1:
        before, newest = whole[-2].counts, whole[-1].counts
        if total := sum(before.values()):
            lost = {name: count - newest.get(name, 0) for name, count in before.items() if newest.get(name, 0) < count}
            worst = max(lost, key=lambda name: lost[name], default="")
            note = f"{worst}: {before[worst]:,} before, {newest.get(worst, 0):,} now" if worst else ""
            share = max(1 - sum(newest.values()) / total, 0.0)
            yield BACKUPS.read("backup_counts_lost", share, at=now, subject=method, note=note)


def _missed(method: str, started: Sequence[datetime], now: datetime) -> Iterator[Measurement]:
    """Count the runs that the usual time between two says are missing; those close together are one."""
    runs: list[datetime] = []
    for at in sorted(started):
        if not runs or at - runs[-1] > _SAME_RUN:
            runs.append(at)
    if len(runs) <= _FEW:
        return
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(runs)]
    usual = statistics.median(gaps[-_MANY * 2 :])
    recent = [at for at in runs if at > now - _WEEK]
    since = [*([runs[-len(recent) - 1]] if len(runs) > len(recent) else []), *recent]
    missed = sum(max(round((b - a).total_seconds() / usual) - 1, 0) for a, b in pairwise(since))
    missed += max(int((now - runs[-1]).total_seconds() / usual - 0.5), 0)
    yield BACKUPS.read(
        "missed_backups", missed, at=now, subject=method, note=f"usual is one each {format_duration(round(usual))}"
    )


def _of_vaults(holdings: Sequence[Holding], now: datetime) -> Iterator[Measurement]:
    for number, holding in enumerate(holdings):
        if number and holdings[0].manifests:
            lag = _newest(holdings[0]) - _newest(holding) if holding.manifests else now - _oldest(holdings[0])
            note = "" if holding.manifests else "it has none"
            seconds = max(lag.total_seconds(), 0.0)
            yield BACKUPS.read("backup_copy_lag", seconds, at=now, subject=holding.vault, note=note)
        old = [at for at in holding.begun if now - at > _UNENDED]
        yield BACKUPS.read("incomplete_backups", len(old), at=now, subject=holding.vault)


def _newest(holding: Holding) -> datetime:
    return max(manifest.consistent_as_of for manifest in holding.manifests)


def _oldest(holding: Holding) -> datetime:
    return min(manifest.started for manifest in holding.manifests)


def _age(manifest: Manifest, now: datetime) -> float:
    return max((now - manifest.consistent_as_of).total_seconds(), 0.0)
