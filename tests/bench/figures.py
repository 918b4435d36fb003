"""What a benchmark brings home, and how two rivals are timed side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Figure:
    """One ratio with the bound that it should hold; a bound is `<=` and a number."""

    value: float
    bound: float
    against: str

    @property
    def holds(self) -> bool:
        """Whether the value is within its bound."""
        return self.value <= self.bound

    def as_dict(self) -> dict[str, object]:
        """The form of `build/bench/NAME.json`."""
        return {
            "value": round(self.value, 3),
            "bound": f"<={self.bound:g}",
            "holds": self.holds,
            "against": self.against,
        }


def ratio(ours: Callable[[], object], rival: Callable[[], object], *, rounds: int = 7) -> float:
    """Time two calls in turn after one warm-up of each, and return the median of the ratios pair by pair."""
    ours()
    rival()
    return statistics.median(_seconds(ours) / _seconds(rival) for _ in range(rounds))


def _seconds(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began
