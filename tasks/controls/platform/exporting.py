"""What the controls of exports share: each is run, and its package opened."""

from __future__ import annotations

from collections.abc import Callable

from tasks.controls.platform.cases import package, unasked
from tasks.controls.platform.common import control
from tasks.core.compliance import Facts
from tasks.core.control import Control, Judgement, Severity
from tasks.core.trials import judge as tried


def export_control(
    name: str, title: str, *, wanted: Callable[[Facts], bool], unknown: str, gdpr: tuple[str, ...]
) -> Control[Facts]:
    """Make the control of an export.

    Args:
        name: Its id, which its trials have too.
        title: What holds when it is kept.
        wanted: Whether the spec says how it is run.
        unknown: What the spec does not say otherwise: `how audit logs are exported`.
        gdpr: The articles that it meets.
    """

    def judge(facts: Facts) -> Judgement:
        return tried(facts.trials, name, ("",), facts.now) if wanted(facts) else unasked(unknown)

    return control(
        name,
        title,
        proves="The export was really run, its package opened, held against its own hashes, and as many entries "
        "counted as the source has; its SHA-256 is kept with the result.",
        severity=Severity.HIGH,
        remedy="Run the export by hand, and look at what it hands over.",
        judge=judge,
        bad=lambda: package(name, 9),
        good=lambda: package(name, 10),
        soc2=("CC2.3", "CC7.3"),
        iso=("A.5.28", "A.5.31"),
        gdpr=gdpr,
        attestable=True,
    )
