"""`make demo`: everything on the embedded lab, two platforms broken on purpose, five reports, and one that is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments import lab, runs, stack
from deployments.check import FLOW
from tasks.core.errors import PermanentError
from tasks.core.report import Report, Verdict
from tasks.core.settings import Settings
from tasks.inspections import report_store
from tasks.platforms import load, platform_names
from tasks.reports import terminal, wording

FAULTS = {"apex/cache": "stopped", "stario/database": "connections"}
LOST = "synesthesia"
"""What is backed up, and brought back as after a disaster."""
_REHEARSAL: Mapping[str, dict[str, Any]] = {"backup": {}, "dr-drill": {"scenario": "complete-platform"}}


@dataclass(frozen=True)
class Shown:
    """What the demo ends with."""

    status: stack.StackStatus
    reports: Mapping[str, Report]
    pages: Mapping[str, str]
    rehearsed: Mapping[str, runs.Outcome]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "seconds": round(self.seconds, 1),
            "ui": self.status.ui,
            "slack": self.status.slack,
            "faults": FAULTS,
            "verdicts": {name: report.verdict for name, report in self.reports.items()},
            "pages": dict(self.pages),
            "rehearsed": {flow: outcome.as_dict() for flow, outcome in self.rehearsed.items()},
        }


def demonstrate(state: Path, *, keep: bool, progress: Callable[[str], None]) -> Shown:
    """Bring all up, break two platforms, run the five health checks through Prefect, back one up and bring it back.

    Args:
        state: The folder for all of it.
        keep: Leave everything up at the end.
        progress: Told of each step.

    Raises:
        PermanentError: A run left no report.
        WatchkeeperError: Something did not start.
    """
    began = time.perf_counter()
    was_up = stack.status(state).up
    try:
        status = stack.up(state, lab=True, progress=progress)
        progress(f"Prefect UI {status.ui}   Slack {status.slack}")
        for target, fault in FAULTS.items():
            lab.break_(state / "lab", target, fault)
            progress(f"broke {target} on purpose: {fault}")
        settings = Settings(state=state)
        reports, pages = _check_all(settings, progress)
        rehearsed = {flow: _followed(flow, LOST, settings, progress, given) for flow, given in _REHEARSAL.items()}
        return Shown(status, reports, pages, rehearsed, time.perf_counter() - began)
    finally:
        if not keep and not was_up:
            progress("ending the server, the worker and the lab (ARGS=--keep leaves them up)")
            stack.down(state)


def show(shown: Shown, *, kept: bool) -> None:
    """Print the verdicts, what the broken platforms say, and where more is to be seen."""
    console = Console(highlight=False)
    for name in (target.split("/")[0] for target in FAULTS):
        console.print()
        console.print(terminal.render(shown.reports[name], load(name)))
    table = Table(title="\nThe morning's checks", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head in ("platform", "verdict", "report"):
        table.add_column(head, overflow="fold")
    for name, report in shown.reports.items():
        table.add_row(name, Text(report.verdict, terminal.STYLES[wording.WORST[report.verdict]]), shown.pages[name])
    console.print(table)
    console.print(f"\n[bold]A disaster, rehearsed: {LOST} backed up, lost, and brought back elsewhere[/bold]")
    for flow, outcome in shown.rehearsed.items():
        console.print(f"{flow:9} {outcome.state}: {outcome.message}")
    console.print(f"\nThese were broken on purpose: {', '.join(f'{t} ({f})' for t, f in FAULTS.items())}")
    console.print(f"Prefect UI  {shown.status.ui}\nSlack       {shown.status.slack}")
    after = (
        "`watchkeeper down` ends all of it"
        if kept
        else "both have ended by now: `make demo ARGS=--keep` leaves them up"
    )
    console.print(f"{after}. Done in {shown.seconds:.0f} s.")


def _check_all(settings: Settings, progress: Callable[[str], None]) -> tuple[dict[str, Report], dict[str, str]]:
    names = platform_names(settings)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: _followed(FLOW, name, settings, progress), names))
    store = report_store(settings)
    reports, pages = {}, {}
    for name in names:
        kept = store.newest(name, FLOW)
        if kept is None:
            raise PermanentError(f"the check of {name} left no report", hint="see its run in the Prefect UI")
        reports[name], pages[name] = kept
    return reports, pages


def _followed(
    flow: str, name: str, settings: Settings, progress: Callable[[str], None], given: Mapping[str, Any] | None = None
) -> runs.Outcome:
    outcome = runs.start(flow, name, dict(given or {}), settings=settings, follow=True)
    progress(f"{name}: {outcome.message or outcome.state}")
    return outcome


def as_expected(shown: Shown) -> bool:
    """Tell whether the broken platforms failed for what was broken, no other did, and what was lost came back."""
    broken = {target.split("/")[0]: target.split("/")[1] for target in FAULTS}
    found = all(
        any(finding.system == system for finding in shown.reports[name].problems) for name, system in broken.items()
    )
    back = not any(outcome.exit_code for outcome in shown.rehearsed.values())
    return (
        found
        and back
        and all(report.verdict is not Verdict.FAILED for name, report in shown.reports.items() if name not in broken)
    )
