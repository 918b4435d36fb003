"""Level shifts and clean-ups: where a series began anew, and its history as if it had always been at today's level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.core.forecasting.arrays import Floats, quantiles

_CLEAR = 4.0
"""A step is so many times as high as three of four changes from one block to the next are at most."""
_KEPT = 0.6
"""What must be left of a step once a week has passed; a holiday or a burst is none."""
_MOST = 8
_STAIR = 1.5
"""A rounded number that grows climbs stairs as high as it is rounded: no level shifts, but its trend."""
_STEEP = 5.0
_HELD = 0.3
_UNHEARD_OF = 3.0
"""A newest value that jumps so many times as far as any before is a fault or a new level: it is too early to tell."""


@dataclass(frozen=True)
class Step:
    """A lasting change of level.

    Attributes:
        at: The index of the first value on the new level.
        height: How much higher the new level is; negative for a drop.
    """

    at: int
    height: float


def find_steps(values: Floats, block: int, *, seasonal: bool = True) -> list[Step]:
    """Return the lasting changes of level, oldest first.

    Args:
        values: The series, without gaps.
        block: Steps of a day, or what takes its place; a level is the mean of one block.
        seasonal: Whether it has a cycle. Where not, a cliff of the last hours counts at once: there is no night for it.
    """
    width = max(block, 4)
    if len(values) < 6 * width:
        return []
    sums = np.concatenate(([0.0], np.cumsum(values)))
    means = (sums[width:] - sums[:-width]) / width
    change = means[width:] - means[:-width]
    usual = float(np.median(change))
    away = np.abs(change - usual)
    bound = max(_CLEAR * quantiles(away, 0.75)[0], _STAIR * _grain(values)) + 1e-9 * float(np.abs(values).max())
    found: list[Step] = []
    while len(found) < _MOST and (strongest := int(np.argmax(away))) >= 0 and away[strongest] > bound:
        at = _sharpened(values, strongest + width, width, float(change[strongest] - usual))
        height = _lasting(values, at, width, usual / width)
        if height is not None and abs(height) > _KEPT * away[strongest] and height * (change[strongest] - usual) > 0:
            found.append(Step(at, height))
        away[max(0, strongest - width) : strongest + width + 1] = 0.0
    if not seasonal and (cliff := _newest_cliff(values, width)) and all(cliff.at != step.at for step in found):
        found.append(cliff)
    return sorted(found, key=lambda step: step.at)


def aligned(values: Floats, steps: list[Step]) -> Floats:
    """Return the series with everything before each step moved to the level after it."""
    moved = values.copy()
    for step in steps:
        moved[: step.at] += step.height
    return moved


def tamed(values: Floats) -> Floats | None:
    """Return a series whose newest value alone jumped as nothing did before, with that jump held; None: it did not."""
    change = np.diff(values)
    most = float(np.abs(change[:-1]).max())
    if abs(float(change[-1])) <= _UNHEARD_OF * most:
        return None
    held = values.copy()
    held[-1] = values[-2] + np.copysign(most, change[-1])
    return held


def _grain(values: Floats) -> float:
    """Return the smallest change of a series, beside those that are errors of arithmetic."""
    change = np.abs(np.diff(values))
    change = change[change > 1e-9 * np.abs(values).max()]
    return float(change.min()) if len(change) else 0.0


def _newest_cliff(values: Floats, width: int) -> Step | None:
    """Return a drop within the last two blocks that is far steeper than anything before it, and holds."""
    change = np.diff(values)
    begun = len(change) - 2 * width
    at = begun + int(np.argmin(change[begun:]))
    height = float(change[at])
    usual = quantiles(np.abs(change[:begun]), 0.99)[0]
    after = values[at + 1 :]
    if len(after) < 3 or -height <= _STEEP * usual:  # noqa: PLR2004
        return None
    before = values[at + 1 - width : at + 1]
    up = abs(float(np.median(before)) - float(values[at]))  # the end of a burst is no cliff: it was not up for long
    down = abs(float(np.median(after)) - float(after[0]))
    return Step(at + 1, height) if max(up, down) < -_HELD * height else None


def _sharpened(values: Floats, near: int, width: int, height: float) -> int:
    """Return where the change itself is, rather than where the means differ most."""
    start, end = max(near - width // 2, width + 1), min(near + width // 2 + 1, len(values) - 1)
    if start >= end:
        return near
    jumps = np.diff(values)
    here, before = jumps[start - 1 : end], jumps[start - 1 - width : end - width]
    sign = 1.0 if height > 0 else -1.0
    return start + int(np.argmax(sign * (here - before)))


def _lasting(values: Floats, at: int, width: int, slope: float) -> float | None:
    """Return what is left of a step after up to a week, held against the same phases before it; None: too early."""
    left = len(values) - at
    if left < 2 * width:
        return None
    back = 7 * width if at >= 7 * width else (at // width) * width
    if back <= 0:
        return None
    span = min(back, left)
    same_phases = values[at : at + span] - values[at - back : at - back + span]
    return float(np.median(same_phases)) - slope * back
