"""Series as machines have them, whose future is known: walks, growth, saw-teeth, disks with the hour they are full."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator
DAY = 24


def walk(random: Random, hours: int) -> Floats:
    """Return a random walk: nothing tells of it but its last value."""
    return 1000 + np.cumsum(random.normal(size=hours))


def growth(random: Random, hours: int) -> Floats:
    """Return what grows by a share a day, and swings by a share of itself."""
    at = np.arange(hours)
    swing = 1 + 0.3 * np.sin(2 * np.pi * (at + random.uniform(0, DAY)) / DAY)
    grown = 50 * np.exp(at / hours * random.uniform(0.8, 2.5))
    return np.asarray(grown * swing * np.exp(random.normal(size=hours) * 0.05))


def prices(random: Random, hours: int) -> Floats:
    """Return a walk of shares: what it moves by goes with how high it is."""
    return np.asarray(100 * np.exp(np.cumsum(random.normal(size=hours) * 0.01 + 0.0005)))


def teeth(random: Random, hours: int) -> Floats:
    """Return what is cleaned up whenever it gets too much, more or less."""
    rate, jitter, top, rest = random.uniform(0.2, 1.5), random.uniform(0, 1), random.uniform(70, 90), 30.0
    values, now, limit = np.empty(hours), random.uniform(30, 70), top
    for at in range(hours):
        now += rate * (1 + jitter * random.normal())
        if now > limit:
            now, limit = rest + 3 * jitter * random.normal(), top + 3 * jitter * random.normal()
        values[at] = now
    return values


def busy(random: Random, hours: int) -> Floats:
    """Return what is quiet at night and restless at noon."""
    day = np.sin(2 * np.pi * (np.arange(hours) + random.uniform(0, DAY)) / DAY)
    return np.asarray(100 + 10 * day + random.normal(size=hours) * np.exp(random.uniform(0.7, 1.4) * day))


def restless(random: Random, hours: int) -> Floats:
    """Return noise around a day, now calm for weeks and now wild."""
    wild = np.clip(np.exp(np.cumsum(random.normal(size=hours) * 0.03)), 0.1, 10)
    day = np.sin(2 * np.pi * (np.arange(hours) + random.uniform(0, DAY)) / DAY)
    return np.asarray(1000 + 10 * day + random.normal(size=hours) * wild)


KINDS: dict[str, Callable[[Random, int], Floats]] = {
    "walks": walk,
    "growth": growth,
    "prices": prices,
    "saw-teeth": teeth,
    "busy-hours": busy,
    "restless": restless,
}
"""What intervals are easily too narrow or too wide on."""


def filling(random: Random, hours: int) -> tuple[Floats, float]:
    """Return a disk, in per cent, and in how many hours it is full."""
    start, left = random.uniform(20, 50), random.uniform(10, 75) * DAY
    at = np.arange(hours)
    line = start + (100 - start) / (hours + left) * at
    return line + 0.3 * np.sin(2 * np.pi * at / DAY) + random.normal(size=hours) * random.uniform(0.1, 1.0), left


def cleaned(random: Random, hours: int) -> Floats:
    """Return a disk that is cleaned up in time, in a rhythm, and comes close to being full."""
    length = int(random.integers(20, 240))
    grown = (np.arange(hours) + random.integers(length)) % length / length
    return np.asarray(random.uniform(50, 57) + 40 * grown + random.normal(size=hours) * 0.3)
