"""Amounts as Kubernetes writes them, rounded up to what a person would write."""

from __future__ import annotations

import math

MIB = 2.0**20
GIB = 2.0**30
_STEPS = ((GIB, 16 * MIB), (4 * GIB, 64 * MIB), (16 * GIB, 256 * MIB))
_CPU_STEPS = ((0.1, 0.01), (1.0, 0.05), (4.0, 0.1))
_SMALL = 1e-9


def whole_memory(size: float) -> float:
    """Round bytes up: to 16 MiB up to one GiB, and more coarsely beyond. What is whole stays."""
    return _up(size, _STEPS, GIB)


def whole_cpu(cores: float) -> float:
    """Round cores up: to 10m up to 100m, to 50m up to one core, and more coarsely beyond. What is whole stays."""
    return round(_up(cores, _CPU_STEPS, 0.5), 3)


def _up(amount: float, steps: tuple[tuple[float, float], ...], last: float) -> float:
    step = next((step for most, step in steps if amount <= most), last)
    return math.ceil(amount / step - _SMALL) * step


def cpu_text(cores: float | None) -> str:
    """Write cores: `250m`, `2`."""
    if cores is None:
        return "none"
    milli = math.ceil(cores * 1000 - _SMALL)
    return f"{milli // 1000}" if milli % 1000 == 0 else f"{milli}m"


def load_text(cores: float) -> str:
    """Write cores for a person: `3.5 cores`, `0.25 cores`."""
    return f"{cores:.1f} cores" if cores >= 1 else f"{cores:.2g} cores"


def memory_text(size: float | None) -> str:
    """Write bytes: `512Mi`, `2Gi`."""
    if size is None:
        return "none"
    if size >= GIB and size % GIB == 0:
        return f"{size / GIB:.0f}Gi"
    return f"{math.ceil(size / MIB - _SMALL)}Mi"
