"""Holds the tars of a backup against its index, and restored objects against both and against the spec."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice

from tasks.core.errors import Garbled, WatchkeeperError
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.core.tars import members
from tasks.core.units import format_duration
from tasks.systems.s3.index import INDEX, Entry, content_hash, entries, part_name
from tasks.systems.s3.places import CONNECTIONS, Folder, Place, open_place
from tasks.systems.s3.selection import Selection, holder, select, shown
from tasks.systems.s3.spec import CountCheck, NewestCheck, Spec

_NAMED = 3
_AT_ONCE = 500
_ALL = 1 << 64


def parse(source: Source) -> Iterator[Assertion]:
    """Walk every tar that this backup needs, its own and those of earlier ones, along with their indexes. Level 2."""
    selection = select(source)
    expected = {name: source.manifest.counts.get(name, 0) for name in ("objects", "bytes")}
    observed = {"objects": selection.objects, "bytes": selection.size}
    yield Assertion(
        name="the index names what the manifest counts",
        level=2,
        outcome=Outcome.PASSED if expected == observed else Outcome.FAILED,
        expected=f"{expected['objects']} objects, {expected['bytes']} bytes",
        observed=f"{observed['objects']} objects, {observed['bytes']} bytes",
    )
    for backup in sorted({backup for backup, _ in selection.members}):
        yield from _holder(source, backup, selection)


def paths(source: Source) -> Iterator[str]:
    """Yield the key of every object that a backup shows: what rows in a database may name."""
    return (entry.key for entry in shown(source))


def _holder(source: Source, backup: str, selection: Selection) -> Iterator[Assertion]:
    """Walk the tars of one backup."""
    where = holder(source, backup)
    hashes: dict[int, dict[int, tuple[int, str]]] = {}
    for entry in _own(where):
        if selection.has(backup, entry.part, entry.number):
            hashes.setdefault(entry.part, {})[entry.number] = entry.size, entry.hash
    for part in sorted(part for held, part in selection.members if held == backup):
        name = f"{part_name(part)} of {where.manifest.id} holds its objects as they were copied"
        wanted = hashes.get(part, {})
        count = selection.count(backup, part)
        try:
            wrong = list(_wrong(where, part, wanted))
        except Garbled as error:
            yield Assertion(name=name, level=2, outcome=Outcome.FAILED, note=error.message)
            continue
        if len(wanted) != count:
            wrong.append(f"its index names {len(wanted)} of the {count} objects")
        yield _told(name, 2, count, wrong)


def _own(source: Source) -> Iterator[Entry]:
    """Yield the entries of what a backup holds itself."""
    return (entry for entry in entries(source.read(INDEX)) if not entry.backup and not entry.is_marker)


def _wrong(source: Source, part: int, wanted: dict[int, tuple[int, str]]) -> Iterator[str]:
    seen = 0
    for member in members(source.read(part_name(part))):
        if member.number not in wanted:
            continue
        seen += 1
        digest, size = content_hash(), 0
        for data in member.chunks():
            digest.update(data)
            size += len(data)
        if (size, digest.hexdigest()) != wanted[member.number]:
            yield f"{member.info.name!a} is another"
    if seen < len(wanted):
        yield f"{len(wanted) - seen} are missing"


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold the restored objects, all or a sample, against what was copied, and against the spec. Level 3."""
    only, until = tuple(restored.details.get("only", ())), restored.details.get("until")
    moment = datetime.fromisoformat(until) if until else None
    plan = spec.backup
    selection = select(source, only, moment)
    yield Assertion(
        name="as many objects as the backup shows",
        level=3,
        outcome=Outcome.PASSED if restored.counts.get("objects") == selection.objects else Outcome.FAILED,
        expected=str(selection.objects),
        observed=str(restored.counts.get("objects")),
    )
    share = _ALL if plan is None or plan.sample is None else plan.sample * _ALL // max(1, selection.objects)
    place = open_place(restored.address)
    try:
        yield from _compared(source, place, selection, share)
    finally:
        place.close()
    for check in plan.verify if plan else ():
        yield _checked(check, source, shown(source, only, moment))


def _compared(source: Source, place: Place, selection: Selection, share: int) -> Iterator[Assertion]:
    wrong: list[str] = []
    count = 0
    with ThreadPoolExecutor(CONNECTIONS, "compare") as pool:
        for backup in sorted({backup for backup, _ in selection.members}):
            wanted = (
                entry
                for entry in _own(holder(source, backup))
                if selection.has(backup, entry.part, entry.number) and _is_drawn(source, entry.key, share)
            )
            while batch := list(islice(wanted, _AT_ONCE)):
                count += len(batch)
                try:
                    wrong += filter(None, pool.map(lambda entry: _lacks(place, entry), batch))
                except WatchkeeperError as error:
                    yield Assertion(
                        name="every object is there as it was", level=3, outcome=Outcome.ERRORED, note=error.message
                    )
                    return
    name = "every object is there as it was" if share >= _ALL else f"a sample of {count} objects is there as it was"
    yield _told(name, 3, count, wrong)


def _is_drawn(source: Source, key: str, share: int) -> bool:
    """Tell whether an object is in the sample, which is another one for each backup."""
    drawn = hashlib.blake2b(key.encode(), digest_size=8, key=source.manifest.id.encode())
    return int.from_bytes(drawn.digest(), "big") < share


def _lacks(place: Place, entry: Entry) -> str:
    body = place.read(entry.key)
    if body is None:
        return f"{entry.key!a} is missing"
    digest = content_hash()
    for data in body:
        digest.update(data)
    return "" if digest.hexdigest() == entry.hash else f"{entry.key!a} is another"


def _told(name: str, level: int, count: int, wrong: list[str]) -> Assertion:
    more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return Assertion(
        name=name,
        level=level,
        outcome=Outcome.FAILED if wrong else Outcome.PASSED,
        expected=f"{count} objects",
        observed=f"{len(wrong)} wrong" if wrong else f"all {count}",
        note="; ".join(wrong[:_NAMED]) + more,
    )


def _checked(check: CountCheck | NewestCheck, source: Source, there: Iterable[Entry]) -> Assertion:
    if isinstance(check, CountCheck):
        count = sum(entry.key.startswith(check.count) for entry in there)
        return Assertion(
            name=f"objects under {check.count or 'the bucket'}",
            level=3,
            outcome=Outcome.PASSED if count >= check.at_least else Outcome.FAILED,
            expected=f"at least {check.at_least}",
            observed=str(count),
        )
    newest = max((entry.at for entry in there if entry.key.startswith(check.newest)), default=None)
    within = check.within.total_seconds()
    age = (source.manifest.consistent_as_of - newest).total_seconds() if newest else None
    return Assertion(
        name=f"newest object under {check.newest or 'the bucket'}",
        level=3,
        outcome=Outcome.PASSED if age is not None and age <= within else Outcome.FAILED,
        expected=f"written within {format_duration(within)}",
        observed="there is no such object" if age is None else f"{format_duration(max(age, 0.0))} before the backup",
    )


def spoil(spec: Spec, restored: Restored) -> str:  # noqa: ARG001 - it needs no more than the copy
    """Cut the last byte of an object in a scratch folder, as a restore that ran out of room would leave it."""
    place = open_place(restored.address)
    for path in place.files() if isinstance(place, Folder) else ():
        if size := path.stat().st_size:
            os.truncate(path, size - 1)
            return f"cut the last byte of {str(path.relative_to(restored.address))!a}"
    return ""


def keys(source: Source, only: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the key of every object that a backup shows: what rows in a database may name."""
    return (entry.key for entry in shown(source, only))
