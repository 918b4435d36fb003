"""Whether the few moments at which a forecaster was graded were luckier than the whole history, and by how much."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Integers, Runs, Seasons

_LOOKS = 16
"""So many steps ahead are looked at."""
_FEWEST = 4
_BELIEVED = 0.6
_MOST = 2.0


def luck(values: Floats, seasons: Seasons, runs: Runs, errors: Floats) -> float:
    """Return what usual errors are to be multiplied with.

    The naive forecaster can be graded at every moment. As far as its errors went with the ensemble's, how it did at
    the graded moments against all moments says how lucky those were.

    Args:
        values: The series.
        seasons: Its cycles: the naive forecaster repeats the shortest.
        runs: The graded moments.
        errors: `origins x steps`, of the ensemble; NaN where not known.
    """
    graded, cycle, count = errors.shape[1], seasons.shortest, len(values)
    ahead = np.unique(np.geomspace(1, graded, min(_LOOKS, graded)).round().astype(np.int64))
    lags = -(-ahead // cycle) * cycle
    places = runs.past[:, None] + ahead[None, :] - 1
    phases = places % cycle
    mine, known = np.abs(errors[:, ahead - 1]), places < count
    known &= np.isfinite(mine)
    if known.any(axis=1).sum() < _FEWEST:
        return 1.0
    places = np.minimum(places, count - 1)
    naive = np.where(known, np.abs(values[places] - values[places - lags[None, :]]), 0.0)
    mine = np.where(known, mine, 0.0)
    seen = np.maximum(known.sum(axis=0), 1)
    there, usual = naive.sum(axis=0) / seen + 1e-300, mine.sum(axis=0) / seen + 1e-300
    whole = np.array([_usual(values, int(lag), cycle, at) for lag, at in zip(lags, phases.T, strict=True)])
    each = np.maximum(known.sum(axis=1), 1)
    ours, theirs = (mine / usual).sum(axis=1) / each, (naive / there).sum(axis=1) / each
    if min(np.ptp(ours), np.ptp(theirs)) <= 1e-9:  # noqa: PLR2004
        return 1.0
    alike = max(0.0, float(np.corrcoef(ours, theirs)[0, 1]))
    return float(np.clip(np.exp(np.log(whole / there).mean()), 1 / _MOST, _MOST) ** (_BELIEVED * alike))


def _usual(values: Floats, lag: int, cycle: int, phases: Integers) -> float:
    """Return the naive forecaster's mean error so far ahead: at the phase of the graded moments, if it is one."""
    first, every = (lag, 1) if np.ptp(phases) else (lag + (int(phases[0]) - lag) % cycle, cycle)
    return float(np.abs(values[first::every] - values[first - lag : len(values) - lag : every]).mean()) + 1e-300
