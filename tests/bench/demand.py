"""Hourly series as services and shops have them, whose future is known: what forecasters are compared on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def demand(count: int, hours: int, *, seed: int = 0) -> Floats:
    """Return so many series: days and weeks of various shapes, trends, growth, level shifts, noise that lasts.

    Args:
        count: How many; one row each.
        hours: Their length.
        seed: Another one for others.
    """
    return np.array([_one(np.random.default_rng([seed, number]), number, hours) for number in range(count)])


def _one(random: np.random.Generator, number: int, hours: int) -> Floats:
    at = np.arange(hours)
    day = at % 24
    shape = sum(
        random.normal() / wave * np.sin(2 * np.pi * wave * (day - random.uniform(0, 24)) / 24) for wave in (1, 2, 3)
    )
    weekend = np.where((at // 24 + random.integers(7)) % 7 >= 5, random.uniform(0.4, 1.0), 1.0)
    values = 50 + 10 * shape * weekend + 15 * (weekend - 1) + _lasting(random, hours) * random.uniform(0.5, 4)
    if number % 4 == 1:
        values += at * random.uniform(-0.01, 0.02)
    elif number % 4 == 2:
        values *= np.exp(at * random.uniform(0, 0.0005))
    elif number % 4 == 3:
        values[random.integers(hours // 3, hours * 2 // 3) :] += random.uniform(10, 30)
    return np.asarray(values, dtype=np.float64)


def _lasting(random: np.random.Generator, hours: int) -> Floats:
    kept = random.uniform(0.3, 0.97)
    weights = kept ** np.arange(120.0)
    noise = np.convolve(random.normal(size=hours + 119), weights, mode="valid")
    return np.asarray(noise * np.sqrt(1 - kept * kept), dtype=np.float64)
