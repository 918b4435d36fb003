"""Restoring, verifying and drilling from the command line: the same layers as the flows, without Prefect."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from deployments.recording import keep, record
from tasks.core.drill import Drill
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.quarter import QuarterReport
from tasks.core.report import Verdict
from tasks.core.restore_plan import PlannedRestore, RestoreReport
from tasks.core.settings import Settings
from tasks.core.verify_report import VerifyReport
from tasks.drill_evidence import keep_bundle
from tasks.drill_journal import left_behind, under_way
from tasks.drilling import Asked, Drilling
from tasks.faces import OfBulletin
from tasks.inspections import report_store
from tasks.platforms import access
from tasks.quarters import QuarterRun
from tasks.reports import bulletin_html, bulletin_terminal, drills, quarters, restores
from tasks.reports.bulletin import Bulletin
from tasks.restore_runs import RestoreRun, VerifyRun
from tasks.restoring import Restoring, Wish
from tasks.vault.keys import Identity

Told = Callable[[str], None]


class Shown:
    """What a command shows in the end: a plan or a report, with its bulletin."""

    def __init__(self, result: PlannedRestore | RestoreReport | VerifyReport | QuarterReport, told: Bulletin) -> None:
        self._result, self._told = result, told

    @property
    def fine(self) -> bool:
        """Whether the command ends with 0."""
        return self._result.verdict in (Verdict.PASSED, Verdict.WARNED)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it; of what is only planned, the plan, and whether it can be done here."""
        found = self._result.model_dump(mode="json")
        if isinstance(self._result, PlannedRestore):
            return {**found["plan"], "verdict": found["verdict"], "checks": found["checks"]}
        return found

    def show(self) -> None:
        """Print it for a person."""
        Console(highlight=False).print(bulletin_terminal.render(self._told))


def restore_now(
    platform: str, system: str, wish: Wish, into: str, settings: Settings, *, only_plan: bool, progress: Told
) -> Shown:
    """Restore a system, or say what that would do.

    Raises:
        ConfigError: There is no such system or backup, or the target cannot be taken.
    """
    restoring = Restoring.open(platform, settings)
    restoring.tell = progress
    run = RestoreRun(restoring, system, wish, into)
    if only_plan:
        planned = run.planned()
        return Shown(planned, restores.of_planned(planned))
    with _stopping(run.cancel):
        report = run.run(progress)
    bulletin = restores.of_restore(report)
    record(restoring, OfBulletin(report, bulletin))
    return Shown(report, bulletin)


def verify_now(
    platform: str,
    systems: Sequence[str],
    backup: str,
    level: int,
    settings: Settings,
    *,
    vault: str | None,
    progress: Told,
) -> Shown:
    """Verify a platform's backups, or the one that is named as `system/id`.

    Raises:
        ConfigError: There is no such platform, system or backup.
    """
    if backup and systems:
        raise ConfigError("a backup and systems are not named together", hint="name one of the two")
    restoring = Restoring.open(platform, settings)
    restoring.tell = progress
    run = VerifyRun(restoring, systems, level, backup=backup, vault=vault)
    with _stopping(run.cancel):
        report = run.run(progress)
    bulletin = restores.of_verifications(report)
    record(run.restoring, OfBulletin(report, bulletin))
    return Shown(report, bulletin)


def drill_now(platform: str, asked: Asked, settings: Settings, *, identity: Path | None, progress: Told) -> Drill:
    """Rehearse a disaster, keep the report for the trend, and return it.

    Raises:
        ConfigError: There is no such platform or system, or the key is none.
    """
    escrow = Identity(identity.read_text(encoding="utf-8")) if identity is not None else None
    drilling = Drilling.open(platform, settings, asked, tell=progress, escrow=escrow)
    for died in left_behind(settings, drilling.platform.platform):
        progress(f"the drill {died.id} died and is kept now: {died.interrupted}")
        _keep(died, drilling, progress)
    with under_way(drilling):
        with _stopping(drilling.cancel):
            drill = drilling.run()
        _keep(drill, drilling, progress, lambda: keep_bundle(drilling, drill))
    return drill


def quarter_now(quarter: str, settings: Settings) -> tuple[Shown, str]:
    """Gather every platform's drills of a quarter, keep the report, and return it with its page.

    Raises:
        ConfigError: It is no quarter, or one that is still to come; or there is no platform.
    """
    run = QuarterRun(quarter, settings, access(settings))
    report = run.report(run.gather())
    made = OfBulletin(report, quarters.bulletin(report))
    keep(run, made)
    return Shown(report, made.bulletin), made.page()


def _keep(drill: Drill, drilling: Drilling, progress: Told, bundle: Callable[[], str] | None = None) -> None:
    bulletin = drills.bulletin(drill)
    record(drilling, OfBulletin(drill, bulletin))
    try:
        where = report_store(drilling.settings).save(drill, bulletin_html.render(bulletin))
        progress(f"the report is kept in {where}")
        if bundle is not None:
            progress(f"the evidence is kept in {bundle()}")
    except WatchkeeperError as error:
        progress(f"the report could not be kept: {error}")


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Have an interrupt stop the work at its next step, so that all is torn down; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _frame: FrameType | None) -> None:
        stop()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
