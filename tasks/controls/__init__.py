"""Every control that Watchkeeper knows, one file each, found by looking: a module that has a `CONTROL` is one.

Controls judge what is handed to them; they fetch nothing and know no driver.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Any

from tasks.core.control import Control


@functools.cache
def controls() -> dict[str, Control[Any]]:
    """Return every control by its id.

    Raises:
        RuntimeError: Two have the same id.
    """
    found: dict[str, Control[Any]] = {}
    for module in sorted(pkgutil.walk_packages(__path__, f"{__name__}."), key=lambda one: one.name):
        control = getattr(importlib.import_module(module.name), "CONTROL", None)
        if control is None:
            continue
        if control.id in found:
            raise RuntimeError(f"two controls are called {control.id}")
        found[control.id] = control
    return found


def about(subject: str) -> list[Control[Any]]:
    """Return the controls whose facts are of one sort."""
    return [control for control in controls().values() if control.about == subject]


def listed() -> list[Control[Any]]:
    """Return the controls that a platform's checklist may hold: of itself, its clusters, its scanners, its waivers."""
    return [control for subject in ("platform", "kubernetes", "scanners", "waivers") for control in about(subject)]
