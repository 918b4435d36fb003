"""The embedded lab: real servers on loopback, filled with data as the platforms hold it, broken on demand.

What is public is imported when it is used: a command that only prints help must not wait for drivers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployments.lab.catalog import faults
    from deployments.lab.operating import LabStatus, break_, down, environment, mend, resolver, status, up

__all__ = ["LabStatus", "break_", "down", "environment", "faults", "mend", "resolver", "status", "up"]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "catalog" if name == "faults" else "operating"
    return getattr(importlib.import_module(f"deployments.lab.{module}"), name)
