"""Prefect's own pages, without the calls home that they make whatever the settings say."""

from __future__ import annotations

import re
from pathlib import Path

_TRACKING_KEY = re.compile(rb"(\{return`)[0-9a-f]{32}(`\})")


def settings(home: Path) -> dict[str, str]:
    """Return the settings with which a server lays its pages down in a folder of ours."""
    return {"PREFECT_UI_STATIC_DIRECTORY": str(_pages(home))}


def keep_private(home: Path) -> None:
    """Take the key of Prefect's tracking service out of the pages that a server has laid down.

    Prefect 3.8's pages ask that service for its own settings even where analytics are off; without a key they do not.
    """
    for script in _pages(home).glob("*/assets/index-*.js"):
        text = script.read_bytes()
        private = _TRACKING_KEY.sub(rb"\1\2", text)
        if private != text:
            script.write_bytes(private)


def _pages(home: Path) -> Path:
    return home / "pages"
