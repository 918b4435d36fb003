"""Which backups lead to a moment: a dump, and the slices of the oplog that go on from it without a gap. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import Timestamp

from tasks.core.errors import ConfigError
from tasks.core.restore import Order, Source
from tasks.systems.mongodb.oplog import clock, read_position


@dataclass(frozen=True)
class Limit:
    """Up to where the oplog is replayed; all of it where nothing is said."""

    until: datetime | None = None
    position: Timestamp | None = None

    def allows(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether an entry is not after it."""
        if self.position is not None and entry["ts"] > self.position:
            return False
        return self.until is None or moment(entry) <= self.until


def moment(entry: Mapping[str, Any]) -> datetime:
    """Return when an entry was written; aware, UTC."""
    wall = entry.get("wall")
    return wall.replace(tzinfo=UTC) if isinstance(wall, datetime) else clock(entry["ts"])


@dataclass(frozen=True)
class Chain:
    """What is to be read.

    Attributes:
        base: The dump.
        slices: Of the oplog, oldest first.
        limit: Up to where they are replayed.
    """

    base: Source
    slices: tuple[Source, ...] = ()
    limit: Limit = field(default_factory=Limit)

    @property
    def reached(self) -> datetime:
        """The moment that it shows, at the latest."""
        last = (self.slices[-1] if self.slices else self.base).manifest.consistent_as_of
        return min(last, self.limit.until) if self.limit.until else last


def chain_of(source: Source, order: Order) -> Chain:
    """Return what leads to the moment that is asked for.

    Raises:
        ConfigError: No backup reaches it; the message says what is reached.
        Garbled: One that is needed is gone.
    """
    limit = Limit(order.until, read_position(order.position) if order.position is not None else None)
    base, own = source, tuple[Source, ...]()
    if source.manifest.method == "oplog":
        first, *between = source.manifest.parents
        base, own = source.parent(first), (*(source.parent(one) for one in between), source)
    asked = order.until is not None or order.position is not None
    shown = base.manifest.consistent_as_of
    if order.until is not None and order.until < shown:
        raise ConfigError(f"this backup shows {shown:%Y-%m-%d %H:%M:%S} UTC", hint="choose an earlier backup")
    if limit.position is not None and limit.position < _position(base, "oplog"):
        raise ConfigError(f"this backup shows {base.manifest.position['oplog']}", hint="choose an earlier backup")
    if not asked and not order.latest:
        return Chain(base, own)
    slices = _following(base)
    if asked:
        slices = _as_many_as_needed(base, slices, limit)
    return Chain(base, tuple(slices), limit)


def _following(base: Source) -> list[Source]:
    """Return the slices that go on from a dump without a gap."""
    if "from" not in base.manifest.position:
        return []
    reached, found = _position(base, "from"), []
    for one in base.later("oplog"):
        if _position(one, "from") > reached:
            break
        if _position(one, "oplog") >= reached:
            found.append(one)
            reached = _position(one, "oplog")
    return found


def _as_many_as_needed(base: Source, slices: list[Source], limit: Limit) -> list[Source]:
    if limit.until == base.manifest.consistent_as_of or limit.position == _position(base, "oplog"):
        return []
    for count, one in enumerate(slices, start=1):
        if _reaches(one, limit):
            return slices[:count]
    last = (slices[-1] if slices else base).manifest.consistent_as_of
    more = len(base.later("oplog")) > len(slices)
    raise ConfigError(
        f"the backups reach {last:%Y-%m-%d %H:%M:%S} UTC only"
        + (": then a slice of the oplog is missing" if more else ""),
        hint="choose an earlier moment" + (", or a later backup" if more else ""),
    )


def _reaches(one: Source, limit: Limit) -> bool:
    if limit.position is not None:
        return _position(one, "oplog") >= limit.position
    return limit.until is None or one.manifest.consistent_as_of >= limit.until


def _position(source: Source, name: str) -> Timestamp:
    return read_position(source.manifest.position.get(name, ""))
