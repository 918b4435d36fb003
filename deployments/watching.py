"""What a person sees in the terminal while a check runs, and when it has ended."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console

from tasks.core.backup_report import BackupReport
from tasks.core.platform import PlatformSpec
from tasks.core.report import Report, SystemReport
from tasks.reports import backup_words, bulletin_terminal, terminal
from tasks.reports.wording import plural

if TYPE_CHECKING:
    from tasks.backing_up import BackupRun, Made
    from tasks.inspections import Inspection
    from tasks.vault.writing import Progress

_OFTEN = 5.0


class Watcher:
    """Tells progress on standard error, a line as each system is done, and the summary on standard output."""

    def __init__(self, *, quiet: bool) -> None:
        self._progress = Console(stderr=True, quiet=quiet, highlight=False)
        self._console = Console(highlight=False)
        self.inspection: Inspection | None = None

    @property
    def platform(self) -> PlatformSpec | None:
        """What is checked, once that is known."""
        return self.inspection.platform if self.inspection is not None else None

    def began(self, inspection: Inspection) -> None:
        """Say what is checked."""
        self.inspection = inspection
        self._progress.print(
            f"Checking {inspection.platform.title}: {plural(len(inspection.systems), 'system')}", style="bold"
        )

    def told(self, system: SystemReport) -> None:
        """Show one system's line."""
        self._progress.print(terminal.system_line(system))

    def ended(self, report: Report) -> None:
        """Show the summary."""
        self._progress.print()
        self._console.print(terminal.render(report, self.platform))


class BackupWatcher:
    """Tells on standard error how a run of backups goes, and the summary on standard output. Called from threads."""

    def __init__(self, run: BackupRun, *, quiet: bool) -> None:
        self._progress = Console(stderr=True, quiet=quiet, highlight=False)
        self._console = Console(highlight=False)
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        names = ", ".join(run.systems)
        self._progress.print(f"Backing up {run.platform.title}: {names}", style="bold")

    def told(self, system: str, progress: Progress) -> None:
        """Say every few seconds how far a system is, how quick it goes, and how long it will take."""
        with self._lock:
            if monotonic() - self._said.get(system, 0.0) < _OFTEN:
                return
            self._said[system] = monotonic()
        self._progress.print(f"  {system}: {progress.text}", style="bright_black")

    def done(self, made: Made) -> None:
        """Say what came of a system."""
        for failure in made.failed:
            self._progress.print(f"  {backup_words.failure_line(failure)}", style="red")
        for backup, _ in made.backups:
            self._progress.print(f"  {backup_words.backup_line(backup)}")

    def ended(self, report: BackupReport) -> None:
        """Show the summary."""
        self._progress.print()
        self._console.print(bulletin_terminal.render(backup_words.bulletin(report)))
