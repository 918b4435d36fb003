"""A headless Chromium that reaches this machine only, and remembers what its pages asked for."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE = 20_000


def executable() -> str | None:
    """Return where Chromium is on PATH, or None."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium with an empty profile; it ends with the block."""
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=executable(), args=_ARGUMENTS)


@dataclass(frozen=True)
class Look:
    """A page, with every address that it asked for and every error that it logged."""

    page: Page
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        """What was asked of anything but this machine."""
        return [address for address in self.asked if not _is_here(address)]


@contextlib.contextmanager
def look(context: BrowserContext) -> Iterator[Look]:
    """Open an empty page; pages of one context share what they have loaded.

    Raises:
        AssertionError: The page asked another machine for something.
    """
    with contextlib.closing(context.new_page()) as page:
        page.set_default_timeout(_PATIENCE)
        seen = Look(page)
        page.on("request", lambda request: seen.asked.append(request.url))
        page.on("websocket", lambda socket: seen.asked.append(socket.url))
        page.on("console", lambda line: seen.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: seen.errors.append(error.message))
        yield seen
        assert seen.outside == []


def _is_here(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("data", "blob", "file") or parts.hostname == "127.0.0.1"
