"""Times as applications write them into JSON, and as people ask for them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tasks.core.errors import ConfigError

_CLOCKS_DIFFER = timedelta(minutes=1)


def at_path(document: object, path: str) -> object:
    """Return what stands at a dotted path of a JSON document: `headers.sent_at`.

    Raises:
        LookupError: There is nothing there.
    """
    found = document
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            raise LookupError(f"nothing stands at {path}")
        found = found[part]
    return found


def moment(written: object) -> datetime:
    """Read a time: seconds since 1970, or ISO 8601 with an offset.

    Raises:
        ValueError: It is none, or does not say in which zone it is.
    """
    try:
        if isinstance(written, str) and not written.replace(".", "", 1).isdecimal():
            time = datetime.fromisoformat(written)
        else:
            time = datetime.fromtimestamp(float(written), UTC)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, OSError):
        raise ValueError("it is no time") from None
    if time.tzinfo is None:
        raise ValueError("it does not say in which zone it is")
    return time


def must_be_a_moment(at: datetime, zone: ZoneInfo, now: datetime) -> None:
    """Refuse a time that is no moment of the past: one without a zone, or one that is still to come.

    Args:
        at: The time that a person asks for.
        zone: The platform's own, in which the person may have thought.
        now: Aware.

    Raises:
        ConfigError: It is none; the hint says which moment, or which two, may have been meant.
    """
    if at.tzinfo is None:
        raise ConfigError(
            f"{at.isoformat(sep=' ')} is ambiguous: it does not say how far it is from UTC", hint=_meant(at, zone)
        )
    if at > now + _CLOCKS_DIFFER:
        raise ConfigError(
            f"{at.isoformat(sep=' ')} is still to come: it is {now.astimezone(at.tzinfo).isoformat(' ', 'seconds')}",
            hint="for the newest that can be had, leave the time out and ask for the latest",
        )


def _meant(at: datetime, zone: ZoneInfo) -> str:
    """Say what a time without an offset is in a zone: one moment, two where clocks are set back, none where ahead."""
    first, second = (at.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at:
        return f"in {zone.key} clocks leave it out on that day: write it with the offset, or in UTC with a Z"
    if first.utcoffset() != second.utcoffset():
        return f"in {zone.key} it comes twice on that day: {first.isoformat()} or {second.isoformat()}"
    return f"in {zone.key} it is {first.isoformat()}; in UTC write {at.isoformat()}Z"
