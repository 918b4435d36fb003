"""How much memory a Redis may take: against its peak, what is around it, what it evicts, and what replicas need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tasks.core.advice.amounts import MIB, whole_memory
from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Replayed, Saving, When
from tasks.core.advice.needs import clean, step_of
from tasks.core.units import format_bytes, format_duration

_AFTER_EVICTION = 1.5
_SLACK = 1.6
_FORK = 0.25
"""What a save may copy while it writes, as a share of what is used: pages that change meanwhile."""
_AWAY = 300.0
"""Seconds that a replica may be away and come back without a whole copy."""
_FRAGMENTED = 1.5


@dataclass(frozen=True)
class Redis:
    """What INFO tells of a server.

    Attributes:
        used: used_memory.
        peak: used_memory_peak, since it was started.
        maximum: maxmemory; 0 where none is set.
        policy: maxmemory_policy.
        evicted: evicted_keys since it was started.
        resident: used_memory_rss.
        machine: total_system_memory, or what its container may use; 0 where that is not told.
        saves: Whether it writes an RDB or an append-only file, for which it forks.
        replicas: connected_slaves.
        backlog: repl_backlog_size.
        written: Bytes a second that go to replicas, on average since it was started.
    """

    used: float
    peak: float
    maximum: float
    policy: str
    evicted: float = 0.0
    resident: float = 0.0
    machine: float = 0.0
    saves: bool = False
    replicas: int = 0
    backlog: float = MIB
    written: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """How it is to be set."""

    maximum: float
    backlog: float


def advise(
    key: str, server: Redis, used: pd.Series[float] | None, *, alert: float = 0.8, ahead: float | None = None
) -> Judged:
    """Say what maxmemory should be, and the replication backlog.

    Args:
        key: `cache`.
        server: As it is now.
        used: used_memory over time, where it is known.
        alert: The share of maxmemory at which the spec warns: the peak must stay below it.
        ahead: The most that is expected, at the late end of the interval; None without a forecast.
    """
    history = None if used is None else clean(used)
    seen = max(server.used, server.peak, float(history.max()) if history is not None and len(history) else 0.0)
    wanted = _wanted(server, seen, alert, ahead)
    changes = tuple(_changes(server, wanted))
    warnings = tuple(_warnings(server, wanted))
    if not changes:
        return Fine(key=key, kind="redis", note="; ".join(warnings))
    over = _minutes_over(history, server.maximum * alert), _minutes_over(history, wanted.maximum * alert)
    replayed = history is not None and server.maximum
    return Advice(
        key=key,
        kind="redis",
        when=_when(server, wanted, alert, seen),
        do=", ".join(f"{one.what} {one.before} → {one.after}" for one in changes),
        why=_why(server, wanted, seen, alert, ahead),
        changes=changes,
        evidence=tuple(_evidence(server, seen, ahead)),
        replay=(Replayed(what=f"minutes above {alert:.0%} of maxmemory", before=over[0], after=over[1]),)
        if replayed
        else (),
        saving=Saving(memory=server.maximum - wanted.maximum) if server.maximum else None,
        risk="; ".join((*warnings, *_risk(server, wanted))),
        unknown=tuple(_unknown(server, history)),
        patches=(_patch(server, wanted),),
    )


def _wanted(server: Redis, seen: float, alert: float, ahead: float | None) -> Wanted:
    """Return what is enough; what is larger by little stays. What was evicted was wanted too, nobody knows how much."""
    need = max(seen, ahead or 0.0) / alert
    if server.evicted:
        need = max(need, seen * _AFTER_EVICTION)
    need = whole_memory(need)
    stays = server.maximum and need <= server.maximum <= need * _SLACK
    backlog = whole_memory(server.written * _AWAY) if server.replicas and server.written else 0.0
    return Wanted(server.maximum if stays else need, max(server.backlog, backlog))


def _changes(server: Redis, wanted: Wanted) -> Iterator[Change]:
    if wanted.maximum != server.maximum:
        before = format_bytes(server.maximum) if server.maximum else "none"
        yield Change(what="maxmemory", before=before, after=format_bytes(wanted.maximum))
    if wanted.backlog != server.backlog:
        before, after = format_bytes(server.backlog), format_bytes(wanted.backlog)
        yield Change(what="repl-backlog-size", before=before, after=after)


def _when(server: Redis, wanted: Wanted, alert: float, seen: float) -> When:
    refuses = server.policy == "noeviction" and server.maximum and server.used > alert * server.maximum
    if refuses:
        return When.NOW
    if server.maximum and wanted.maximum < server.maximum:
        return When.LATER
    return When.MONTH if not server.maximum or server.evicted or seen > alert * server.maximum else When.LATER


def _why(server: Redis, wanted: Wanted, seen: float, alert: float, ahead: float | None) -> str:
    if not server.maximum:
        return (
            f"it has no maxmemory: it takes what the machine has, and is killed then; its peak was {format_bytes(seen)}"
        )
    if server.evicted:
        return (
            f"it threw {server.evicted:,.0f} keys away to stay within {format_bytes(server.maximum)} ({server.policy})"
        )
    if wanted.maximum > server.maximum:
        most = max(seen, ahead or 0.0)
        which = "what is forecast" if (ahead or 0.0) > seen else "its peak"
        return f"{which}, {format_bytes(most)}, is above {alert:.0%} of {format_bytes(server.maximum)}"
    if wanted.maximum < server.maximum:
        return f"its peak is {format_bytes(seen)} of {format_bytes(server.maximum)}"
    away = server.backlog / server.written if server.written else 0.0
    return f"a replica that is away for more than {format_duration(away)} needs a whole copy"


def _evidence(server: Redis, seen: float, ahead: float | None) -> Iterator[str]:
    yield f"used {format_bytes(server.used)}, peak {format_bytes(seen)}, policy {server.policy or 'unknown'}"
    if ahead:
        yield f"forecast at most {format_bytes(ahead)}"
    if server.resident and server.used:
        yield f"resident {format_bytes(server.resident)}: {server.resident / server.used:.2f} of what is used"
    if server.evicted:
        yield f"{server.evicted:,.0f} keys evicted since its start"
    if server.replicas:
        rate = format_bytes(server.written)
        yield f"{server.replicas} replicas, backlog {format_bytes(server.backlog)}, {rate} a second written on average"


def _around(server: Redis, maximum: float) -> float:
    """Return what the process may take in all: data, fragmentation, backlog, and what a save copies."""
    fragmented = max(1.0, server.resident / server.used if server.used else 1.0)
    return maximum * (min(fragmented, 2.0) + (_FORK if server.saves else 0.0)) + server.backlog


def _warnings(server: Redis, wanted: Wanted) -> Iterator[str]:
    if server.used > 64 * MIB and server.resident > _FRAGMENTED * server.used:
        yield "it is fragmented: CONFIG SET activedefrag yes, or start it anew"
    around = _around(replace(server, backlog=wanted.backlog), wanted.maximum)
    if server.machine and around > server.machine:
        yield f"in all it may take {format_bytes(around)}, and there are {format_bytes(server.machine)}: give it more"


def _risk(server: Redis, wanted: Wanted) -> Iterator[str]:
    if wanted.maximum < server.maximum:
        yield "what comes once a year may not be in its history"
    if not server.maximum and server.policy in ("", "noeviction"):
        yield "with noeviction it refuses writes when it is full: choose allkeys-lru for a cache"


def _unknown(server: Redis, history: pd.Series[float] | None) -> Iterator[str]:
    if server.evicted:
        yield "how much it would hold if nothing were evicted"
    if history is None or not len(history):
        yield "its history: the peak is that since its start"
    if not server.machine:
        yield "how much memory its machine has"


def _minutes_over(history: pd.Series[float] | None, bound: float) -> float:
    if history is None or not len(history) or not np.isfinite(bound):
        return 0.0
    return round(float((history > bound).sum()) * step_of(history) / 60, 1)


def _patch(server: Redis, wanted: Wanted) -> Patch:
    lines = []
    if wanted.maximum != server.maximum:
        lines.append(f"redis-cli CONFIG SET maxmemory {wanted.maximum:.0f}")
    if wanted.backlog != server.backlog:
        lines.append(f"redis-cli CONFIG SET repl-backlog-size {wanted.backlog:.0f}")
    lines.append("redis-cli CONFIG REWRITE   # where it has a configuration file; else set it where it is started")
    return Patch(title="while it runs", language="shell", text="\n".join(lines) + "\n")
