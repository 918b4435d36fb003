"""Ridge regression of a series on its own past, fitted anew at each origin, and iterated over the horizon."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Runs

_RIDGE = 1e-3


def autoregression(values: Floats, runs: Runs, lags: tuple[int, ...]) -> Floats:
    """Return the forecasts of every origin.

    The sums of products are kept from origin to origin, so that a further origin costs one small solution.
    """
    known = values[: runs.origins[0]]
    mean, spread = float(known.mean()), float(known.std()) or 1.0
    scaled = (values - mean) / spread
    longest = max(lags)
    rows = np.column_stack(
        [np.ones(len(values) - longest), *(scaled[longest - lag : len(scaled) - lag] for lag in lags)]
    )
    weights = _fitted(rows, scaled[longest:], runs.origins - longest)
    return _iterated(scaled, runs, np.array(lags), weights) * spread + mean


def _fitted(rows: Floats, targets: Floats, ends: np.ndarray) -> Floats:
    """Return the ridge solution over the rows before each end."""
    width = rows.shape[1]
    products, moments = np.zeros((len(ends), width, width)), np.zeros((len(ends), width))
    begun = 0
    for at, end in enumerate(ends):
        part, aim = rows[begun:end], targets[begun:end]
        products[at] = (products[at - 1] if at else 0.0) + part.T @ part
        moments[at] = (moments[at - 1] if at else 0.0) + part.T @ aim
        begun = end
    ridge = _RIDGE * np.maximum(ends, 1)[:, None, None] * np.eye(width)
    size = np.trace(products, axis1=1, axis2=2)[:, None, None] / width  # so that no growth makes it singular
    solved: Floats = np.linalg.solve(products + ridge + 1e-9 * (1 + size) * np.eye(width), moments[:, :, None])[:, :, 0]
    return solved


def _iterated(scaled: Floats, runs: Runs, lags: np.ndarray, weights: Floats) -> Floats:
    """Feed each forecast into the next; one that runs away is held within what was ever seen, and half as much."""
    longest = int(lags.max())
    path = np.empty((longest + runs.horizon, len(runs.origins)))
    path[:longest] = scaled[runs.origins[None, :] + np.arange(-longest, 0)[:, None]]
    constant, slopes = weights[:, 0], np.ascontiguousarray(weights[:, 1:].T)
    for at in range(longest, longest + runs.horizon):
        path[at] = constant + (path[at - lags] * slopes).sum(axis=0)
    bound = 3.0 + 1.5 * float(np.abs(scaled).max())
    return np.nan_to_num(np.clip(path[longest:], -bound, bound), nan=0.0).T
