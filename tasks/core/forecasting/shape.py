"""The shape of a series: cycles, level shifts, saw-teeth, and whether it grows by shares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tasks.core.forecasting.arrays import Floats, Seasons
from tasks.core.forecasting.growth import multiplicative
from tasks.core.forecasting.seasons import find_seasons
from tasks.core.forecasting.steps import Step, aligned, find_steps
from tasks.core.forecasting.teeth import Teeth, find_teeth


class Shape(NamedTuple):
    """What was found in a series.

    Attributes:
        level: Its values, those before a level shift moved to the level after it.
        grows: Whether it swings the more the higher it is, so that errors are shares.
    """

    seasons: Seasons
    steps: list[Step]
    teeth: Teeth | None
    level: Floats
    grows: bool


def shape_of(values: Floats, step: float) -> Shape:
    """Find the shape of a series.

    Args:
        values: The series, without gaps.
        step: Seconds from one value to the next.
    """
    seasons, teeth, level = find_seasons(values, step), find_teeth(values), values
    grows = not teeth and multiplicative(values, seasons.block)
    steps = (
        [] if teeth else find_steps(np.log(values) if grows else values, seasons.block, seasonal=bool(seasons.periods))
    )
    if steps:
        level = np.exp(aligned(np.log(values), steps)) if grows else aligned(values, steps)
    if steps or grows:
        seasons = find_seasons(np.log(level) if grows else level, step)
    length = round(teeth.length) if teeth else 0
    if length and length not in seasons.periods and len(values) > 3 * length:
        seasons = Seasons(seasons.block, seasons.day, seasons.week, length)
    return Shape(seasons, steps, teeth, level, grows)
