"""Whether a series swings the more the higher it is: then it is looked at in logarithms too."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats

_DOUBLED = 1.5
_ALIKE = 0.75


def multiplicative(values: Floats, block: int) -> bool:
    """Return whether the swings within blocks rise with their levels, and the levels differ enough to tell.

    Args:
        values: The series, without gaps.
        block: Steps of a block: a day, or what takes its place.
    """
    size = max(block, 8)
    count = len(values) // size
    if count < 8 or values.min() <= 0:  # noqa: PLR2004
        return False
    rows = values[len(values) - count * size :].reshape(count, size)
    levels, swings = rows.mean(axis=1), rows.std(axis=1)
    if swings.min() <= 0 or np.quantile(levels, 0.95) < _DOUBLED * np.quantile(levels, 0.05):
        return False
    height, width = np.log(levels), np.log(swings)
    if width.std() < 1e-9:  # noqa: PLR2004
        return False
    return bool(np.corrcoef(height, width)[0, 1] > _ALIKE)
