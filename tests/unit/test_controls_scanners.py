"""What scanners wrote: serious holes are named with their cure, and what was not scanned is not green."""

import json

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.control_runs import judge_results
from tasks.controls.scanners.cases import of

PIP = {"dependencies": [{"name": "jinja2", "version": "2.4", "vulns": [{"id": "PYSEC-9", "fix_versions": ["2.11.3"]}]}]}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "minimist": {
            "severity": "critical",
            "range": "<1.2.6",
            "via": [{"url": "https://github.com/advisories/GHSA-xvch-5gv4-984h"}],
            "fixAvailable": {"name": "minimist", "version": "1.2.8"},
        },
        "mkdirp": {"severity": "moderate", "via": ["minimist"], "range": "0.4.1", "fixAvailable": False},
    },
}
OLD_NPM = {"advisories": {"7": {"id": 7, "module_name": "tar", "severity": "high", "patched_versions": ">=4.4.2"}}}
VULNERABILITY = {
    "VulnerabilityID": "CVE-2024-1",
    "PkgName": "openssl",
    "InstalledVersion": "3.0.1",
    "FixedVersion": "3.0.2",
}
TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "shop:1",
    "Results": [
        {"Target": "debian", "Vulnerabilities": [VULNERABILITY | {"Severity": "HIGH"}]},
        {"Target": "app", "Secrets": [{"RuleID": "aws-key", "Severity": "CRITICAL", "StartLine": 3, "Match": "AKIA"}]},
        {"Target": "none"},
    ],
}
GRYPE = {
    "matches": [
        {
            "vulnerability": {"id": "CVE-2", "severity": "Critical", "fix": {"versions": ["2"]}},
            "artifact": {"name": "zlib", "version": "1"},
        },
        {"vulnerability": {"id": "CVE-3", "severity": "Negligible"}, "artifact": {"name": "x", "version": "1"}},
    ]
}


def sarif(**result):
    driver = {"name": "CodeQL", "rules": [{"id": "py/sql", "properties": {"security-severity": "8.8"}}]}
    place = {"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": 7}}}
    one = {"ruleId": "py/sql", "locations": [place], **result}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": [one]}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (PIP, [("pip-audit", "PYSEC-9", "jinja2 2.4", "unknown", "2.11.3")]),
        (
            NPM,
            [
                ("npm audit", "GHSA-xvch-5gv4-984h", "minimist <1.2.6", "critical", "minimist 1.2.8"),
                ("npm audit", "through minimist", "mkdirp 0.4.1", "medium", ""),
            ],
        ),
        (OLD_NPM, [("npm audit", "7", "tar", "high", ">=4.4.2")]),
        (
            TRIVY,
            [
                ("trivy", "CVE-2024-1", "openssl 3.0.1 in debian", "high", "3.0.2"),
                ("trivy", "a secret (aws-key)", "app:3", "critical", ""),
            ],
        ),
        (GRYPE, [("grype", "CVE-2", "zlib 1", "critical", "2"), ("grype", "CVE-3", "x 1", "low", "")]),
        (sarif(), [("CodeQL", "py/sql", "a.py:7", "high", "")]),
        (sarif(ruleId="other", level="error"), [("CodeQL", "other", "a.py:7", "high", "")]),
        (sarif(ruleId="other"), [("CodeQL", "other", "a.py:7", "medium", "")]),
        (sarif(suppressions=[{"kind": "inSource"}]), []),
        (sarif(kind="pass"), []),
        ({"SchemaVersion": 2, "ArtifactName": "clean:1"}, []),
    ],
)
def test_every_scanners_words_become_holes_of_one_form(document, expected):
    facts = of(document)
    assert facts.unread == {}
    assert [(one.tool, one.id, one.of, one.severity, one.fixed) for one in facts.holes] == expected


@pytest.mark.parametrize("document", [{}, [], 7, {"dependencies": {"a": "1"}}, {"runs": [{}]}, {"matches": [{}]}])
def test_what_no_known_scanner_writes_is_told(document):
    facts = of(document)
    assert facts.unread or facts.files == {"pip-audit": ["case.json"]}
    assert facts.holes == []


def judge(folder, **documents):
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return judge_results(folder)


def test_holes_are_told_with_their_cure_and_a_scanner_that_is_absent_is_not_checked(tmp_path):
    found = judge(tmp_path, pip=PIP)
    assert found["verdict"] == "failed"
    assert [(one["control"], one["what"]) for one in found["findings"]] == [
        ("python-dependencies", "PYSEC-9 in jinja2 2.4, unknown; without it: 2.11.3")
    ]
    results = {one["control"]: one["result"] for one in found["controls"]}
    assert results["images"] == results["node-dependencies"] == "not checked"


def test_all_clean_and_all_there_is_passed_and_anything_less_is_not(tmp_path):
    clean = {"dependencies": []}, {"vulnerabilities": {}}, {"matches": []}, {"runs": []}
    found = judge(tmp_path, **dict(zip("abcd", clean, strict=True)))
    assert found["verdict"] == "passed"
    assert judge(tmp_path, e={"x": 1})["verdict"] == "unknown"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert judge_results(empty)["verdict"] == "unknown"


def test_the_command_tells_by_its_exit_code(tmp_path):
    def run(*arguments):
        outcome = CliRunner().invoke(main, ["controls", "run", *map(str, arguments)])
        return outcome.exit_code, outcome.output

    (tmp_path / "trivy.json").write_text(json.dumps(TRIVY), encoding="utf-8")
    code, said = run("scanners", "--results", tmp_path)
    assert code == 1
    assert "CVE-2024-1" in said
    assert "AKIA" not in said
    assert run("scanners")[0] == run("kubernetes")[0] == 2
    assert run("scanners", "--results", tmp_path / "gone")[0] == 2
