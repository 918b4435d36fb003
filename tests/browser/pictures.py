"""Takes the pictures in docs/pictures anew: `python -m tests.browser.pictures`, where Chromium is on PATH.

Everything on them is real: a stack with the lab, a green run, then one with the cache of apex stopped. An emoji font
makes them prettier.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page
from rich.console import Console
from rich.terminal_theme import MONOKAI

from deployments import lab, runs, stack
from deployments.check import FLOW
from tasks.core.report import Report
from tasks.core.settings import Settings
from tasks.inspections import report_store
from tasks.platforms import load
from tasks.reports import terminal
from tests.browser import chromium, prefect_pages

_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
_LARGEST = 200_000
_COLOURS = 128
_PLATFORM = "apex"


def main() -> None:
    """Take every picture."""
    if chromium.executable() is None:
        sys.exit("there is no Chromium on PATH")
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        status = stack.up(state, lab=True, progress=_say)
        try:
            run, report, page = _check(state)
            with chromium.started() as browser:
                _take(browser, "prefect-form.png", lambda at: _form(at, status.ui), width=1180)
                _take(browser, "prefect-run.png", lambda at: _run(at, run), width=1180)
                _take(browser, "slack.png", lambda at: _slack(at, status.slack), width=1000)
                _take(browser, "report.png", lambda at: _report(at, page), width=900)
                _take(browser, "terminal.png", lambda at: _terminal(at, report), width=900)
        finally:
            stack.down(state)


def _check(state: Path) -> tuple[str, Report, str]:
    """Check a platform twice, the second time with a broken cache; returns the run's address, its report, its page."""
    settings = Settings(state=state)
    runs.start(FLOW, _PLATFORM, {"tell": False}, settings=settings, follow=True)
    lab.break_(state / "lab", f"{_PLATFORM}/cache", "stopped")
    run = runs.start(FLOW, _PLATFORM, {}, settings=settings, follow=True)
    kept = report_store(settings).newest(_PLATFORM, FLOW)
    if kept is None:
        sys.exit("the check left no report")
    return run.url, *kept


def _take(browser: Browser, name: str, show: Callable[[Page], Page | Locator], *, width: int) -> None:
    with (
        closing(browser.new_context(viewport={"width": width, "height": 900}, timezone_id="UTC")) as context,
        chromium.look(context) as seen,
    ):
        picture = _smaller(show(seen.page).screenshot(animations="disabled"))
    if len(picture) > _LARGEST:
        sys.exit(f"{name} has {len(picture):,} bytes: more than {_LARGEST:,}")
    (_FOLDER / name).write_bytes(picture)
    _say(f"{name}: {len(picture):,} bytes")


def _smaller(picture: bytes) -> bytes:
    taken, kept = Image.open(io.BytesIO(picture)), io.BytesIO()
    taken.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def _form(page: Page, ui: str) -> Page:
    prefect_pages.open_form(page, ui, _PLATFORM)
    prefect_pages.choose(page, ("api", "cache"))
    return page


def _run(page: Page, address: str) -> Page:
    page.goto(address.replace("/runs/", "/v2/runs/"))
    prefect_pages.open_artifact(page, f"{FLOW}-{_PLATFORM}")
    page.get_by_role("heading", name="What to look at").wait_for()
    return page


def _slack(page: Page, address: str) -> Page:
    page.goto(address)
    page.get_by_role("link", name=f"{_PLATFORM}-oncall").click()
    page.locator("#log > .message").last.scroll_into_view_if_needed()
    return page


def _report(page: Page, file: str) -> Page:
    page.goto(Path(file).as_uri())
    return page


def _terminal(page: Page, report: Report) -> Locator:
    console = Console(record=True, file=io.StringIO(), width=100, force_terminal=True)
    console.print(terminal.render(report, load(_PLATFORM)))
    text = console.export_html(theme=MONOKAI, inline_styles=True, code_format="{code}")
    style = "background:#1d1f21;color:#e8eaed;display:inline-block;margin:0;padding:1rem;font:14px/1.4 monospace"
    page.set_content(f'<body style="margin:0"><pre style="{style}">$ watchkeeper check {_PLATFORM}\n{text}</pre>')
    return page.locator("pre").first


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
