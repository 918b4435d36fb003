"""Evidence: what is published becomes a record of the ledger; the ledger is verified, and packed for an auditor."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tasks import faces
from tasks.clients.ledger import Ledger
from tasks.core import evidence
from tasks.core.errors import ConfigError, Garbled
from tasks.core.evidence import Checked, Head
from tasks.core.platform import PlatformSpec
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.inspections import store_beside_reports
from tasks.reports import evidence_pack, evidence_standard


class Packed(NamedTuple):
    """A pack that was written.

    Attributes:
        path: Where.
        records: How many records it holds.
        head: Where its part of the chain ends; None where it holds none.
        sha256: Of the whole file.
    """

    path: Path
    records: int
    head: Head | None
    sha256: str


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger that lies beside the reports."""
    return Ledger(store_beside_reports(settings, "evidence"))


def record(made: faces.Faces, platform: PlatformSpec, access: Access, settings: Settings, by: str = "") -> Head:
    """Add what is published to the ledger, without any secret, and return where the chain ends then.

    Args:
        made: The report, the digest, or the bulletin's result.
        platform: As it was described then; its hash is kept.
        access: Knows the secrets that must not show.
        settings: Where the ledger is.
        by: What made it, such as the address of the run; the machine's user by default.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    return open_ledger(settings).append(body(made, platform, access, settings, by))


def body(made: faces.Faces, platform: PlatformSpec, access: Access, settings: Settings, by: str = "") -> dict[str, Any]:
    """Return what a record says of something that is published."""
    kept = made.kept
    facts = json.loads(access.resolver.scrub(kept.model_dump_json()))
    spec = hashlib.sha256(platform.model_dump_json().encode()).hexdigest()
    started = getattr(kept, "started", kept.finished)
    return {
        "platform": kept.platform,
        "environment": settings.environment,
        "flow": kept.flow,
        "report": kept.id,
        "verdict": str(made.verdict),
        "said": access.resolver.scrub(made.headline),
        "collected_at": _written(kept.finished),
        "effective": {"from": _written(started), "until": _written(kept.finished)},
        "by": by or f"user {getpass.getuser()}",
        "watchkeeper": version("watchkeeper"),
        "spec": spec,
        "facts": facts,
    }


def verify(settings: Settings, told: Head | None = None) -> Checked:
    """Check the ledger.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    return open_ledger(settings).verify(told)


def pack(settings: Settings, month: str, into: Path) -> Packed:
    """Write the pack of a month: records, page, tables, and what verifies them offline.

    The records from the first of the month to the last are in it; one between them whose clock was wrong is too.

    Raises:
        ConfigError: The month is none, or the file is there.
        Garbled: The ledger is broken: what is not sound is not handed out as evidence.
        WatchkeeperError: The store refuses or does not answer.
    """
    try:
        begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{month!r} is no month", hint="write YYYY-MM, such as 2026-11") from None
    ledger = open_ledger(settings)
    if (fault := ledger.verify().fault) is not None:
        hint = "see `watchkeeper evidence verify`; keep the ledger as it is, for who looks into it"
        raise Garbled(f"record {fault.sequence} of the ledger is bad: {fault.what}", hint=hint)
    chosen = _of_month(ledger, f"{begin:%Y-%m}")
    records = [json.loads(data) for _, data in chosen]
    try:
        with into.open("xb") as file:
            evidence.pack(_files(chosen, records, f"Evidence of {begin:%B %Y}"), file)
    except OSError as error:
        raise ConfigError(f"{into} cannot be written: {error.strerror}", hint="choose another --output") from None
    head = Head(records[-1]["sequence"], records[-1]["sha256"]) if records else None
    return Packed(into, len(records), head, hashlib.sha256(into.read_bytes()).hexdigest())


def _of_month(ledger: Ledger, month: str) -> list[tuple[int, bytes]]:
    """Return all from the first record of a month to its last."""
    found: list[tuple[int, bytes]] = []
    within = 0
    for number, data in ledger.records():
        inside = str(json.loads(data).get("collected_at", "")).startswith(month)
        if inside or found:
            found.append((number, data))
        if inside:
            within = len(found)
    return found[:within]


def _files(chosen: list[tuple[int, bytes]], records: list[dict[str, Any]], title: str) -> Iterator[tuple[str, bytes]]:
    names = {number: f"{evidence.RECORDS}{number:010}.json" for number, _ in chosen}
    yield "README.txt", evidence_pack.README.encode()
    yield "index.html", evidence_pack.page(records, title, names).encode()
    yield "evidence.csv", evidence_pack.table(records).encode()
    yield "items.csv", evidence_pack.items(records).encode()
    if records:
        made = evidence_standard.oscal(records, title, names, version("watchkeeper"))
        yield "oscal-assessment-results.json", f"{json.dumps(made, indent=2, sort_keys=True)}\n".encode()
        yield "ocsf.jsonl", evidence_standard.ocsf(records).encode()
    yield "verify.py", Path(evidence.__file__).read_bytes()
    for number, data in chosen:
        yield names[number], data


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
