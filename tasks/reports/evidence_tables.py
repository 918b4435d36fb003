"""The tables of a pack of evidence, made from the records alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

_COLUMNS = (
    "sequence", "collected_at", "platform", "environment", "flow", "verdict", "said", "effective_from",
    "effective_until", "report", "by", "watchkeeper", "spec", "sha256",
)  # fmt: skip
_ITEMS = (
    "record",
    "platform",
    "system",
    "item",
    "subject",
    "outcome",
    "severity",
    "observed",
    "limit",
    "at",
    "since",
    "note",
)
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")

_CONTROLS = (
    "record", "collected_at", "platform", "control", "title", "result", "severity", "owner", "looked_at", "findings",
    "reason", "proves", "since", "change", "requirements", "by",
)  # fmt: skip

README = """This is a pack of evidence: what Watchkeeper saw, judged and told in one month, and what people stated.

index.html    begin here: for each item of the checklist what was proven, when, by what and by whom; then every record
controls.csv  the items of every checklist, for a spreadsheet
evidence.csv  every record
items.csv     every single thing that a health check looked at
oscal-assessment-results.json
              observations and findings in the schema of OSCAL, for programs; left out of an empty pack
ocsf.jsonl    the items of checklists as compliance findings of OCSF, one a line
records/      the records themselves; each holds the hash of the one before
stamps/       RFC 3161 time stamps of records, where an authority is set
files/        what people gave as evidence, each under its SHA-256
verify.py     checks all of it, offline, with nothing but Python: python3 verify.py THIS.zip --head NUMBER:HASH
MANIFEST.json the hash of every file

The head was told outside when each report was told (in Slack: "evidence NUMBER:HASH"). Only with it can be told that
nothing was cut off at the end. Records of before this month are in the packs of the months before: the first record's
`previous` is the hash of the last one there. Where the pack is of one platform, the content of the others' records is
left out; their place in the chain is there, so that none can be missing.

A time stamp is checked with OpenSSL and the certificates of its authority: it is of the record's own `sha256`.
    openssl ts -verify -digest SHA256_OF_THE_RECORD -in stamps/NUMBER.tsr -CAfile AUTHORITY.pem
"""


def row(record: dict[str, Any]) -> dict[str, str]:
    """Return what the tables say of a record."""
    effective = record.get("effective") or {}
    found = {name: record.get(name) for name in _COLUMNS}
    found |= {"effective_from": effective.get("from"), "effective_until": effective.get("until")}
    return {name: "" if held is None else str(held) for name, held in found.items()}


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return the records as CSV."""
    return _csv(_COLUMNS, (row(record) for record in records))


def items(records: Sequence[dict[str, Any]]) -> str:
    """Return every single thing that was looked at as CSV."""
    return _csv(_ITEMS, (item for record in records for item in _items(record)))


def controls(records: Sequence[dict[str, Any]]) -> str:
    """Return the items of all checklists as CSV."""
    return _csv(_CONTROLS, (line for record in records for line in _controls(record)))


def _controls(record: dict[str, Any]) -> Iterator[dict[str, str]]:
    facts = record.get("facts")
    if record.get("flow") != "compliance-checklist" or not isinstance(facts, dict):
        return
    for item in facts.get("items", ()):
        told = {name: item.get(name, record.get(name)) for name in _CONTROLS}
        named = (f"{name} {clause}" for name, held in item.get("requirements", {}).items() for clause in held)
        told |= {"record": record["sequence"], "findings": "; ".join(item.get("findings", ()))}
        told |= {"requirements": "; ".join(named)}
        yield {name: "" if held is None else str(held) for name, held in told.items()}


def _items(record: dict[str, Any]) -> Iterator[dict[str, str]]:
    facts = record.get("facts")
    systems = facts.get("systems") if isinstance(facts, dict) else None
    for system in systems if isinstance(systems, list) else ():
        found = system.get("findings") if isinstance(system, dict) else None
        for finding in found if isinstance(found, list) else ():
            if isinstance(finding, dict):
                told = {name: finding.get(name) for name in _ITEMS}
                told["system"] = told["system"] or system.get("name")
                told |= {
                    "record": record["sequence"],
                    "platform": record.get("platform"),
                    "item": finding.get("measurement"),
                }
                yield {name: "" if held is None else str(held) for name, held in told.items()}


def _csv(columns: Sequence[str], rows: Iterator[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for one in rows:
        writer.writerow({name: f"'{text}" if text.startswith(_DANGEROUS) else text for name, text in one.items()})
    return out.getvalue()
