"""Times as applications write them into JSON: seconds since 1970, or ISO 8601 with an offset."""

from __future__ import annotations

from datetime import UTC, datetime


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
    """Read a time.

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
