"""`make demo`: everything on the embedded lab, two platforms broken on purpose, five reports."""

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


@dataclass(frozen=True)
class Shown:
    """What the demo ends with."""

    status: stack.StackStatus
    reports: Mapping[str, Report]
    pages: Mapping[str, str]
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
        }


def demonstrate(state: Path, *, keep: bool, progress: Callable[[str], None]) -> Shown:
    """Bring all up, break two platforms, run the five health checks through Prefect, and tell what they found.

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
        reports, pages = _check_all(Settings(state=state), progress)
        return Shown(status, reports, pages, time.perf_counter() - began)
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

    def check(name: str) -> runs.Outcome:
        outcome = runs.start(FLOW, name, {}, settings=settings, follow=True)
        progress(f"{name}: {outcome.message or outcome.state}")
        return outcome

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(check, names))
    store = report_store(settings)
    reports, pages = {}, {}
    for name in names:
        kept = store.newest(name, FLOW)
        if kept is None:
            raise PermanentError(f"the check of {name} left no report", hint="see its run in the Prefect UI")
        reports[name], pages[name] = kept
    return reports, pages


def as_expected(shown: Shown) -> bool:
    """Tell whether the broken platforms failed for what was broken, and no other did."""
    broken = {target.split("/")[0]: target.split("/")[1] for target in FAULTS}
    found = all(
        any(finding.system == system for finding in shown.reports[name].problems) for name, system in broken.items()
    )
    return found and all(
        report.verdict is not Verdict.FAILED for name, report in shown.reports.items() if name not in broken
    )
