"""What the lab's platforms need for their compliance: who may plant, and what scanners and people wrote down."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.platform import PlatformSpec

if TYPE_CHECKING:
    from deployments.lab.blueprint import Blueprint
    from deployments.lab.pieces import Piece

INCIDENTS, CALLS = "incidents.json", "calls.json"
_SCANS: dict[str, Any] = {
    "pip-audit.json": {"dependencies": [{"name": "fastapi", "version": "0.150.0", "vulns": []}]},
    "npm-audit.json": {"auditReportVersion": 2, "vulnerabilities": {}},
    "trivy.json": {"SchemaVersion": 2, "ArtifactName": "lab/api:1.0.0", "Results": [{"Target": "debian"}]},
    "code.sarif": {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner"}}, "results": []}]},
}


def mark(plan: Blueprint, spec: PlatformSpec) -> None:
    """Remember at the buckets' pieces which of them must keep versions."""
    wanted = {f"{spec.platform}/{name}" for name in spec.compliance.buckets.versioned}
    plan.pieces = [
        replace(piece, details=piece.details | {"versioned": "yes"}) if piece.target in wanted else piece
        for piece in plan.pieces
    ]


def provide(plan: Blueprint, spec: PlatformSpec) -> None:
    """Give every step the rights that it needs, and write the files that the spec names. Addresses are known by now."""
    pieces = {piece.target: piece for piece in plan.pieces}
    for _, step in spec.compliance.steps():
        for reference in step.headers.values():
            plan.fill(reference, f"lab-{secrets.token_urlsafe(18)}")
        if step.system and (piece := pieces.get(f"{spec.platform}/{step.system}")) is not None:
            plan.fill(step.address, _address(piece))
    folder = plan.state / "compliance" / spec.platform
    if spec.compliance.scans is not None:
        plan.fill(spec.compliance.scans.folder, str(folder / "scans"))
        for name, document in _SCANS.items():
            _write(folder / "scans" / name, document)
    _lists(plan, spec, folder)
    for number, file in enumerate(spec.compliance.rotation.files):
        path = folder / f"secret-{number}"
        _write(path, secrets.token_urlsafe(24))
        plan.fill(file, str(path))


def _address(piece: Piece) -> str:
    """Return what reaches a system through its door with the rights of the platform's own services."""
    address = piece.owner if piece.kind == "postgres" else piece.address
    return address.replace(f":{piece.back}/", f":{piece.front}/")


def _lists(plan: Blueprint, spec: PlatformSpec, folder: Path) -> None:
    """Write the lists of incidents and test calls of the last weeks."""
    now, incidents = datetime.now(UTC), spec.compliance.incidents
    ended = now - timedelta(days=20)
    written = {"id": "INC-1", "ended": ended.isoformat(), "written": (ended + timedelta(hours=30)).isoformat()}
    calls = [
        {"role": contact.role, "asked": ended.isoformat(), "answered": (ended + timedelta(minutes=4)).isoformat()}
        for contact in spec.contacts
    ]
    for step, name, rows in ((incidents.log, INCIDENTS, [written]), (incidents.contacts, CALLS, calls)):
        if step is not None and step.file is not None:
            _write(folder / name, rows)
            plan.fill(step.file, str(folder / name))


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document), encoding="utf-8")
