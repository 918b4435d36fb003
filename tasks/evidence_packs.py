"""Packs of evidence: one archive for the auditor, of a month and of all platforms or of one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tasks import platforms
from tasks.clients.ledger import Ledger
from tasks.core import evidence
from tasks.core.errors import ConfigError, Garbled
from tasks.core.evidence import Head
from tasks.core.settings import Settings
from tasks.evidence import open_ledger
from tasks.reports import evidence_page, evidence_standard, evidence_tables

_FILE = re.compile(r"sha256:([0-9a-f]{64})")


class Packed(NamedTuple):
    """A pack that was written.

    Attributes:
        path: Where.
        records: How many records it holds, those with withheld content among them.
        withheld: Of how many the content is withheld, as they are another platform's.
        head: Where its part of the chain ends; None where it holds none.
        sha256: Of the whole file.
    """

    path: Path
    records: int
    withheld: int
    head: Head | None
    sha256: str


class _Contents(NamedTuple):
    title: str
    chosen: list[tuple[int, bytes]]
    stamps: dict[int, bytes]
    files: dict[str, bytes]


def pack(settings: Settings, month: str, into: Path, platform: str = "") -> Packed:
    """Write the pack of a month: records, page, tables, and what verifies them offline.

    The records from the first of the month to the last are in it; one between them whose clock was wrong is too. Where
    a platform is named, of the records of the others only the place in the chain is there.

    Raises:
        ConfigError: The month is none, there is no such platform, or the file is there.
        Garbled: The ledger is broken: what is not sound is not handed out as evidence.
        WatchkeeperError: The store refuses or does not answer.
    """
    try:
        begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{month!r} is no month", hint="write YYYY-MM, such as 2026-11") from None
    name = platforms.load(platform, settings).platform if platform else ""
    ledger = open_ledger(settings)
    if (fault := ledger.verify().fault) is not None:
        hint = "see `watchkeeper evidence verify`; keep the ledger as it is, for who looks into it"
        raise Garbled(f"record {fault.sequence} of the ledger is bad: {fault.what}", hint=hint)
    chosen = _of_month(ledger, f"{begin:%Y-%m}", name)
    title = f"Evidence of {begin:%B %Y}" + (f": {name}" if name else "")
    contents = _Contents(title, chosen, _stamps(ledger, chosen), _attached(ledger, chosen))
    records = [json.loads(data) for _, data in chosen]
    try:
        with into.open("xb") as file:
            evidence.pack(_files(contents, records), file)
    except OSError as error:
        raise ConfigError(f"{into} cannot be written: {error.strerror}", hint="choose another --output") from None
    head = Head(records[-1]["sequence"], records[-1]["sha256"]) if records else None
    withheld = sum("facts" not in record for record in records)
    return Packed(into, len(records), withheld, head, hashlib.sha256(into.read_bytes()).hexdigest())


def _of_month(ledger: Ledger, month: str, platform: str) -> list[tuple[int, bytes]]:
    """Return all from the first record of a month to its last, those of other platforms without their content."""
    found: list[tuple[int, bytes]] = []
    within = 0
    for number, data in ledger.records():
        document = json.loads(data)
        mine = not platform or document.get("platform") == platform
        inside = mine and str(document.get("collected_at", "")).startswith(month)
        if inside or found:
            found.append((number, data if mine else evidence.withhold(data)))
        if inside:
            within = len(found)
    return found[:within]


def _stamps(ledger: Ledger, chosen: list[tuple[int, bytes]]) -> dict[int, bytes]:
    known = ledger.stamps()
    return {number: ledger.get(known[number]) or b"" for number, _ in chosen if number in known}


def _attached(ledger: Ledger, chosen: list[tuple[int, bytes]]) -> dict[str, bytes]:
    """Return the files that the records name as evidence."""
    named = dict.fromkeys(found for _, data in chosen for found in _FILE.findall(data.decode("utf-8", "replace")))
    held = ((sha256, ledger.file(sha256)) for sha256 in named)
    return {sha256: data for sha256, data in held if data is not None}


def _files(contents: _Contents, records: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    title, chosen = contents.title, contents.chosen
    names = {number: f"{evidence.RECORDS}{number:010}.json" for number, _ in chosen}
    yield "README.txt", evidence_tables.README.encode()
    yield "index.html", evidence_page.page(records, title, names, list(contents.files)).encode()
    yield "controls.csv", evidence_tables.controls(records).encode()
    yield "evidence.csv", evidence_tables.table(records).encode()
    yield "items.csv", evidence_tables.items(records).encode()
    if held := [record for record in records if "facts" in record]:
        made = evidence_standard.oscal(held, title, names, version("watchkeeper"))
        yield "oscal-assessment-results.json", f"{json.dumps(made, indent=2, sort_keys=True)}\n".encode()
        yield "ocsf.jsonl", evidence_standard.ocsf(held).encode()
    yield "verify.py", Path(evidence.__file__).read_bytes()
    for number, data in chosen:
        yield names[number], data
    for number, data in contents.stamps.items():
        yield f"{evidence.STAMPS}{number:010}.tsr", data
    for sha256, data in contents.files.items():
        yield f"files/{sha256}", data
