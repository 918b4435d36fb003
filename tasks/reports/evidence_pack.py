"""What an auditor reads of the evidence: a page and tables, made from the records alone."""

from __future__ import annotations

import csv
import html
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

README = """This is a pack of evidence: what Watchkeeper saw, judged and told in one month.

index.html    every record in a table, with what it says
evidence.csv  the same, for a spreadsheet
items.csv     every single thing that was looked at
oscal-assessment-results.json
              observations and findings in the schema of OSCAL, for programs; left out of an empty pack
ocsf.jsonl    the items of checklists as compliance findings of OCSF, one a line
records/      the records themselves; each holds the hash of the one before
verify.py     checks all of it, offline, with nothing but Python: python3 verify.py THIS.zip --head NUMBER:HASH
MANIFEST.json the hash of every file

The head was told outside when each report was told (in Slack: "evidence NUMBER:HASH"). Only with it can be told that
nothing was cut off at the end. Records of before this month are in the packs of the months before: the first record's
`previous` is the hash of the last one there.
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


def page(records: Sequence[dict[str, Any]], title: str, files: dict[int, str]) -> str:
    """Return the page of a pack.

    Args:
        records: In the order of their numbers.
        title: What it is of.
        files: The file of each record in the pack, by its number.
    """
    rows = "\n".join(_line(record, files[record["sequence"]]) for record in records)
    verdicts: dict[str, int] = {}
    for record in records:
        verdicts[str(record.get("verdict"))] = verdicts.get(str(record.get("verdict")), 0) + 1
    counted = ", ".join(f"{number} {html.escape(verdict)}" for verdict, number in sorted(verdicts.items()))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1c1e21; background: #fff }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .35rem .6rem; vertical-align: top }}
td {{ border-bottom: 1px solid #d9dce1 }} code {{ font-size: 12px; overflow-wrap: anywhere }}
.failed, .unknown {{ color: #a4161a }}
</style></head><body>
<h1>{html.escape(title)}</h1>
<p>{len(records)} records: {counted or "nothing was recorded"}.</p>
<p>Check all of it offline: <code>python3 verify.py PACK.zip --head NUMBER:HASH</code>, with the head as it was told
outside.</p>
<table><thead><tr><th>record</th><th>collected at</th><th>platform</th><th>what</th><th>result</th><th>said</th>
<th>by</th><th>hash</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def _line(record: dict[str, Any], file: str) -> str:
    told = {name: html.escape(text) for name, text in row(record).items()}
    return (
        f'<tr><td><a href="{html.escape(file)}">{told["sequence"]}</a></td><td>{told["collected_at"]}</td>'
        f'<td>{told["platform"]}</td><td>{told["flow"]}</td><td class="{told["verdict"]}">{told["verdict"]}</td>'
        f"<td>{told['said']}</td><td>{told['by']}</td><td><code>{told['sha256']}</code></td></tr>"
    )
