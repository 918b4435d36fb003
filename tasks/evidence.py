"""Evidence: what is published, run by hand or stated becomes a record of the ledger, and the ledger is verified."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from tasks import faces
from tasks.clients import timestamps
from tasks.clients.blobs import Lock
from tasks.clients.ledger import Ledger
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.evidence import Checked, Head
from tasks.core.operating import Ran
from tasks.core.platform import PlatformSpec
from tasks.core.settings import Settings
from tasks.core.statements import Downtime, Statement
from tasks.core.system import Access
from tasks.inspections import store_beside_reports

KINDS = {
    "health-check": "health", "evening-digest": "health", "capacity-plan": "health",
    "backup": "backup", "vault-check": "verification", "verify-backups": "verification",
    "dr-drill": "drill", "dr-quarter": "drill",
    "compliance-checklist": "control", "attestation": "control", "waiver": "control", "downtime": "control",
    "controls": "control", "logs": "control", "collect-attestations": "control", "remind-attestations": "control",
}  # fmt: skip
"""What a record is evidence of, by its flow; all else is an operation."""

_USER = "user "
_MOST_FILE = 20 << 20


class Proof(NamedTuple):
    """What verifying the time stamps of a ledger told.

    Attributes:
        stamps: How many there are.
        newest: The newest one that is good, with its record's number; None where there is none.
        wrong: What is wrong with others.
    """

    stamps: int
    newest: tuple[int, timestamps.Stamp] | None
    wrong: tuple[str, ...]


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger that lies beside the reports; what is written there is locked where the settings say so.

    Raises:
        ConfigError: It is to be locked, and a folder cannot lock.
    """
    locked = None
    if settings.evidence_lock is not None:
        lock = Lock(settings.evidence_lock, settings.evidence_lock_mode)
        locked = store_beside_reports(settings, "evidence", lock)
    return Ledger(store_beside_reports(settings, "evidence"), locked)


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
    began = getattr(kept, "started", kept.finished)
    return _head(kept.flow, platform, settings, by, kept.finished) | {
        "platform": kept.platform,
        "report": kept.id,
        "verdict": str(made.verdict),
        "said": access.resolver.scrub(made.headline),
        "effective": {"from": _written(began), "until": _written(kept.finished)},
        "facts": _scrubbed(json.loads(kept.model_dump_json()), access),
    }


def record_statement(
    flow: str, made: Statement | Downtime, platform: PlatformSpec, access: Access, settings: Settings
) -> Head:
    """Add what a person stated to the ledger.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    about = f"{made.control}: " if isinstance(made, Statement) else ""
    begin = made.at if isinstance(made, Statement) else made.begin
    return open_ledger(settings).append(
        _head(flow, platform, settings, made.by, made.at)
        | {
            "report": made.id,
            "verdict": "stated",
            "said": access.resolver.scrub(f"{about}{made.text}"),
            "effective": {"from": _written(begin), "until": _written(made.until)},
            "facts": _scrubbed(made.model_dump(mode="json"), access),
        }
    )


def record_facts(
    flow: str,
    verdict: str,
    said: str,
    facts: dict[str, Any],
    platform: PlatformSpec,
    access: Access,
    settings: Settings,
) -> Head:
    """Add what a command judged that is no report: manifests, what scanners wrote, logs.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    now = access.now()
    return open_ledger(settings).append(
        _head(flow, platform, settings, "", now)
        | {
            "verdict": verdict,
            "said": access.resolver.scrub(said),
            "effective": {"from": _written(now), "until": _written(now)},
            "facts": _scrubbed(json.loads(json.dumps(facts, default=str)), access),
        }
    )


def _head(flow: str, platform: PlatformSpec, settings: Settings, by: str, at: datetime) -> dict[str, Any]:
    return {
        "kind": KINDS.get(flow, "operation"),
        "platform": platform.platform,
        "environment": settings.environment,
        "flow": flow,
        "collected_at": _written(at),
        "by": by or f"{_USER}{getpass.getuser()}",
        "watchkeeper": version("watchkeeper"),
        "spec": hashlib.sha256(platform.model_dump_json().encode()).hexdigest(),
    }


def ran(document: dict[str, Any]) -> Ran | None:
    """Return what a record tells of a run; None where it is of none."""
    try:
        facts = document["facts"]
        slot = facts.get("scheduled")
        began = datetime.fromisoformat(document["effective"]["from"])
        by_hand = str(document["by"]).startswith(_USER)
        return Ran(str(document["flow"]), began, datetime.fromisoformat(slot) if slot else None, by_hand=by_hand)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def verify(
    settings: Settings,
    told: Head | Sequence[Head] | None = None,
    each: Callable[[dict[str, Any]], None] | None = None,
) -> Checked:
    """Check the ledger.

    Args:
        settings: Where it is.
        told: Where it ended as was told outside, once or several times.
        each: Called with each good record.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    return open_ledger(settings).verify(told, each)


def stamp(head: Head, settings: Settings) -> None:
    """Have the head stamped where there is an authority, and keep its answer.

    Raises:
        WatchkeeperError: The authority or the store refuses or does not answer; a later stamp covers this record too.
    """
    if settings.timestamps:
        ledger = open_ledger(settings)
        ledger.keep_stamp(head, timestamps.ask(settings.timestamps, ledger.hashed(head.sequence)))


def prove(settings: Settings, sealed: dict[int, str]) -> Proof:
    """Check the time stamps of a ledger.

    Args:
        settings: Where it is, and which certificates are trusted.
        sealed: The hash of each record that was found good, by its number.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    ledger = open_ledger(settings)
    wrong, newest = [], None
    stamps = ledger.stamps()
    for number, key in stamps.items():
        try:
            if number not in sealed:
                raise ConfigError("it is of a record that is not there")
            newest = number, timestamps.read(ledger.get(key) or b"", sealed[number], settings.timestamps_trusted)
        except WatchkeeperError as error:
            wrong.append(f"time stamp of record {number}: {error.message}")
    return Proof(len(stamps), newest, tuple(wrong))


def attach(path: Path, settings: Settings) -> str:
    """Keep a file that an attestation can name as its evidence, and return that name: `sha256:...`.

    Raises:
        ConfigError: It cannot be read, or is too large.
        WatchkeeperError: The store refuses or does not answer.
    """
    try:
        if path.stat().st_size > _MOST_FILE:
            raise ConfigError(f"{path} has more than 20 MiB", hint="keep it elsewhere, and give its address")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="name a file") from None
    sha256 = hashlib.sha256(data).hexdigest()
    open_ledger(settings).keep_file(sha256, data)
    return f"sha256:{sha256}"


def _scrubbed(held: Any, access: Access) -> Any:
    """Scrub every text by itself: written as JSON, a secret with quotes or backslashes would look like another."""
    if isinstance(held, str):
        return access.resolver.scrub(held)
    if isinstance(held, dict):
        return {access.resolver.scrub(str(name)): _scrubbed(value, access) for name, value in held.items()}
    if isinstance(held, list | tuple):
        return [_scrubbed(value, access) for value in held]
    return held


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
