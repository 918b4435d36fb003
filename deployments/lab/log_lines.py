"""What the platforms' services write into their logs: usual lines, and those of each trouble."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

EVERY = timedelta(seconds=10)
_SPREAD = timedelta(seconds=5)
_PATHS = ("/health", "/ready", "/metrics", "/v1/items", "/v1/search")


def usual(number: int) -> str:
    """Return one of the lines of an ordinary day."""
    if number % 97 == 0:
        return f"WARN login failed for user visitor{number} from 198.51.100.{number % 250}"
    path = _PATHS[number % len(_PATHS)]
    return (
        f"INFO method=GET path={path} status=200 duration_ms={20 + number % 40} phase2_duration_ms={90 + number % 80}"
    )


def _errors() -> Iterator[str]:
    for number in range(40):
        kind = "UpstreamTimeout" if number % 4 else "ValidationError"
        yield json.dumps({"level": "ERROR", "error_type": kind, "message": f"derive failed: Timeout after {number} s"})


def _brute_force() -> Iterator[str]:
    for number in range(120):
        yield f"WARN login failed for user admin{number % 3} from 203.0.113.9"


def _injection() -> Iterator[str]:
    yield 'INFO method=GET path=/v1/packs?id=1%27 query="1\' OR 1=1 --" status=400 duration_ms=3'
    yield 'INFO method=GET path=/v1/packs query="1 UNION SELECT password FROM users" status=400 duration_ms=2'


def _degraded() -> Iterator[str]:
    for phase in (2, 3):
        yield f"WARN circuit breaker OPEN phase{phase} after 5 failures"
    for number in range(150):
        yield json.dumps({"level": "INFO", "degraded": True, "phase2_duration_ms": 2000 + number})


def _failing_endpoint() -> Iterator[str]:
    for number in range(30):
        yield f"ERROR method=POST path=/signage/common/cabinets/derive status=500 duration_ms={90 + number}"
    yield "ERROR method=GET path=/v1/items status=502 duration_ms=12"


TROUBLES = {
    "failing-endpoint": _failing_endpoint,
    "errors": _errors,
    "brute-force": _brute_force,
    "injection": _injection,
    "degraded": _degraded,
}


def written(troubles: frozenset[str] | set[str], until: datetime) -> list[tuple[datetime, str]]:
    """Return the lines of troubles, all in the minutes before a time, oldest first."""
    texts = list(itertools.chain.from_iterable(TROUBLES[name]() for name in sorted(troubles)))
    begin = until - _SPREAD * len(texts)
    return [(begin + _SPREAD * number, text) for number, text in enumerate(texts)]


def ordinary(since: datetime, until: datetime) -> list[tuple[datetime, str]]:
    """Return the lines of ordinary days, oldest first."""
    return [(since + EVERY * number, usual(number)) for number in range(1, int((until - since) / EVERY) + 1)]
