"""Ridge regressions of a series on its own past, fitted anew at each origin, and iterated over the horizon."""

from __future__ import annotations

import numpy as np

from tasks.core.forecasting.arrays import Floats, Integers, Runs

_RIDGE = 1e-3


def autoregressions(values: Floats, runs: Runs, chosen: dict[str, tuple[int, ...]]) -> dict[str, Floats]:
    """Return the forecasts of every origin, for each choice of lags by its name.

    The sums of products are taken once for all lags and kept from origin to origin, so that a further origin or a
    further choice costs one small solution.
    """
    if not chosen:
        return {}
    known = values[: runs.origins[0]]
    mean, spread = float(known.mean()), float(known.std()) or 1.0
    scaled = (values - mean) / spread
    lags = np.array(sorted({lag for some in chosen.values() for lag in some}))
    longest = int(lags[-1])
    rows = np.empty((len(lags) + 1, len(values) - longest))
    rows[0] = 1.0
    for at, lag in enumerate(lags, start=1):
        rows[at] = scaled[longest - lag : len(scaled) - lag]
    counts = runs.origins - longest
    products, moments = _sums(rows, scaled[longest:], counts)
    weights = np.zeros((len(chosen), len(runs.origins), len(lags) + 1))
    for at, some in enumerate(chosen.values()):
        places = np.concatenate(([0], 1 + np.searchsorted(lags, some)))
        weights[at][:, places] = _solved(products[:, places[:, None], places], moments[:, places], counts)
    paths = _iterated(scaled, runs, lags, weights) * spread + mean
    return dict(zip(chosen, paths, strict=True))


def _sums(rows: Floats, targets: Floats, ends: Integers) -> tuple[Floats, Floats]:
    """Return the sums of products over the columns before each end: of the rows, and of them with the targets."""
    width = len(rows)
    products, moments = np.empty((len(ends), width, width)), np.empty((len(ends), width))
    begun, total, aimed = 0, np.zeros((width, width)), np.zeros(width)
    for at, end in enumerate(ends):
        part = rows[:, begun:end]
        total = total + part @ part.T
        aimed = aimed + part @ targets[begun:end]
        products[at], moments[at] = total, aimed
        begun = end
    return products, moments


def _solved(products: Floats, moments: Floats, counts: Integers) -> Floats:
    width = moments.shape[1]
    ridge = _RIDGE * np.maximum(counts, 1)[:, None, None] * np.eye(width)
    size = np.trace(products, axis1=1, axis2=2)[:, None, None] / width  # so that no growth makes it singular
    solved: Floats = np.linalg.solve(products + ridge + 1e-9 * (1 + size) * np.eye(width), moments[:, :, None])[:, :, 0]
    return solved


def _iterated(scaled: Floats, runs: Runs, lags: Integers, weights: Floats) -> Floats:
    """Feed each forecast into the next; one that runs away is held within what was ever seen, and half as much."""
    longest, many = int(lags[-1]), weights.shape[0] * weights.shape[1]
    path = np.empty((longest + runs.horizon, many))
    path[:longest] = np.tile(scaled[runs.origins[None, :] + np.arange(-longest, 0)[:, None]], weights.shape[0])
    flat = weights.reshape(many, -1)
    constant, slopes = flat[:, 0], np.ascontiguousarray(flat[:, 1:].T)
    before = longest - lags
    for at in range(runs.horizon):
        np.einsum("lm,lm->m", path[before + at], slopes, out=path[longest + at])
        path[longest + at] += constant
    bound = 3.0 + 1.5 * float(np.abs(scaled).max())
    held = np.nan_to_num(np.clip(path[longest:], -bound, bound), nan=0.0)
    return np.ascontiguousarray(held.T).reshape(*weights.shape[:2], runs.horizon)
