"""The cost of being wrong: what follows if the early or the late end of an interval is what comes true."""

from __future__ import annotations

from datetime import datetime, timedelta

from tasks.core.advice.model import Wrong
from tasks.core.capacity import Outlook, Reached
from tasks.core.units import format_duration

_DAY = timedelta(days=1)


def cost_of_being_wrong(outlook: Outlook, lead: timedelta, now: datetime) -> Wrong | None:
    """Say what the two ends of an interval mean for whoever must act; None where no bound is in sight.

    Args:
        outlook: One measurement looked ahead.
        lead: How long it takes from the decision until there is more room.
        now: The time.
    """
    reached = outlook.pressing
    if reached is None or (reached.early is None and reached.state != "already"):
        return None
    if reached.state == "already":
        words = f"it is beyond {reached.limit} already, and stays so for the {_days(lead)} that more room takes"
        return Wrong(
            key=outlook.key,
            limit=reached.limit,
            critical=reached.critical,
            act_by=now,
            overdue=True,
            early=words,
            late="",
        )
    early = reached.early or now
    act_by = early - lead
    return Wrong(
        key=outlook.key,
        limit=reached.limit,
        critical=reached.critical,
        act_by=act_by,
        overdue=act_by < now,
        early=_early(reached, early, act_by, lead, now),
        late=_late(reached, act_by, lead, now),
    )


def _early(reached: Reached, early: datetime, act_by: datetime, lead: timedelta, now: datetime) -> str:
    bound = f"{reached.limit} is reached on {_day(early)}"
    if act_by < now:
        late = _days(now + lead - early)
        return f"{bound}: what is begun today, and takes {_days(lead)}, comes {late} too late"
    return f"{bound}: it is enough to begin by {_day(act_by)}"


def _late(reached: Reached, act_by: datetime, lead: timedelta, now: datetime) -> str:
    if reached.late is None:
        return "it may not come within the horizon at all: what was bought for it stands idle"
    idle = reached.late - max(act_by, now) - lead
    if idle <= _DAY:
        return f"{reached.limit} is reached on {_day(reached.late)}: to act for the early end costs next to nothing"
    return (
        f"{reached.limit} is reached on {_day(reached.late)}: who acted for the early end has paid for "
        f"{_days(idle)} of room that nobody needed"
    )


def _days(span: timedelta) -> str:
    days = max(span / _DAY, 0.0)
    return f"{days:.0f} days" if days >= 2 else format_duration(max(span.total_seconds(), 0.0))  # noqa: PLR2004


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"
