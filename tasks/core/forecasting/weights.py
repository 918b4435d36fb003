"""How much each member counts, by how far off it was at the earlier origins of that very series."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tasks.core.forecasting.arrays import Floats, Integers

_POWER = 7
_RECENT = 0.92
"""How much an origin counts for each that came after it."""


def parts(horizon: int, cycle: int) -> list[slice]:
    """Cut a horizon where other members become the better ones: near, within a cycle, and beyond."""
    unit = cycle if cycle > 1 else max(2, horizon // 2)
    cuts = [0, *sorted({cut for cut in (unit // 4, unit, 7 * unit) if 0 < cut < horizon}), horizon]
    return [slice(start, end) for start, end in pairwise(cuts)]


def combine(said: Floats, truth: Floats, cuts: list[slice], sizes: Floats, apart: Integers) -> tuple[Floats, Floats]:
    """Weigh the members and return what they say together.

    Args:
        said: `members x origins x horizon`; the last origin is the forecast itself.
        truth: `origins - 1 x horizon`; NaN where the series has ended or a value is missing.
        cuts: Parts of the horizon that are weighed apart.
        sizes: `origins x horizon`: what errors are shares of.
        apart: `origins - 1 x origins - 1`: how many steps lie between two origins.

    Returns:
        The ensemble at each origin, at the earlier ones weighed by the others only; the weights in the mean.
    """
    path = np.empty(said.shape[1:])
    shares = np.zeros(len(said))
    known = int(np.isfinite(truth).any(axis=0).sum())
    recent = _RECENT ** np.arange(len(truth) - 1, -1, -1.0)
    for cut in cuts:
        off = np.abs(said[:, :-1, cut] - truth[None, :, cut]) / sizes[None, :-1, cut]
        seen = np.isfinite(off)
        error = np.where(seen, off, 0.0).sum(axis=2) / np.maximum(seen.sum(axis=2), 1)
        counts = recent * (seen.sum(axis=2)[0] > 0)
        share = _shares(error @ counts)
        others = _shares((error * counts) @ _judges(apart, min(cut.stop, known)))
        path[-1, cut] = share @ said[:, -1, cut]
        path[:-1, cut] = np.einsum("mo,moh->oh", others, said[:, :-1, cut])
        shares += share * (cut.stop - cut.start)
    return path, shares / shares.sum()


def _judges(apart: Integers, length: int) -> Floats:
    """Return which origins judge each: those with which it shares no step, or all others where there is none."""
    free = (apart >= length).astype(np.float64)
    others = (apart > 0).astype(np.float64) if len(apart) > 1 else np.ones(apart.shape)
    return np.where(free.any(axis=0), free, others)


def _shares(error: Floats) -> Floats:
    floor = error.max(axis=0) * 1e-9 + 1e-300
    share = ((error.min(axis=0) + floor) / (error + floor)) ** _POWER
    return np.asarray(share / share.sum(axis=0))
