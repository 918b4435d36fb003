"""What images are made of has no serious hole."""

from __future__ import annotations

from tasks.controls.scanners.cases import control

_HOLE = {"VulnerabilityID": "CVE-1", "PkgName": "a"}

CONTROL = control(
    "images",
    "No image has a serious hole",
    "trivy",
    "grype",
    bad={"Results": [{"Target": "image", "Vulnerabilities": [_HOLE | {"Severity": "CRITICAL"}]}]},
    good={"Results": [{"Target": "image", "Vulnerabilities": [_HOLE | {"Severity": "LOW"}]}]},
)
