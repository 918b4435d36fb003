"""Saw-teeth: what grows slowly and is cleaned up at once, time and again. Its peaks say when it gets too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.core.forecasting.arrays import Floats, Integers, quantiles

_STEEP = 8.0
"""A clean-up is so many times a usual change."""
_HIGH = 0.25
"""A clean-up takes this share of the whole range at least."""
_RHYTHM = 0.15
"""Teeth are in a rhythm where their lengths differ by no more than this share."""


@dataclass(frozen=True)
class Teeth:
    """The saw-teeth of a series.

    Attributes:
        peaks: Where each clean-up took place: the index of the last value before it.
        heights: The values there.
        length: Steps of one tooth, where they come in a rhythm; 0 where not.
        depth: How much a clean-up takes.
    """

    peaks: Integers
    heights: Floats
    length: float
    depth: float


def find_teeth(values: Floats) -> Teeth | None:
    """Return the saw-teeth of a series; None where it has none, or where it has outgrown them."""
    change = np.diff(values)
    if len(change) < 12:  # noqa: PLR2004
        return None
    at = np.arange(len(values)) - (len(values) - 1) / 2
    low, high = quantiles(values - float(at @ values) / float(at @ at) * at, 0.005, 0.995)
    usual = float(np.median(np.abs(change - np.median(change))))
    bound = max(_STEEP * usual, _HIGH * (high - low))
    if bound <= 0:
        return None
    drops = np.flatnonzero(change < -bound)
    if not _alike(values, drops, int((change > bound).sum())):
        return None
    lengths = np.diff(drops)
    usual_length = float(np.median(lengths))
    steady = len(drops) >= 3 and bool(np.all(np.abs(lengths - usual_length) <= _RHYTHM * usual_length))  # noqa: PLR2004
    length = float(drops[-1] - drops[0]) / (len(drops) - 1) if steady else 0.0
    return Teeth(drops, values[drops], length, float(np.median(values[drops] - values[drops + 1])))


def _alike(values: Floats, drops: Integers, rises: int) -> bool:
    """Whether these are clean-ups of one kind, with slow growth between, and still go on."""
    if len(drops) < 2 or rises * 3 > len(drops):  # noqa: PLR2004
        return False
    sizes = values[drops] - values[drops + 1]
    usual = float(np.median(sizes))
    grown = float(np.median(values[drops[1:]] - values[drops[:-1] + 1]))
    newest = float(values[drops[-1] + 1 :].max())
    return bool(
        sizes.max() <= 3 * sizes.min() and grown >= 0.5 * usual and newest <= values[drops].max() + 0.25 * usual
    )
