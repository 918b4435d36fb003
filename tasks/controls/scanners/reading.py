"""From the JSON that scanners write to holes of one form: pip-audit, npm audit, trivy, grype, and whatever is SARIF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tasks.core.control import Breach, Judgement

SERIOUS = frozenset({"critical", "high", "unknown"})
"""What breaks a control; pip-audit tells no severity, and what is unknown is not taken to be harmless."""

_HIGH, _CRITICAL, _MEDIUM = 7.0, 9.0, 4.0
_LONGEST = 200


@dataclass(frozen=True)
class Hole:
    """One thing that a scanner found.

    Attributes:
        tool: Which scanner.
        id: Of the vulnerability or rule.
        of: The package with its version, or the place.
        severity: `critical`, `high`, `medium`, `low` or `unknown`.
        fixed: The version without it; empty where none is told.
    """

    tool: str
    id: str
    of: str
    severity: str
    fixed: str = ""


@dataclass
class Results:
    """All that was read: the facts of the controls.

    Attributes:
        holes: What the scanners found.
        files: Which tool wrote which file.
        unread: Why a file is no result that is known.
        written: When a file was written, where that counts.
        now: When it is, where that counts.
        within: How old the newest result of a scanner may be.
    """

    holes: list[Hole] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    written: dict[str, datetime] = field(default_factory=dict)
    now: datetime | None = None
    within: timedelta | None = None

    def read(self, text: str | bytes, file: str) -> None:
        """Read one file; one that no scanner is known to write so is told."""
        try:
            document = json.loads(text)
            tool, holes = _read(document)
        except (ValueError, RecursionError):
            self.unread[file] = "it is no JSON"
            return
        except (KeyError, TypeError, AttributeError):
            self.unread[file] = "no scanner that is known writes so"
            return
        self.files.setdefault(tool, []).append(file)
        self.holes += holes


def _read(document: Any) -> tuple[str, list[Hole]]:
    for tool, mark, reader in _FORMATS:
        if isinstance(document, dict) and mark in document:
            return tool, list(reader(document))
    if isinstance(document, list) and all("name" in one and "version" in one and "vulns" in one for one in document):
        return "pip-audit", list(_pip_audit({"dependencies": document}))
    raise KeyError("format")


def _pip_audit(document: dict[str, Any]) -> Iterator[Hole]:
    for one in document["dependencies"]:
        for hole in one.get("vulns", ()):
            fixed = ", ".join(map(str, hole.get("fix_versions", ())))
            yield Hole("pip-audit", hole["id"], f"{one['name']} {one.get('version', '')}".strip(), "unknown", fixed)


def _npm(document: dict[str, Any]) -> Iterator[Hole]:
    for name, one in document["vulnerabilities"].items():
        via = [hole for hole in one.get("via", ()) if isinstance(hole, dict)]
        ids = ", ".join(sorted({str(hole.get("url", hole.get("source", ""))).rpartition("/")[2] for hole in via}))
        through = ", ".join(hole for hole in one.get("via", ()) if isinstance(hole, str))
        fix = one.get("fixAvailable")
        fixed = f"{fix['name']} {fix['version']}" if isinstance(fix, dict) else "an update" if fix else ""
        said = ids or f"through {through}"
        yield Hole("npm audit", said, f"{name} {one.get('range', '')}".strip(), _severity(one.get("severity")), fixed)


def _npm_before_7(document: dict[str, Any]) -> Iterator[Hole]:
    for one in document["advisories"].values():
        fixed = str(one.get("patched_versions", ""))
        known = str(one.get("github_advisory_id") or one["id"])
        yield Hole("npm audit", known, str(one["module_name"]), _severity(one.get("severity")), fixed)


def _trivy(document: dict[str, Any]) -> Iterator[Hole]:
    for result in document.get("Results") or ():
        for one in result.get("Vulnerabilities") or ():
            of = f"{one['PkgName']} {one.get('InstalledVersion', '')} in {result.get('Target', '?')}"
            yield Hole("trivy", one["VulnerabilityID"], of, _severity(one.get("Severity")), one.get("FixedVersion", ""))
        for one in result.get("Misconfigurations") or ():
            if one.get("Status", "FAIL") == "FAIL":
                yield Hole("trivy", str(one["ID"]), str(result.get("Target", "?")), _severity(one.get("Severity")))
        for one in result.get("Secrets") or ():
            of = f"{result.get('Target', '?')}:{one.get('StartLine', '?')}"
            yield Hole("trivy", f"a secret ({one.get('RuleID', '?')})", of, _severity(one.get("Severity")))


def _grype(document: dict[str, Any]) -> Iterator[Hole]:
    for one in document["matches"]:
        hole, artifact = one["vulnerability"], one["artifact"]
        fixed = ", ".join(map(str, (hole.get("fix") or {}).get("versions") or ()))
        of = f"{artifact['name']} {artifact.get('version', '')}".strip()
        yield Hole("grype", hole["id"], of, _severity(hole.get("severity")), fixed)


def _sarif(document: dict[str, Any]) -> Iterator[Hole]:
    for run in document["runs"]:
        driver = run["tool"]["driver"]
        rules = {rule["id"]: rule for rule in driver.get("rules", ())}
        for one in run.get("results", ()):
            accepted = any(held.get("status", "accepted") == "accepted" for held in one.get("suppressions") or ())
            if accepted or one.get("kind", "fail") != "fail":
                continue
            rule = str(one.get("ruleId", "?"))
            yield Hole(str(driver.get("name", "SARIF")), rule, _place(one), _sarif_severity(one, rules.get(rule, {})))


def _place(result: dict[str, Any]) -> str:
    for location in result.get("locations") or ():
        physical = location.get("physicalLocation", {})
        line = physical.get("region", {}).get("startLine")
        return str(physical.get("artifactLocation", {}).get("uri", "?")) + (f":{line}" if line else "")
    return "?"


def _sarif_severity(result: dict[str, Any], rule: dict[str, Any]) -> str:
    score = (rule.get("properties") or {}).get("security-severity")
    level = result.get("level") or (rule.get("defaultConfiguration") or {}).get("level", "warning")
    if score is None:
        return {"error": "high", "warning": "medium"}.get(str(level), "low")
    number = float(score)
    worse = "critical" if number >= _CRITICAL else "high" if number >= _HIGH else ""
    return worse or ("medium" if number >= _MEDIUM else "low")


def _severity(text: Any) -> str:
    plain = str(text or "").lower()
    known = {"moderate": "medium", "negligible": "low", "info": "low"}
    return known.get(plain, plain if plain in ("critical", "high", "medium", "low") else "unknown")


_FORMATS: tuple[tuple[str, str, Callable[[dict[str, Any]], Iterator[Hole]]], ...] = (
    ("pip-audit", "dependencies", _pip_audit),
    ("npm audit", "vulnerabilities", _npm),
    ("npm audit", "advisories", _npm_before_7),
    ("trivy", "Results", _trivy),
    ("trivy", "ArtifactName", _trivy),  # it leaves Results out where there is nothing
    ("grype", "matches", _grype),
    ("SARIF", "runs", _sarif),
)


def of_tools(results: Results, *tools: str) -> Judgement:
    """Judge what some scanners found; where none of them wrote anything, it was not checked."""
    judged = Judgement(looked=sum(len(results.files.get(tool, ())) for tool in tools))
    if judged.looked == 0:
        judged.gaps.append(f"there is no result of {' or '.join(tools)}")
        return judged
    for tool in tools:
        ages = [results.written[file] for file in results.files.get(tool, ()) if file in results.written]
        if ages and results.now is not None and results.within is not None and results.now - max(ages) > results.within:
            judged.stale = f"the newest result of {tool} is of {max(ages):%Y-%m-%d}"
    known = {"pip-audit", "npm audit", "trivy", "grype"}
    for hole in results.holes:
        mine = hole.tool in tools or ("SARIF" in tools and hole.tool not in known)
        if mine and hole.severity in SERIOUS:
            cure = f"; without it: {hole.fixed}" if hole.fixed else ""
            what = f"{hole.id} in {hole.of}, {hole.severity}{cure}"[:_LONGEST]
            judged.breaches.append(Breach(what, {"tool": hole.tool, "name": hole.of}))
    return judged
