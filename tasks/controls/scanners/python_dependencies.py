"""What Python programs are made of has no known hole."""

from __future__ import annotations

from tasks.controls.scanners.cases import control

_HOLE = {"id": "PYSEC-1", "fix_versions": ["2.0"]}

CONTROL = control(
    "python-dependencies",
    "No Python dependency has a known hole",
    "pip-audit",
    bad={"dependencies": [{"name": "a", "version": "1", "vulns": [_HOLE]}]},
    good={"dependencies": [{"name": "a", "version": "1", "vulns": []}]},
)
