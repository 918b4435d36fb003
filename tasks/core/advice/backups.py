"""Backups: how long they take against their window, and what a vault will hold against its room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from tasks.core.advice.model import Advice, Change, Fine, Judged, Replayed, Saving, Unjudged, When
from tasks.core.forecasting.trends import theil_sen
from tasks.core.retention import Copy, Policy, Span, plan
from tasks.core.units import format_bytes, format_duration

_FEWEST = 5
_NEAR = 0.8
_RECENT = 7
_SIMULATED = 4000
"""At most so many backups are imagined."""


@dataclass(frozen=True)
class Taken:
    """One complete backup in a vault.

    Attributes:
        group: System and method: `database/physical`.
        time: When it was begun.
        size: Stored bytes.
        seconds: How long it took; None where that was not read.
        pinned: Whether a person wants it kept.
        parents: Ids of what it is made from.
        id: Unique in the vault.
    """

    group: str
    time: datetime
    size: float
    seconds: float | None = None
    pinned: bool = False
    parents: tuple[str, ...] = ()
    id: str = ""


def advise_window(key: str, taken: Sequence[Taken], window: timedelta | None, hold: timedelta) -> Judged:
    """Say whether one group's backups still fit their window.

    Args:
        key: `database/physical`.
        taken: Its backups.
        window: How long one may take, by the spec; the usual time between two without one.
        hold: How far to look.
    """
    timed = sorted(((one.time, one.seconds) for one in taken if one.seconds is not None), key=lambda pair: pair[0])
    if len(timed) < _FEWEST:
        reason = f"the duration of {len(timed)} backups is known: {_FEWEST} are the least to judge by"
        return Unjudged(key=key, kind="backups", reason=reason)
    gaps = [(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(timed)]
    usual = float(np.median(gaps))
    allowed = window.total_seconds() if window else usual
    lasted = np.array([seconds for _, seconds in timed], dtype=float)
    slope, height = theil_sen(lasted[-120:])
    a_day = slope * 86400 / max(usual, 1.0)
    now, then = max(float(lasted[-_RECENT:].max()), height), height + max(a_day, 0.0) * hold / timedelta(days=1)
    what = "window" if window else "time until the next"
    if max(now, then) <= _NEAR * allowed:
        note = f"{format_duration(now)} of a {what} of {format_duration(allowed)}"
        return Fine(key=key, kind="backups", note=note)
    beyond = float((lasted > allowed).sum())
    return Advice(
        key=key,
        kind="backups",
        when=When.NOW if now > allowed else When.MONTH,
        do="take it by differences or at another time, or give it more bandwidth: it outgrows its window",
        why=f"it takes {format_duration(now)} of a {what} of {format_duration(allowed)}"
        + (f", and {format_duration(then)} in {hold.days} days" if then > now else ""),
        evidence=(
            f"{len(timed)} backups, {format_duration(float(np.median(lasted)))} in the middle",
            f"longer by {format_duration(max(a_day, 0.0))} a day",
        ),
        replay=(Replayed(what="backups longer than that", before=beyond, after=0.0),) if beyond else (),
        risk="two at once slow each other and the server down",
    )


@dataclass(frozen=True)
class Holding:
    """What a vault holds now and later under a policy, in bytes; and what of it would go at once."""

    now: float
    later: float
    freed: float
    kept: int


def holding(
    taken: Sequence[Taken], policy: Policy, now: datetime, hold: timedelta, zone: ZoneInfo | None = None
) -> Holding:
    """Go on as it went: each group as often and growing as before, under the policy. Nothing is removed for real.

    Args:
        taken: All complete backups of the vault.
        policy: What retention keeps.
        now: The time.
        hold: How far ahead.
        zone: In which days are.
    """
    sizes = {_id(one, at): one.size for at, one in enumerate(taken)}
    copies = [_copy(one, at) for at, one in enumerate(taken)]
    today = plan(copies, policy, now=now, zone=zone, cap=1.0)
    kept_now = sum(sizes[one.id] for one in today.keep)
    for copy, size in _imagined(taken, now, hold):
        copies.append(copy)
        sizes[copy.id] = size
    then = plan(copies, policy, now=now + hold, zone=zone, cap=1.0)
    return Holding(
        now=sum(one.size for one in taken),
        later=sum(sizes[one.id] for one in then.keep),
        freed=sum(one.size for one in taken) - kept_now,
        kept=len(today.keep),
    )


def _id(one: Taken, at: int) -> str:
    return one.id or f"{one.group}/{at}"


def _copy(one: Taken, at: int) -> Copy:
    return Copy(_id(one, at), one.time, one.group, pinned=one.pinned, parents=one.parents)


def _imagined(taken: Sequence[Taken], now: datetime, hold: timedelta) -> Iterator[tuple[Copy, float]]:
    """Yield the backups to come, each as if it leaned on no other: what a chain keeps longer is not imagined."""
    groups: dict[str, list[Taken]] = {}
    for one in sorted(taken, key=lambda one: one.time):
        groups.setdefault(one.group, []).append(one)
    most = max(1, _SIMULATED // max(len(groups), 1))
    for group, members in groups.items():
        if len(members) < 2:  # noqa: PLR2004 - one backup has no rhythm
            continue
        gap = float(np.median(np.diff([one.time.timestamp() for one in members])))
        each = np.array([one.size for one in members[-120:]])
        slope, _ = theil_sen(each) if len(each) >= _FEWEST else (0.0, 0.0)
        mean, left = float(each[-_RECENT:].mean()), (now + hold - members[-1].time).total_seconds()
        for at in range(1, min(int(left / max(gap, 60.0)), most) + 1):
            moment = members[-1].time + timedelta(seconds=at * gap)
            yield Copy(f"{group}/to come {at}", moment, group), max(mean + slope * at, 0.0)


def advise_room(
    key: str,
    taken: Sequence[Taken],
    policy: Policy,
    room: float | None,
    now: datetime,
    hold: timedelta,
    zone: ZoneInfo | None = None,
) -> Judged:
    """Say whether a vault will have room.

    Args:
        key: `vault/local`.
        taken: All complete backups in it.
        policy: What retention keeps there.
        room: Bytes that it may hold, by the spec; None where that does not say.
        now: The time.
        hold: How far ahead.
        zone: In which days are.
    """
    if not taken:
        return Unjudged(key=key, kind="backups", reason="there is no complete backup in it")
    held = holding(taken, policy, now, hold, zone)
    told = f"{format_bytes(held.now)} now, {format_bytes(held.later)} in {hold.days} days"
    if room is None:
        return Fine(key=key, kind="backups", note=f"{told}; the spec says no `room` for it")
    if max(held.now - held.freed, held.later) <= _NEAR * room:
        return Fine(key=key, kind="backups", note=f"{told}, of {format_bytes(room)}")
    fitting = longest_fitting(taken, room * _NEAR, now, hold, zone)
    after = held.later if fitting is None else holding(taken, _within(fitting), now, hold, zone).later
    shorter = f"keep {{within: {fitting}d}}, which needs {format_bytes(after)}" if fitting else ""
    return Advice(
        key=key,
        kind="backups",
        when=When.NOW if held.now - held.freed > room else When.MONTH,
        do=f"give it room for {format_bytes(held.later / _NEAR)}" + (f", or {shorter}" if shorter else ""),
        why=f"{told}, of {format_bytes(room)}",
        changes=(Change(what="room", before=format_bytes(room), after=format_bytes(held.later / _NEAR)),),
        evidence=(f"{len(taken)} backups, as often and growing as before, under the vault's own policy",),
        saving=Saving(storage=room - held.later / _NEAR),
        risk="a vault without room takes no backup",
    )


def longest_fitting(
    taken: Sequence[Taken], room: float, now: datetime, hold: timedelta, zone: ZoneInfo | None = None
) -> int | None:
    """Return for how many days, a week at least and a year at most, all can be kept within so much room."""
    low, high = 7, 365
    if holding(taken, _within(low), now, hold, zone).later > room:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        fits = holding(taken, _within(middle), now, hold, zone).later <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _within(days: int) -> Policy:
    return Policy(within=Span(days=days))


def by_group(taken: Sequence[Taken]) -> Mapping[str, list[Taken]]:
    """Return backups by what they belong to."""
    found: dict[str, list[Taken]] = {}
    for one in taken:
        found.setdefault(one.group, []).append(one)
    return found
