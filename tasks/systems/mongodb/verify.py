"""Checks a dump's BSON, and holds a restored copy against what the backup told and what the spec asks for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import bson
from bson import errors as bson_errors

from tasks.core.errors import WatchkeeperError
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.core.units import format_duration
from tasks.systems.mongodb.connection import Blocking, blocking
from tasks.systems.mongodb.layout import OPLOG, NotBson, collections_in, documents, is_metadata, read_metadata
from tasks.systems.mongodb.newest import full_name, newest
from tasks.systems.mongodb.spec import Aggregate, Check, CountCheck, NewestCheck, Spec
from tasks.systems.mongodb.sums import sum_of

_SECONDS = 20.0


def parse(source: Source) -> Iterator[Assertion]:
    """Walk through every document, and read what every collection is made with. See `tasks.core.restore.Parse`."""
    names = [part.name for part in source.manifest.parts]
    counts = source.manifest.counts
    if OPLOG in names:
        yield _walked(source, OPLOG, counts.get("entries"))
    for (database, name), parts in collections_in(names).items():
        for part in parts:
            if is_metadata(part):
                yield _metadata(source, part)
            else:
                yield _walked(source, part, counts.get(f"{database}.{name}"))


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold documents and indexes to what was restored and what the backup told, then the spec's own checks."""
    try:
        with blocking(restored.address, seconds=_SECONDS) as client:
            yield from _collections(client, source, restored)
            for check in spec.verify:
                yield _checked(client, spec, check, source, restored)
    except WatchkeeperError as error:
        yield Assertion(name="the restored server", level=3, outcome=Outcome.ERRORED, note=str(error))


def spoil(spec: Spec, restored: Restored) -> str:  # noqa: ARG001 - the interface's
    """Drop the largest collection, as an older schema would lack it."""
    largest = max(restored.counts, key=lambda space: (restored.counts[space], space), default=None)
    if largest is None:
        return ""
    database, _, name = largest.partition(".")
    with blocking(restored.address, seconds=_SECONDS) as client:
        client[database].drop_collection(name)
    return f"dropped the collection {largest}"


def _walked(source: Source, part: str, told: int | None) -> Assertion:
    count, wrong, chunks = 0, "", source.read(part)
    try:
        for document in documents(chunks):
            bson.decode(document, _LENIENT)
            count += 1
    except (NotBson, bson_errors.BSONError) as error:
        wrong = f"document {count + 1}: {error}"
        for _ in chunks:
            pass
    expected = "documents of BSON" if told is None else f"{told} documents"
    observed = wrong or f"{count} documents"
    return _told(part, observed, expected=expected, ok=not wrong and told in {None, count}, level=2)


_LENIENT: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(
    datetime_conversion=bson.DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="replace"
)


def _metadata(source: Source, part: str) -> Assertion:
    data, wrong = b"".join(source.read(part)), ""
    try:
        read_metadata(data)
    except NotBson as error:
        wrong = error.message
    return _told(part, wrong or "options and indexes", expected="options and indexes", ok=not wrong, level=2)


def _collections(client: Blocking, source: Source, restored: Restored) -> Iterator[Assertion]:
    told, details = source.manifest.counts, restored.details
    as_dumped = not details.get("replayed") and source.manifest.method == "logical"
    for space, expected in sorted(restored.counts.items()):
        database, _, name = space.partition(".")
        wanted = told.get(space, expected) if as_dumped else expected
        there = client[database][name].count_documents({})
        expires = space in details.get("expiring", [])
        ok = there == wanted or (expires and there < wanted)
        note = "the server removes what has expired" if expires and there != wanted else ""
        yield _told(f"documents of {space}", str(there), expected=str(wanted), ok=ok, note=note)
        if there == wanted and not expires and (told_sum := details.get("sums", {}).get(space)) is not None:
            summed = sum_of(client, database, name)
            yield _told(f"checksum of {space}", summed[:12], expected=told_sum[:12], ok=summed == told_sum)
    for space, expected in sorted(details.get("indexes", {}).items()):
        database, _, name = space.partition(".")
        found = len(list(client[database][name].list_indexes()))
        yield _told(f"indexes of {space}", str(found), expected=str(expected), ok=found == expected)
    if as_dumped and not details.get("only"):
        missing = sorted(space for space in told if space not in restored.counts and not space.startswith("admin."))
        if missing:
            yield _told("collections", f"without {', '.join(missing[:5])}", expected="all that were dumped", ok=False)


def _checked(client: Blocking, spec: Spec, check: Check, source: Source, restored: Restored) -> Assertion:
    match check:
        case CountCheck():
            database, _, name = full_name(spec, check.count, restored.counts).partition(".")
            there = client[database][name].count_documents({}, limit=check.at_least) if name else 0
            expected = f"at least {check.at_least}"
            observed = expected if there >= check.at_least else str(there)
            return _told(f"documents of {check.count}", observed, expected=expected, ok=there >= check.at_least)
        case NewestCheck():
            return _new_enough(newest(client, spec, check, restored.counts), check, source, restored)
        case _:
            return _answered(client, spec, check.aggregate, restored)


def _new_enough(found: datetime | None, check: NewestCheck, source: Source, restored: Restored) -> Assertion:
    reached = restored.details.get("reached")
    moment = datetime.fromisoformat(reached) if reached else source.manifest.consistent_as_of
    expected = f"within {format_duration(check.within.total_seconds())} of {moment:%Y-%m-%d %H:%M:%S} UTC"
    if found is None:
        return _told(f"newest {check.newest}", "no date", expected=expected, ok=False)
    observed = f"{found:%Y-%m-%d %H:%M:%S} UTC"
    return _told(f"newest {check.newest}", observed, expected=expected, ok=moment - found <= check.within)


def _answered(client: Blocking, spec: Spec, asked: Aggregate, restored: Restored) -> Assertion:
    database, _, name = full_name(spec, asked.collection, restored.counts).partition(".")
    title = f"aggregation over {asked.collection}"
    first = next(iter(client[database][name].aggregate(list(asked.pipeline))), {}) if name else {}
    rest = [value for key, value in first.items() if key != "_id"]
    answer = first.get("value", rest[0] if len(rest) == 1 else None)
    if asked.equals is not None:
        return _told(title, str(answer), expected=str(asked.equals), ok=answer == asked.equals)
    least = asked.at_least if asked.at_least is not None else 1
    enough = isinstance(answer, int | float) and answer >= least
    return _told(title, str(answer), expected=f"at least {least:g}", ok=enough)


def _told(name: str, observed: str, *, expected: str, ok: bool, note: str = "", level: int = 3) -> Assertion:
    outcome = Outcome.PASSED if ok else Outcome.FAILED
    return Assertion(name=name, level=level, outcome=outcome, expected=expected, observed=observed, note=note)
