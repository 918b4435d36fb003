"""What the controls over scanners share."""

from __future__ import annotations

import json
from typing import Any

from tasks.controls.scanners.reading import Results, of_tools
from tasks.core.control import Control, Severity


def of(document: Any) -> Results:
    """Return the facts that one result holds."""
    facts = Results()
    facts.read(json.dumps(document), "case.json")
    return facts


def control(name: str, title: str, *tools: str, bad: Any, good: Any) -> Control[Results]:
    """Return a control over what some scanners wrote.

    Args:
        name: Its id.
        title: What holds.
        tools: Whose results count.
        bad: A result with a serious hole.
        good: A result without one.
    """
    return Control(
        id=name,
        about="scanners",
        title=title,
        proves=f"What {' or '.join(tools)} wrote names nothing serious; not that it looked well, or lately.",
        severity=Severity.HIGH,
        remedy="Update what is named, or say in the scanner's own file why it can wait.",
        requirements={
            "SOC 2": ("CC7.1",),
            "ISO 27001:2022": ("A.8.8",),
            "GDPR": ("Art. 32",),
            "CIS Kubernetes": (),
        },
        judge=lambda facts: of_tools(facts, *tools),
        bad=lambda: of(bad),
        good=lambda: of(good),
    )
