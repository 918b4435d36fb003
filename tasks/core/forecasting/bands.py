"""Prediction intervals that keep their word: conformal, on what the ensemble was off at its own earlier origins."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tasks.core.forecasting.arrays import Floats, Integers

_WORTH = 0.42
_MOST = 40.0
"""One earlier origin is never worth more independent looks than this."""


@dataclass(frozen=True)
class Spread:
    """How far off a forecast is: in general at each step ahead, and which multiples of that bound how much.

    Attributes:
        scale: The usual error at each step ahead.
        scores: Signed errors at earlier origins, in usual errors, rising.
        looks: How many independent looks they come from.
    """

    scale: Floats
    scores: Floats
    looks: float

    def at(self, share: float) -> float:
        """Return the multiple of the usual error below which the error stays in this share of the cases."""
        return _quantile(self.scores, share, self.looks)


def spread_of(errors: Floats, horizon: int, apart: float, luck: float = 1.0) -> Spread:
    """Learn the spread.

    Args:
        errors: `origins x steps`, truth less forecast; NaN where it is not known.
        horizon: Steps to spread over; beyond those that were graded it grows as it grew before.
        apart: How many of the origins have a horizon of their own.
        luck: What the usual errors are multiplied with, as the origins were luckier than the whole history.
    """
    scale = _scale(errors)
    scores = errors / scale
    known = np.sort(scores[np.isfinite(scores)])
    return Spread(_lengthened(scale, horizon) * luck, known, apart * _worth(scores))


def coverage(errors: Floats, interval: float, apart: float) -> float:
    """Return the share of errors inside the interval that the other origins would have given; NaN for one origin."""
    origins = len(errors)
    if origins < 2:  # noqa: PLR2004
        return float("nan")
    scores = errors / _scale(errors)
    seen = np.isfinite(scores)
    belongs = np.broadcast_to(np.arange(origins)[:, None], scores.shape)[seen]
    order = np.argsort(scores[seen], kind="stable")
    known, belongs = scores[seen][order], belongs[order]
    mine = belongs[None, :] == np.arange(origins)[:, None]
    before = np.cumsum(~mine, axis=1)  # how many of the others' scores lie up to each, in their order
    looks = max(apart * (origins - 1) / origins, 1.0) * _worth(scores)
    low, high = (known[_places(before, share)] * _student(share, looks) for share in tails(interval))
    held = ((known >= low[:, None]) & (known <= high[:, None]) & mine).sum(axis=1)
    counted = mine.sum(axis=1)
    judged = (counted > 0) & (before[:, -1] > 0)
    return float((held[judged] / counted[judged]).mean()) if judged.any() else float("nan")


def _places(before: Integers, share: float) -> Integers:
    """Return where the quantile of the others lies for each origin."""
    wanted = np.round(share * np.maximum(before[:, -1] - 1, 0))
    return np.asarray((before > wanted[:, None]).argmax(axis=1))


def tails(interval: float) -> tuple[float, float]:
    """Return the two shares between which an interval lies: 0.8 is from 0.1 to 0.9."""
    return (1 - interval) / 2, (1 + interval) / 2


def _worth(scores: Floats) -> float:
    """Return how many independent looks an origin is: many where its errors are noise, one where they drift."""
    before, after = scores[:, :-1], scores[:, 1:]
    both = np.isfinite(before) & np.isfinite(after)
    before, after = before[both], after[both]
    squares = float(before @ before + after @ after) / 2
    alike = float(np.clip(before @ after / squares, 0.0, 0.999)) if squares > 0 else 0.0
    return float(np.clip(_WORTH * scores.shape[1] * (1 - alike) / (1 + alike), 1.0, _MOST))


def _quantile(known: Floats, share: float, looks: float) -> float:
    """Return a quantile, moved outwards as few looks ask for it: as Student's is from the normal distribution's."""
    if not len(known):
        return 0.0
    at = float(np.clip(share, 0.0, 1.0)) * (len(known) - 1)
    below = int(at)
    above = min(below + 1, len(known) - 1)
    found = float(known[below] + (known[above] - known[below]) * (at - below))
    return found * _student(share, looks)


def _student(share: float, looks: float) -> float:
    """Return Student's quantile over the normal one (Cornish and Fisher, 1937), for so many degrees of freedom."""
    square = NormalDist().inv_cdf(float(np.clip(share, 0.001, 0.999))) ** 2
    few = max(0.75 * looks - 1, 2.0)
    return 1 + (square + 1) / (4 * few) + (5 * square * square + 16 * square + 3) / (96 * few * few)


def _scale(errors: Floats) -> Floats:
    """Return the mean absolute error at each step ahead, over that step and its neighbours."""
    seen = np.isfinite(errors)
    total = np.where(seen, np.abs(errors), 0.0).sum(axis=0)
    count = seen.sum(axis=0).astype(float)
    steps = np.arange(errors.shape[1])
    half = np.minimum(max(1, errors.shape[1] // 16), 1 + steps // 3)
    starts, ends = np.maximum(steps - half, 0), np.minimum(steps + half + 1, errors.shape[1])
    sums, counts = (np.concatenate(([0.0], np.cumsum(part))) for part in (total, count))
    near = (sums[ends] - sums[starts]) / np.maximum(counts[ends] - counts[starts], 1.0)
    whole = total.sum() / max(count.sum(), 1.0)
    return np.asarray(np.maximum(near, 0.05 * whole) + 1e-12)


def _lengthened(scale: Floats, horizon: int) -> Floats:
    known = len(scale)
    if horizon <= known:
        return scale[:horizon]
    steps = np.log(np.arange(1, known + 1))
    logs = np.log(scale)
    away = steps - steps.mean()
    growth = float(np.clip((away @ logs) / max(float(away @ away), 1e-12), 0.25, 1.0)) if known > 3 else 0.5  # noqa: PLR2004
    beyond = scale[-1] * (np.arange(known + 1, horizon + 1) / known) ** growth
    return np.concatenate((scale, beyond))
