"""The shapes that a forecast's parts share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def quantiles(values: Floats, *shares: float) -> list[float]:
    """Return the values of the nearest ranks; many times quicker than NumPy's own on short arrays."""
    ranks = [round(share * (len(values) - 1)) for share in shares]
    ordered = np.partition(values, ranks)
    return [float(ordered[rank]) for rank in ranks]


def median(values: Floats) -> float:
    """Return the median; several times quicker than NumPy's own on short arrays."""
    count = len(values)
    middle = count // 2
    if count % 2:
        return float(np.partition(values, middle)[middle])
    ordered = np.partition(values, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True)
class Seasons:
    """The cycles that a series has, in steps.

    Attributes:
        block: Steps of one block, of which trends are made: a day where the steps are shorter, else one step.
        day: Steps of a day, where it was found; 0 where not.
        week: Steps of a week, where it was found; 0 where not.
        tooth: Steps of one saw-tooth, where the series has them in a rhythm; 0 where not.
    """

    block: int
    day: int = 0
    week: int = 0
    tooth: int = 0

    @property
    def shortest(self) -> int:
        """The cycle that seasonal naive repeats; 1 where there is none."""
        return self.day or self.week or self.tooth or 1

    @property
    def periods(self) -> tuple[int, ...]:
        """All cycles that were found, shortest first."""
        return tuple(period for period in (self.day, self.week, self.tooth) if period)


@dataclass(frozen=True)
class Runs:
    """Where forecasts begin: at earlier moments, to be graded, and last of all at the end of the series.

    Attributes:
        origins: The index of the first step that each forecasts, rising; the last is the length of the series.
        horizon: Steps that each forecasts.
    """

    origins: Integers
    horizon: int

    @property
    def past(self) -> Integers:
        """The origins that can be graded."""
        return self.origins[:-1]

    @property
    def apart(self) -> Integers:
        """How many steps lie between each two of the origins that can be graded."""
        return np.asarray(np.abs(self.past[:, None] - self.past[None, :]))
