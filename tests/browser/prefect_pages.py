"""The steps of a person in Prefect's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from playwright.sync_api import Page, expect

from deployments.check import FLOW

_ENDED = re.compile(r"^(Completed|Warned|Failed|Crashed|Cancelled)$")
_A_RUN = 90_000


def open_form(page: Page, ui: str, platform: str) -> None:
    """Go from the list of deployments to the form of a platform's health check."""
    page.goto(f"{ui}/v2/deployments")
    page.get_by_role("row").filter(has_text=FLOW).get_by_role("link", name=platform, exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_role("button", name="Submit").wait_for()


def choose(page: Page, systems: Iterable[str]) -> None:
    """Choose systems in the form."""
    page.get_by_role("button", name="Select systems").click()
    for name in systems:
        page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def submit(page: Page) -> None:
    """Submit the form and go to the run."""
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("link", name="View run").click()
    page.wait_for_url("**/runs/flow-run/**")


def wait_for_the_end(page: Page) -> str:
    """Wait until the run that is shown has ended, and return its state's name."""
    state = page.get_by_text(_ENDED).first
    expect(state).to_be_visible(timeout=_A_RUN)
    return state.inner_text()


def open_artifact(page: Page, key: str) -> None:
    """Open an artifact of the run that is shown: its history first, then the newest of it."""
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("heading", name=key, exact=True).click()
    page.wait_for_url("**/artifacts/key/**")
    page.locator("main a[href*='/artifacts/artifact/']").first.click()
    page.get_by_role("tabpanel", name="Artifact").wait_for()


def write_the_platform(page: Page, text: str) -> None:
    """Write the platform, the form's first field, as JSON instead of choosing it."""
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Use JSON input").click()
    box = page.get_by_role("group").first.get_by_role("textbox")
    box.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
