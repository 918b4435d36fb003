"""Retention: which backups to keep, which to remove, and the reasons of each. Pure; nothing is read or deleted here.

The rules are those that restic's users know. For each of the last n hours, days, weeks (ISO), months or years that have
a backup, the newest of it is kept; while a rule's count is not used up, the oldest backup of all is kept as well. A
backup may serve several rules. `within` rules count back from the newest backup. Each group (a system and a method) is
looked at for itself, and only complete backups count.

Whatever the rules say, it never removes the newest complete backup (nor the newest that is not dated in the future, by
a clock that was ahead), the newest verified one, what a kept one is made
from, what is pinned, locked or being read, or anything of a group whose last backup failed.
"""

from __future__ import annotations

import calendar
import gc
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, repeat
from operator import attrgetter
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tasks.core.errors import ConfigError
from tasks.core.model import Model

UNLIMITED = -1
_UNWANTED = ("no rule keeps it",)
_SPAN = re.compile(r"(?:(\d+)y)?(?:(\d+)m)?(?:(\d+)d)?(?:(\d+)h)?")
_MONTHS = 12


class Span(NamedTuple):
    """A length of time as calendars have it, such as `1y5m7d2h`."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, value: object) -> Span:
        """Read a span.

        Raises:
            ValueError: It is none; the message shows what is.
        """
        if isinstance(value, Span):
            return value
        match = _SPAN.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
        if match is None or not any(match.groups()):
            raise ValueError(
                f"{value!r} is no span: write years, months, days and hours in this order, such as 1y5m7d2h"
            )
        return cls(*(int(part or 0) for part in match.groups()))

    def before(self, moment: datetime) -> datetime:
        """Return the time that lies this far back; the last day of a month that is too short.

        Raises:
            ValueError: No calendar goes back so far.
        """
        months = moment.year * _MONTHS + moment.month - 1 - self.years * _MONTHS - self.months
        year, month = divmod(months, _MONTHS)
        if year < 1:
            return datetime.min.replace(tzinfo=moment.tzinfo) + timedelta(days=1)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        back = timedelta(days=self.days, hours=self.hours)
        there = moment.replace(year=year, month=month + 1, day=day)
        earliest = datetime.min.replace(tzinfo=moment.tzinfo) + timedelta(days=1)
        return there - back if there - earliest > back else earliest

    def __str__(self) -> str:
        return "".join(f"{number}{unit}" for number, unit in zip(self, "ymdh", strict=True) if number) or "0h"

    def __bool__(self) -> bool:
        return any(self)


def _count(value: object) -> object:
    if value == "unlimited":
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).lstrip("-").isdigit():
        raise ValueError(f"{value!r} is no number of backups: write 7, or unlimited")
    if int(value) < UNLIMITED:
        raise ValueError(f"{value!r} is no number of backups: write 7, or unlimited")
    return int(value)


Count = Annotated[
    int,
    BeforeValidator(_count),
    PlainSerializer(lambda count: "unlimited" if count == UNLIMITED else count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}]}),
]
SpanField = Annotated[
    Span,
    BeforeValidator(Span.parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+y)?(\d+m)?(\d+d)?(\d+h)?$", "examples": ["1y5m7d2h", "30d"]}),
]

PERIODS: Mapping[str, Callable[[datetime], int]] = {
    "hourly": lambda at: at.toordinal() * 24 + at.hour,
    "daily": lambda at: at.toordinal(),
    "weekly": lambda at: (at.toordinal() - 1) // 7,
    "monthly": lambda at: at.year * _MONTHS + at.month,
    "yearly": lambda at: at.year,
}
"""Each period with what is the same for all times in one; the first day of the calendar was a Monday."""


class Policy(Model):
    """What is kept. An empty policy would remove everything, and is refused."""

    last: Count = Field(0, description="So many of the newest.")
    hourly: Count = Field(0, description="The newest of each of the last so many hours that have one.")
    daily: Count = Field(0, description="The newest of each of the last so many days that have one.")
    weekly: Count = Field(0, description="The newest of each of the last so many ISO weeks that have one.")
    monthly: Count = Field(0, description="The newest of each of the last so many months that have one.")
    yearly: Count = Field(0, description="The newest of each of the last so many years that have one.")
    within: SpanField = Field(Span(), description="All that are not older than the newest by more, such as `30d`.")
    within_hourly: SpanField = Field(Span(), description="The newest of each hour within.")
    within_daily: SpanField = Field(Span(), description="The newest of each day within.")
    within_weekly: SpanField = Field(Span(), description="The newest of each ISO week within.")
    within_monthly: SpanField = Field(Span(), description="The newest of each month within.")
    within_yearly: SpanField = Field(Span(), description="The newest of each year within.")
    tags: tuple[frozenset[str], ...] = Field((), description="All that have every tag of one of these sets.")

    @property
    def is_empty(self) -> bool:
        """Whether it keeps nothing at all."""
        return not any(getattr(self, name) for name in type(self).model_fields)


@dataclass(frozen=True, slots=True)
class Copy:
    """What retention knows of one backup.

    Attributes:
        id: Unique among all that are looked at.
        time: Aware; when what it holds was as it is.
        group: What it belongs to: a system and a method.
        tags: What people call it.
        complete: Whether its manifest was written; nothing else counts, and nothing else is removed here.
        verified: Whether it was restored and compared.
        pinned: Whether a person wants it kept.
        locked_until: Until when the store does not let it be removed.
        held: Who is reading it just now, if anybody.
        parents: Ids of what it is made from.
    """

    id: str
    time: datetime
    group: str = ""
    tags: frozenset[str] = frozenset()
    complete: bool = True
    verified: bool = False
    pinned: bool = False
    locked_until: datetime | None = None
    held: str = ""
    parents: tuple[str, ...] = ()


class Decision(NamedTuple):
    """What becomes of one backup, and why."""

    id: str
    reasons: tuple[str, ...]


_decision: Callable[[tuple[str, tuple[str, ...]]], Decision] = partial(tuple.__new__, Decision)
"""Makes a decision of a pair in a third of the time; there may be a million."""


@dataclass(frozen=True)
class Plan:
    """What is kept and what is removed, newest first within each group.

    Attributes:
        keep: What stays, each with all its reasons.
        remove: What goes.
        beyond: Groups of which more would go than the cap allows, with the share; a person must approve.
    """

    keep: tuple[Decision, ...] = ()
    remove: tuple[Decision, ...] = ()
    beyond: Mapping[str, float] = field(default_factory=dict)


_Reason = tuple[Copy, str]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector off: a million decisions are no garbage, and it would look at them time and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_uncollected()
def plan(
    copies: Iterable[Copy],
    policy: Policy,
    *,
    now: datetime,
    zone: ZoneInfo | None = None,
    failed: Iterable[str] = (),
    cap: float = 0.3,
) -> Plan:
    """Decide what to keep and what to remove.

    Args:
        copies: All backups that there are, in any order.
        policy: The rules.
        now: Aware time; what is dated later is no measure of how old the others are.
        zone: In which the periods are; each backup's own offset without it.
        failed: Groups whose last backup failed: nothing of them is removed.
        cap: The share of a group's complete backups that may go without a person's approval; a single one always may.

    Raises:
        ConfigError: The policy is empty, or two backups have one id.
    """
    if policy.is_empty:
        raise ConfigError(
            "an empty retention policy would remove every backup", hint="keep at least one: --keep-last 1"
        )
    groups: dict[str, list[Copy]] = {}
    for copy in copies:
        if copy.complete:
            groups.setdefault(copy.group, []).append(copy)
    _refuse_doubles(groups.values())
    left_alone = frozenset(failed)
    reasons: dict[str, list[str]] = {}
    for group, found in groups.items():
        found.sort(key=attrgetter("time", "id"), reverse=True)
        for copy, reason in chain(
            _by_rules(found, policy, now, zone), _by_safety(found, now, left_alone=group in left_alone)
        ):
            reasons.setdefault(copy.id, []).append(reason)
    _by_need(groups.values(), reasons)
    keep: list[Decision] = []
    remove: list[Decision] = []
    beyond: dict[str, float] = {}
    for group, found in groups.items():
        ids = [copy.id for copy in found]
        keep += [Decision(name, tuple(reasons[name])) for name in ids if name in reasons]
        gone = [name for name in ids if name not in reasons]
        remove += map(_decision, zip(gone, repeat(_UNWANTED)))
        if len(gone) > max(1, cap * len(found)):
            beyond[group] = len(gone) / len(found)
    return Plan(tuple(keep), tuple(remove), beyond)


def _refuse_doubles(groups: Collection[Sequence[Copy]]) -> None:
    ids = [copy.id for found in groups for copy in found]
    if len(set(ids)) < len(ids):
        (name, _), *_ = Counter(ids).most_common(1)
        raise ConfigError(f"two backups are called {name!r}", hint="ids are unique over all groups")


def _by_rules(copies: Sequence[Copy], policy: Policy, now: datetime, zone: ZoneInfo | None) -> Iterator[_Reason]:
    newest = next((copy.time for copy in copies if copy.time <= now), copies[-1].time)
    yield from _by_tags(copies, policy.tags)
    yield from ((copy, f"within {policy.within}") for copy in _younger(copies, policy.within, newest))
    last = copies if policy.last == UNLIMITED else copies[: policy.last]
    yield from ((copy, "last backup") for copy in last)
    if not any(getattr(policy, rule) for name in PERIODS for rule in (name, f"within_{name}")):
        return
    local = [copy.time for copy in copies] if zone is None else [copy.time.astimezone(zone) for copy in copies]
    for name, period in PERIODS.items():
        if count := getattr(policy, name):
            for place, is_new in _first_of_each(local, period, count):
                yield copies[place], f"{name} backup" if is_new else f"oldest {name} backup"
        if span := getattr(policy, f"within_{name}"):
            young = len(_younger(copies, span, newest))
            for place, is_new in _first_of_each(local[:young], period, UNLIMITED):
                if is_new:
                    yield copies[place], f"{name} within {span}"


def _by_tags(copies: Sequence[Copy], sets: Iterable[frozenset[str]]) -> Iterator[_Reason]:
    for tags in sets:
        reason = "has no tag" if tags == {""} else f"has the tags {', '.join(sorted(tags))}"
        for copy in copies:
            if tags <= copy.tags or (tags == {""} and not copy.tags):
                yield copy, reason


def _younger(copies: Sequence[Copy], span: Span, newest: datetime) -> Sequence[Copy]:
    """Return those from the front that are within a span of the newest."""
    if not span:
        return ()
    since = span.before(newest)
    low, high = 0, len(copies)
    while low < high:
        middle = (low + high) // 2
        if copies[middle].time > since:
            low = middle + 1
        else:
            high = middle
    return copies[:low]


def _first_of_each(
    times: Sequence[datetime], period: Callable[[datetime], int], count: int
) -> Iterator[tuple[int, bool]]:
    """Yield the place of the first of each period, and of the last of all, while there is count left.

    With each goes whether its period is a new one.
    """
    before: int | None = None
    first = last = len(times) - 1
    for place, this in enumerate(map(period, times)):
        if this != before:
            yield place, True
            before, first = this, place
            count -= 1
            if count == 0:
                return
    if first != last:
        yield last, False


def _by_safety(copies: Sequence[Copy], now: datetime, *, left_alone: bool) -> Iterator[_Reason]:
    yield copies[0], "newest complete backup"
    if copies[0].time > now and (past := next((copy for copy in copies if copy.time <= now), None)):
        yield past, "newest complete backup before now"  # a clock that was ahead must not cost the newest real one
    if verified := next((copy for copy in copies if copy.verified), None):
        yield verified, "newest verified backup"
    for copy in copies:
        if copy.pinned:
            yield copy, "pinned"
        if copy.locked_until is not None and copy.locked_until > now:
            yield copy, f"locked until {copy.locked_until}"
        if copy.held:
            yield copy, f"in use by {copy.held}"
    if left_alone:
        yield from ((copy, "the last backup of its group failed") for copy in copies)


def _by_need(groups: Iterable[Sequence[Copy]], reasons: dict[str, list[str]]) -> None:
    """Keep what kept ones are made from, through others too."""
    made_from = {copy.id: copy.parents for copies in groups for copy in copies if copy.parents}
    if not made_from:
        return
    known = {copy.id for copies in groups for copy in copies}
    waiting = [name for name in reasons if name in made_from]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        for parent in made_from.get(name, ()):
            if parent in known:
                reasons.setdefault(parent, []).append(f"{name} is made from it")
                waiting.append(parent)
