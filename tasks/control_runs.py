"""Runs controls: fetches the facts, hands them to the judges, and says what was not judged and why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.controls import about
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.scanners.reading import Results
from tasks.core.audit import Audits, Part, missing, of_kind
from tasks.core.control import Breach, Judged, Result, settle, summary
from tasks.core.errors import ConfigError

_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_LARGEST = 64 << 20
_MUST_BE_SEEN_TO = frozenset({"broken", "template", "kustomization"})


def judge_manifests(folder: Path) -> dict[str, Any]:
    """Judge every manifest under a folder, or one file; nothing is skipped in silence.

    Raises:
        ConfigError: There is no such folder or file.
    """
    facts = read_manifests(folder)
    judged = [settle(control, facts) for control in about("kubernetes")]
    findings = [finding for one in sorted(judged, key=_worst_first) for finding in one.findings()]
    unread = [vars(one) for one in facts.unread]
    by_severity: dict[str, int] = {}
    for finding in findings:
        by_severity[finding["severity"]] = by_severity.get(finding["severity"], 0) + 1
    return {
        "verdict": _verdict(judged, facts),
        "summary": {
            "files": facts.files,
            "resources": len(facts.resources),
            "findings": len(findings),
            "by_severity": by_severity,
            "controls": summary(judged),
            "not_judged": len(unread),
        },
        "findings": findings,
        "controls": [one.as_dict() for one in judged],
        "not_judged": unread,
    }


def read_manifests(folder: Path) -> Manifests:
    """Read every manifest under a folder, or one file.

    Raises:
        ConfigError: There is no such folder or file.
    """
    if not folder.exists():
        raise ConfigError(f"there is no {folder}", hint="name a folder with manifests, or one file")
    facts = Manifests()
    for path in _files(folder) if folder.is_dir() else [folder]:
        name = str(path.relative_to(folder)) if folder.is_dir() else path.name
        try:
            if path.stat().st_size > _LARGEST:
                facts.refuse(name, "it is larger than any manifest")
                continue
            text = path.read_bytes()
        except OSError as error:
            facts.refuse(name, f"it cannot be read: {error.strerror}")
            continue
        facts.read(text, name)
    return facts


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in the order of their names; hidden folders are no manifests, and links may lead anywhere."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        for name in sorted(files):
            path = Path(root, name)
            if path.suffix.lower() in _ENDINGS and (path.is_file() or path.is_symlink()):
                yield path


def _worst_first(judged: Judged) -> tuple[int, str]:
    return judged.control.severity.rank, judged.control.id


def _verdict(judged: list[Judged], facts: Manifests) -> str:
    results = {one.result for one in judged}
    if Result.FAIL in results:
        return "failed"
    blind = not facts.resources or any(one.why in _MUST_BE_SEEN_TO for one in facts.unread)
    return "unknown" if blind or Result.ERROR in results else "passed"


def judge_results(folder: Path) -> dict[str, Any]:
    """Judge what scanners wrote into the JSON and SARIF files under a folder, or into one file.

    Raises:
        ConfigError: There is no such folder or file.
    """
    facts = read_results(folder)
    judged = sorted((settle(control, facts) for control in about("scanners")), key=_worst_first)
    findings = [finding for one in judged for finding in one.findings()]
    results = {one.result for one in judged}
    blind = not facts.files or facts.unread or results & {Result.ERROR, Result.NOT_CHECKED}
    return {
        "verdict": "failed" if Result.FAIL in results else "unknown" if blind else "passed",
        "summary": {
            "files": sum(map(len, facts.files.values())) + len(facts.unread),
            "resources": sum(map(len, facts.files.values())),
            "findings": len(findings),
            "controls": summary(judged),
            "not_judged": len(facts.unread),
        },
        "findings": findings,
        "controls": [one.as_dict() for one in judged],
        "not_judged": [{"file": name, "line": 1, "why": "unknown", "what": why} for name, why in facts.unread.items()],
    }


def read_results(folder: Path, now: datetime | None = None, within: timedelta | None = None) -> Results:
    """Read what scanners wrote into the JSON and SARIF files under a folder, or into one file.

    Args:
        folder: A folder or a file.
        now: Aware time, where their age counts.
        within: How old the newest result of a scanner may be.

    Raises:
        ConfigError: There is no such folder or file.
    """
    if not folder.exists():
        raise ConfigError(f"there is no {folder}", hint="name a folder with the scanners' results, or one file")
    facts = Results(now=now, within=within)
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".sarif"))
    for path in paths if folder.is_dir() else [folder]:
        name = str(path.relative_to(folder)) if folder.is_dir() else path.name
        try:
            facts.read(path.read_bytes(), name)
            facts.written[name] = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except OSError as error:
            facts.unread[name] = f"it cannot be read: {error.strerror}"
    return facts


def judge_clusters(audits: Audits) -> list[Judged]:
    """Judge what is in the clusters of a platform; nothing where it has none.

    A finding names its resource; where a cluster could not be read, no control is green.
    """
    clusters = of_kind(audits, "kubernetes")
    if not clusters:
        return []
    facts, blind = Manifests(), "; ".join(missing(clusters, Part.RESOURCES))
    for system, audited in clusters.items():
        facts.read(json.dumps({"apiVersion": "v1", "kind": "List", "items": audited.resources}), system)
    judged = []
    for control in about("kubernetes"):
        one = settle(control, facts)
        if blind and one.result in (Result.PASS, Result.NOT_APPLICABLE):
            one = replace(one, result=Result.NOT_CHECKED, reason=blind)
        judged.append(replace(one, breaches=tuple(replace(breach, what=_named(breach)) for breach in one.breaches)))
    return judged


def _named(breach: Breach) -> str:
    of = breach.resource
    return "/".join(filter(None, (of.get("kind"), of.get("name"), breach.container))) + f": {breach.what}"
