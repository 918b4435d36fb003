"""The evidence in the words of others: OSCAL assessment results, and findings in the schema of OCSF. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

_NAMES = uuid.UUID("5f0c6a3e-6a0e-5b53-9a55-1b1f6f2d3c11")
_OSCAL, _OCSF = "1.1.2", "1.3.0"
_COMPLIANCE_FINDING, _CREATED, _FINDINGS = 2003, 1, 2
_STATE = {"pass": ("satisfied", "pass"), "attested": ("satisfied", "other"), "fail": ("not-satisfied", "fail")}
_NAMESPACE = "urn:watchkeeper"
_SEVERITY = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}
_INFORMATIONAL = (1, "Informational")
_UNKNOWN = (2, "Warning")
"""OCSF's word for a check that did not yield a result."""
_STATUS = {"pass": (1, "Pass"), "fail": (3, "Fail"), "attested": (99, "Attested"), "waived": (99, "Waived")}
_STATED = ("attestation", "waiver", "downtime")


def oscal(records: Sequence[dict[str, Any]], title: str, files: dict[int, str], version: str) -> dict[str, Any]:
    """Return the records as OSCAL assessment results: an observation for each, a finding for each item of a checklist.

    The same records always give the same document.

    Args:
        records: In the order of their numbers; at least one.
        title: What they are of.
        files: The file of each record in the pack, by its number.
        version: Watchkeeper's.
    """
    begin, end = str(records[0]["collected_at"]), str(records[-1]["collected_at"])
    seal = str(records[-1]["sha256"])
    result = {
        "uuid": _id("result", seal),
        "title": title,
        "description": "What Watchkeeper saw, judged and told; each observation is a record of its ledger.",
        "start": min(begin, end),
        "end": max(begin, end),
        "reviewed-controls": {"control-selections": [{"include-all": {}}]},
        "observations": [_observation(record, files[record["sequence"]]) for record in records],
    }
    if findings := [finding for record in records for finding in _findings(record)]:
        result["findings"] = findings
    metadata = {"title": title, "last-modified": max(begin, end), "version": version, "oscal-version": _OSCAL}
    plan = {"href": "#watchkeeper", "remarks": "The controls are those of `watchkeeper controls list`."}
    whole = {"uuid": _id("results", seal), "metadata": metadata, "import-ap": plan, "results": [result]}
    return {"assessment-results": whole}


def ocsf(records: Sequence[dict[str, Any]]) -> str:
    """Return the items of all checklists as compliance findings of OCSF, one JSON document a line."""
    lines = (json.dumps(_event(record, item), sort_keys=True) for record in records for item in _items(record))
    return "".join(f"{line}\n" for line in lines)


def _id(*names: str) -> str:
    return str(uuid.uuid5(_NAMES, "/".join(names)))


def _observation(record: dict[str, Any], file: str) -> dict[str, Any]:
    said = str(record.get("said") or record.get("verdict") or "recorded")
    stated = record.get("flow") in _STATED
    made = {
        "uuid": _id("observation", str(record["sha256"])),
        "title": f"{record.get('platform', '?')}: {record.get('flow', '?')}",
        "description": said,
        "methods": ["INTERVIEW" if stated else "TEST"],
        "collected": str(record["collected_at"]),
        "relevant-evidence": [{"href": file, "description": f"record {record['sequence']}, sha256 {record['sha256']}"}],
        "remarks": f"by {record.get('by') or 'nobody'}",
    }
    until = (record.get("effective") or {}).get("until")
    return made | ({"expires": str(until)} if stated and until else {})


def _items(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    facts = record.get("facts")
    if record.get("flow") == "compliance-checklist" and isinstance(facts, dict):
        yield from (item for item in facts.get("items", ()) if item.get("result") != "not applicable")


def _findings(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in _items(record):
        state, reason = _STATE.get(item["result"], ("not-satisfied", "other"))
        told = "; ".join([*item.get("findings", ()), item.get("reason", "")]).strip("; ") or item["result"]
        yield {
            "uuid": _id("finding", str(record["sha256"]), item["control"]),
            "title": f"{record.get('platform', '?')}: {item['title']}",
            "description": f"{item['result']}: {told}",
            "props": [
                {"name": name, "ns": _NAMESPACE, "value": str(item[name])}
                for name in ("result", "severity", "owner")
                if item.get(name)
            ],
            "target": {
                "type": "objective-id",
                "target-id": item["control"],
                "status": {"state": state, "reason": reason},
            },
            "related-observations": [{"observation-uuid": _id("observation", str(record["sha256"]))}],
        }


def _event(record: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    status, word = _STATUS.get(item["result"], _UNKNOWN)
    severity, called = _SEVERITY.get(item["severity"], (0, "Unknown")) if item["result"] == "fail" else _INFORMATIONAL
    at = int(datetime.fromisoformat(str(record["collected_at"])).timestamp() * 1000)
    named = [f"{framework} {clause}" for framework, held in item.get("requirements", {}).items() for clause in held]
    return {
        "activity_id": _CREATED,
        "activity_name": "Create",
        "category_uid": _FINDINGS,
        "category_name": "Findings",
        "class_name": "Compliance Finding",
        "class_uid": _COMPLIANCE_FINDING,
        "type_uid": _COMPLIANCE_FINDING * 100 + _CREATED,
        "time": at,
        "type_name": "Compliance Finding: Create",
        "severity_id": severity,
        "severity": called,
        "status_id": 1,
        "status": "New",
        "metadata": {
            "version": _OCSF,
            "product": {
                "name": "Watchkeeper",
                "vendor_name": "Watchkeeper",
                "version": str(record.get("watchkeeper", "?")),
            },
        },
        "finding_info": {
            "uid": _id("finding", str(record["sha256"]), item["control"]),
            "title": item["title"],
            "desc": "; ".join(filter(None, [item.get("reason"), *item.get("findings", ())])),
            "created_time": at,
        },
        "compliance": {
            "control": item["control"],
            "requirements": named,
            "standards": [name for name, held in item.get("requirements", {}).items() if held],
            "status_id": status,
            "status": word,
        },
        "remediation": {"desc": item.get("remedy") or "none"},
        "resources": [{"name": str(record.get("platform", "?")), "type": "platform"}],
        "unmapped": {"result": item["result"], "record": record["sequence"], "record_sha256": record["sha256"]},
    }
