"""One stack with a broken cache for all tests of this folder, one Chromium, and one run started from the form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from deployments import lab, stack
from tests.browser import chromium, prefect_pages
from tests.browser.chromium import Look

SYSTEMS = ("api", "cache")


@dataclass(frozen=True)
class Checked:
    """A run that a person started from the form, as it ended."""

    address: str
    state: str
    report: Path


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; not for the session, as it would leave its event loop to the tests of other folders."""
    if chromium.executable() is None:
        pytest.skip("there is no Chromium on PATH: what people see in a browser was not tested")
    with chromium.started() as started:
        yield started


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.StackStatus]:
    """Everything that `watchkeeper up` brings up, with the lab of apex alone, whose cache is stopped."""
    state = tmp_path_factory.mktemp("up") / "state"
    try:
        lab.up(["apex"], state / "lab")
        status = stack.up(state, lab=True)
        lab.break_(state / "lab", "apex/cache", "stopped")
        yield status
    finally:
        stack.down(state)
        assert not stack.status(state).up


@pytest.fixture(scope="package")
def desk(browser: Browser) -> Iterator[BrowserContext]:
    """A browser window on a desk: Prefect's pages are large, and are loaded once."""
    with closing(browser.new_context(viewport={"width": 1280, "height": 1000})) as context:
        yield context


@pytest.fixture
def look(desk: BrowserContext) -> Iterator[Look]:
    """An empty page that may ask this machine only."""
    with chromium.look(desk) as seen:
        yield seen


@pytest.fixture(scope="package")
def checked(desk: BrowserContext, up: stack.StackStatus) -> Checked:
    """The health check of two systems of apex, started from the form and waited for."""
    with chromium.look(desk) as seen:
        prefect_pages.open_form(seen.page, up.ui, "apex")
        prefect_pages.choose(seen.page, SYSTEMS)
        prefect_pages.submit(seen.page)
        state = prefect_pages.wait_for_the_end(seen.page)
        (report,) = (Path(up.state) / "reports" / "apex" / "health-check").glob("*.html")
        return Checked(seen.page.url, state, report)
