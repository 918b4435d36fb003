"""What a person sees in the terminal while a check runs, and when it has ended."""

from __future__ import annotations

from rich.console import Console

from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport
from tasks.inspections import Inspection
from tasks.reports import terminal


class Watcher:
    """Tells progress on standard error, a line as each system is done, and the summary on standard output."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Console(stderr=True, quiet=quiet, highlight=False)
        self._console = Console(highlight=False)
        self.platform: PlatformSpec | None = None

    def began(self, inspection: Inspection) -> None:
        """Say what is checked."""
        self.platform = inspection.platform
        self._progress.print(f"Checking {self.platform.title}: {len(inspection.systems)} systems", style="bold")

    def told(self, system: SystemReport) -> None:
        """Show one system's line."""
        self._progress.print(terminal.system_line(system))

    def ended(self, report: Report) -> None:
        """Show the summary."""
        self._progress.print()
        self._console.print(terminal.render(report, self.platform))
