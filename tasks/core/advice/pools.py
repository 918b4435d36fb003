"""Connection pools: all that may be opened together, against what the server takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Unjudged, When

_SHARE = 0.9
"""What pools may take of it: a person with psql and a migration need some too."""
_NEAR = 0.7
"""From so much in use on it is urgent."""


@dataclass(frozen=True)
class Pool:
    """The connections that one application may open.

    Attributes:
        name: Of the application.
        size: Connections of one process that stay open.
        overflow: Further ones that it opens under load.
        processes: Of one replica.
        replicas: How many run now; None where that is not known.
        most: How many an autoscaler may make of it.
        of: The workload that tells how many replicas there are: `deployment/api`.
    """

    name: str
    size: int
    overflow: int = 0
    processes: int = 1
    replicas: int | None = None
    most: int | None = None
    of: str = ""

    @property
    def each(self) -> int:
        """Connections of one replica."""
        return (self.size + self.overflow) * self.processes


def advise(key: str, pools: Sequence[Pool], available: int, seen: float) -> Judged | None:
    """Say whether all pools fit the server, at the most replicas that autoscalers may make.

    Args:
        key: `database`.
        pools: By application, as the spec says.
        available: max_connections without what is reserved.
        seen: The most connections that were seen.
    """
    if not pools:
        return None
    blank = [pool.name for pool in pools if pool.replicas is None]
    if blank:
        reason = f"how many replicas of {', '.join(blank)} run: name `of` or `replicas` in the pool"
        return Unjudged(key=f"{key}/pools", kind="pools", reason=reason)
    now, most = _total(pools, highest=False), _total(pools, highest=True)
    room = math.floor(available * _SHARE)
    fits = f"{most} connections of {available} where every pool is full and every autoscaler at its ceiling"
    if most <= room:
        return Fine(key=f"{key}/pools", kind="pools", note=fits)
    sizes = {pool.name: _fitting(pool, room / most) for pool in pools}
    changes = tuple(
        Change(what=f"{pool.name}: pool size", before=_written(pool), after=str(sizes[pool.name]))
        for pool in pools
        if sizes[pool.name] < pool.size + pool.overflow
    )
    after = sum(sizes[pool.name] * pool.processes * (pool.most or pool.replicas or 0) for pool in pools)
    return Advice(
        key=f"{key}/pools",
        kind="pools",
        when=When.NOW if now > available and seen > _NEAR * available else When.MONTH,
        do=_do(changes, after, room, most),
        why=f"the pools may open {most} connections, and the server takes {available}",
        changes=changes if after <= room else (),
        evidence=tuple(_evidence(pools, now, most, seen)),
        risk="a smaller pool makes requests wait: watch its wait time; a larger max_connections costs memory",
        patches=(_pooler(room),) if after > room else (),
    )


def _total(pools: Sequence[Pool], *, highest: bool) -> int:
    return sum(pool.each * max(pool.replicas or 0, (pool.most or 0) if highest else 0) for pool in pools)


def _fitting(pool: Pool, share: float) -> int:
    return max(1, math.floor((pool.size + pool.overflow) * share))


def _written(pool: Pool) -> str:
    return f"{pool.size} + {pool.overflow}" if pool.overflow else str(pool.size)


def _do(changes: Sequence[Change], after: int, room: int, most: int) -> str:
    if after > room or not changes:
        return f"put a pooler such as PgBouncer in front, with {room} connections to the server for {most} from outside"
    told = ", ".join(f"{one.what} {one.before} → {one.after}" for one in changes)
    return f"{told}; or put a pooler in front"


def _evidence(pools: Sequence[Pool], now: int, most: int, seen: float) -> Iterator[str]:
    for pool in pools:
        many = f"{pool.replicas} replicas" + (f", at most {pool.most}" if pool.most else "")
        yield f"{pool.name}: {_written(pool)} for each process, {pool.processes} of them in each of {many}"
    yield f"{now} where all pools are full today, {most} at every ceiling; {seen:g} were seen"


def _pooler(room: int) -> Patch:
    text = f"[pgbouncer]\npool_mode = transaction\nmax_client_conn = 1000\nmax_db_connections = {room}\n"
    return Patch(title="pgbouncer.ini", language="shell", text=text)
