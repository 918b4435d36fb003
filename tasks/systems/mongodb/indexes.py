"""Tells from MongoDB's $indexStats which indexes nobody uses. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_NAMED = 5


@dataclass(frozen=True)
class Use:
    """What an index has done on the member that was asked.

    Attributes:
        name: `collection.index`.
        times: Operations of clients that used it.
        since: Since when the member counts; it begins anew when it starts. None where it does not say.
        needed: Whether it does its work unasked: it keeps values unique, or deletes what has expired.
    """

    name: str
    times: int
    since: datetime | None
    needed: bool


def use_of(collection: str, document: dict[str, Any]) -> Use:
    """Read one document of $indexStats."""
    accesses, spec = document.get("accesses", {}), document.get("spec", {})
    unasked = document["name"] == "_id_" or spec.get("unique") or "expireAfterSeconds" in spec
    return Use(
        f"{collection}.{document['name']}", int(accesses.get("ops", 0)), accesses.get("since"), needed=bool(unasked)
    )


def unused(uses: Iterable[Use], *, now: datetime, after: timedelta) -> list[Use]:
    """Return the indexes that nobody has used for so long as they were counted, and that for at least `after`."""
    idle = [use for use in uses if not use.needed and not use.times]
    return sorted((u for u in idle if u.since is not None and now - u.since >= after), key=lambda use: use.name)


def counted_since(uses: Iterable[Use]) -> datetime | None:
    """Return since when uses are counted, or None where the server does not say so of any index."""
    return min((use.since for use in uses if use.since is not None), default=None)


def named(uses: list[Use]) -> str:
    """Name the first few."""
    more = f" and {len(uses) - _NAMED} more" if len(uses) > _NAMED else ""
    return ", ".join(use.name for use in uses[:_NAMED]) + more
