"""What Node programs are made of has no serious hole."""

from __future__ import annotations

from tasks.controls.scanners.cases import control

CONTROL = control(
    "node-dependencies",
    "No Node dependency has a serious hole",
    "npm audit",
    bad={"vulnerabilities": {"a": {"severity": "critical", "via": [{"source": 1}], "range": "<2"}}},
    good={"vulnerabilities": {"a": {"severity": "low", "via": [{"source": 1}], "range": "<2"}}},
)
