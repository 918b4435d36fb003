"""Checks an RDB, and holds a restored copy against what the backup told and what the spec asks for."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from tasks.core.errors import Garbled, WatchkeeperError
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.systems.redis.backup import PART
from tasks.systems.redis.connection import connected, selected
from tasks.systems.redis.counting import keys_by_database
from tasks.systems.redis.rdb import Check
from tasks.systems.redis.spec import KeysCheck, Spec
from tasks.systems.redis.values import checksum, digest

_AT_ONCE = 1000


def parse(source: Source) -> Iterator[Assertion]:
    """See that the RDB begins and ends as one, and that its checksum is right. See `tasks.core.restore.Parse`."""
    check, wrong, has_checksum = Check(), "", False
    for chunk in source.read(PART):
        try:
            check.take(chunk)
        except Garbled as error:
            wrong = wrong or error.message
    try:
        has_checksum = check.finish()
    except Garbled as error:
        wrong = wrong or error.message
    note = "" if has_checksum or wrong else "the server kept no checksum in it"
    observed = wrong or f"{check.size} bytes that begin and end as one"
    yield _told(PART, observed, expected="an RDB", ok=not wrong, note=note, level=2)


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold the number of keys by database to what the backup told, then the spec's own checks."""
    try:
        with connected(restored.address) as client:
            yield from _counts(client, source, restored)
            yield from _values(client, source, restored)
            for check in spec.verify:
                yield _matching(client, check)
    except WatchkeeperError as error:
        yield Assertion(name="the restored server", level=3, outcome=Outcome.ERRORED, note=str(error))


def spoil(spec: Spec, restored: Restored) -> str:  # noqa: ARG001 - the interface's
    """Remove every key of the first database that has any, as a half restore would."""
    with connected(restored.address) as client:
        for name in keys_by_database(client):
            database = name.removeprefix("keys/")
            with selected(client, int(database.removeprefix("db"))) as one:
                one.flushdb()
            return f"removed every key of {database}"
    return ""


def _counts(client: redis.Redis, source: Source, restored: Restored) -> Iterator[Assertion]:
    details, now = source.manifest.details, keys_by_database(client)
    slack = 0 if details.get("counts_are_exact") else int(details.get("changes", 0))
    note = f"up to {slack} changes were made while it was taken" if slack else ""
    if restored.details.get("only"):
        wanted, slack, note = restored.counts, 0, "of what was asked for"
    else:
        wanted = source.manifest.counts
    if (expired := restored.details.get("expired")) is not None:
        expected, observed = sum(wanted.values()), sum(now.values()) + expired
        note = f"the time of {expired} was up"
        yield _told("keys", str(observed), expected=str(expected), ok=abs(observed - expected) <= slack, note=note)
        return
    for name in sorted(wanted | now):
        count, there = wanted.get(name, 0), now.get(name, 0)
        yield _told(name, str(there), expected=str(count), ok=abs(there - count) <= slack, note=note)


def _values(client: redis.Redis, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold what the keys hold to what was recorded when they were taken, or else to what was loaded."""
    recorded, details = source.manifest.details.get("values"), restored.details
    if details.get("only"):
        recorded = None
    if (expected := recorded or details.get("values")) is not None:
        note = "as recorded when it was taken" if recorded else "as the scratch server had loaded them"
        now = checksum(client)
        yield _told(
            "checksum of what lasting keys hold", now[:12], expected=expected[:12], ok=now == expected, note=note
        )
    if (loaded := details.get("digest")) is not None:
        now = digest(client)
        note = "" if recorded else "as they were loaded: others wrote while it was taken, so none is recorded"
        yield _told("digest of all keys", now[:12], expected=loaded[:12], ok=now == loaded, note=note)


def _matching(client: redis.Redis, check: KeysCheck) -> Assertion:
    """Count the keys that fit a glob, in all databases, until there are enough."""
    found = 0
    for name in keys_by_database(client):
        if found >= check.at_least:
            break
        found += _found(client, int(name.removeprefix("keys/db")), check)
    enough = found >= check.at_least
    observed = f"at least {found}" if enough else str(found)
    return _told(f"keys {check.keys}", observed, expected=f"at least {check.at_least}", ok=enough)


def _found(client: redis.Redis, database: int, check: KeysCheck) -> int:
    found = 0
    with selected(client, database) as one:
        for _ in one.scan_iter(match=check.keys, count=_AT_ONCE):
            found += 1
            if found >= check.at_least:
                break
    return found


def _told(name: str, observed: str, *, expected: str, ok: bool, note: str = "", level: int = 3) -> Assertion:
    outcome = Outcome.PASSED if ok else Outcome.FAILED
    return Assertion(name=name, level=level, outcome=outcome, expected=expected, observed=observed, note=note)
