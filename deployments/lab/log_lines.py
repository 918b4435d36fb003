"""What the platforms' services write into their logs: usual lines, and those of each trouble."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

EVERY = timedelta(seconds=10)
_SPREAD = timedelta(seconds=5)
_LONGEST = timedelta(minutes=10)
_FLOOD, _HOARD = 1_300, 1_500
_TIME = "{time}"
_PATHS = ("/health", "/ready", "/metrics", "/v1/items", "/v1/search")


def usual(number: int) -> str:
    """Return one of the lines of an ordinary day."""
    if number % 97 == 0:
        return f"WARN login failed for user visitor{number} from 198.51.100.{number % 250}"
    path = _PATHS[number % len(_PATHS)]
    return (
        f"INFO method=GET path={path} status=200 duration_ms={20 + number % 40} phase2_duration_ms={90 + number % 80}"
    )


def visited(number: int, at: datetime) -> str:
    """Return a line of an access log, of one of five visitors who come at all hours."""
    path = _PATHS[number % len(_PATHS)]
    source, time = f"192.0.2.{10 + number % 5}", at.strftime("%d/%b/%Y:%H:%M:%S %z")
    return f'{source} - - [{time}] "GET {path} HTTP/1.1" 200 {300 + number % 90} "-" "lab/1.0"'


def _errors() -> Iterator[str]:
    for number in range(40):
        kind = "UpstreamTimeout" if number % 4 else "ValidationError"
        yield json.dumps({"level": "ERROR", "error_type": kind, "message": f"derive failed: Timeout after {number} s"})


def _brute_force() -> Iterator[str]:
    for number in range(120):
        yield f"WARN login failed for user admin{number % 3} from 203.0.113.9"
        yield _access("203.0.113.9", "POST /v1/sessions", 401)


def _injection() -> Iterator[str]:
    yield 'INFO method=GET path=/v1/packs?id=1%27 query="1\' OR 1=1 --" status=400 duration_ms=3'
    yield 'INFO method=GET path=/v1/packs query="1 UNION SELECT password FROM users" status=400 duration_ms=2'
    yield _access("203.0.113.66", "GET /v1/packs?id=1%20UNION%20SELECT%20password%20FROM%20users", 400)


def _degraded() -> Iterator[str]:
    for phase in (2, 3):
        yield f"WARN circuit breaker OPEN phase{phase} after 5 failures"
    for number in range(150):
        yield json.dumps({"level": "INFO", "degraded": True, "phase2_duration_ms": 2000 + number})


def _failing_endpoint() -> Iterator[str]:
    for number in range(30):
        yield f"ERROR method=POST path=/signage/common/cabinets/derive status=500 duration_ms={90 + number}"
    yield "ERROR method=GET path=/v1/items status=502 duration_ms=12"


def _flood() -> Iterator[str]:
    for number in range(_FLOOD):
        yield _access("203.0.113.70", f"GET /v1/items?page={number}", 429)


def _hoarding() -> Iterator[str]:
    """One of the visitors of every hour takes far more than usual within the newest one."""
    for number in range(_HOARD):
        yield _access("192.0.2.10", f"GET /v1/items/{number}", 200)


def _access(source: str, request: str, status: int) -> str:
    """Return a line of an access log; its time is filled in by `written`."""
    return f'{source} - - [{_TIME}] "{request} HTTP/1.1" {status} 120 "-" "lab/1.0"'


TROUBLES = {
    "flood": _flood,
    "hoarding": _hoarding,
    "failing-endpoint": _failing_endpoint,
    "errors": _errors,
    "brute-force": _brute_force,
    "injection": _injection,
    "degraded": _degraded,
}


def stamped(at: datetime, text: str) -> str:
    """Return a line as it stands in a file: one of an access log has its own time."""
    return text if _is_access(text) else f"{at.isoformat()} {text}"


def _is_access(text: str) -> bool:
    return text.partition(" ")[2].startswith("- - [")


def written(troubles: frozenset[str] | set[str], until: datetime) -> list[tuple[datetime, str]]:
    """Return the lines of troubles, all in the minutes before a time, oldest first."""
    texts = list(itertools.chain.from_iterable(TROUBLES[name]() for name in sorted(troubles)))
    spread = min(_SPREAD, _LONGEST / max(len(texts), 1))
    times = [until - spread * (len(texts) - number) for number in range(len(texts))]
    hour = until.replace(minute=0, second=0, microsecond=0)  # what is counted by the hour is all in one
    return [
        (at, text.replace(_TIME, max(at, hour).strftime("%d/%b/%Y:%H:%M:%S %z")))
        for at, text in zip(times, texts, strict=True)
    ]


def ordinary(since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Return the lines of ordinary days, oldest first: an application's, and every third one of its access log."""
    times = [(number, since + EVERY * number) for number in range(1, int((until - since) / EVERY) + 1)]
    return [(at, usual(number) if number % 3 else visited(number, at)) for number, at in times]
