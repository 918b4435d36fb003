"""What scanners of code say in SARIF is nothing serious."""

from __future__ import annotations

from tasks.controls.scanners.cases import control


def _said(level: str) -> dict[str, object]:
    return {"runs": [{"tool": {"driver": {"name": "scanner"}}, "results": [{"ruleId": "r", "level": level}]}]}


CONTROL = control(
    "code-scan", "No scanner of code found anything serious", "SARIF", bad=_said("error"), good=_said("note")
)
