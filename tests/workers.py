"""Running the suite in several workers: who gets which tests, so that what takes long to start is started once."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = {
    "lab": ("lab", "running_lab"),
    "stack": ("up",),
    "prefect": ("prefect_api",),
    "servers": ("s3_server", "postgres_server", "mongodb_server", "redis_server", "prometheus_server"),
}
"""Fixtures of a whole session that take long to start, by what the tests that share them are called."""


@functools.cache
def group(file: str) -> str:
    """Return what a file's tests share with others: a name of `_SHARED`, or the file itself.

    Args:
        file: The path within the project.
    """
    text = (_ROOT / file).read_text(encoding="utf-8")
    for name, fixtures in _SHARED.items():
        if re.search(rf"(?:def \w+|usefixtures|getfixturevalue)\([^)]*\b(?:{'|'.join(fixtures)})\b", text):
            return name
    return file


def longest_first(nodeid: str) -> bool:
    """Sort the tests of the lab before all others, and leave the rest as it is."""
    return group(nodeid.partition("::")[0]) != "lab"


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole groups, in their order."""

    def __init__(self, config: Any, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid.partition("::")[0])
