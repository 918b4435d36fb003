"""What every source of logs hands over, and the bounds that all of them keep together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.core.results import Gap

MOST_BYTES = 32 << 20
MOST_LINES = 200_000


@dataclass
class Taken:
    """What was read of one source.

    Attributes:
        name: A file, a pod, a service.
        text: Whole lines.
        remark: What was left out, for a person; empty where nothing was.
    """

    name: str
    text: bytes
    remark: str = ""

    def lines(self) -> Iterator[str]:
        """Yield its lines; what is not UTF-8 is replaced."""
        for line in self.text.split(b"\n"):
            if line:
                yield line.decode("utf-8", "replace").rstrip("\r")


@dataclass
class Haul:
    """All that was read, and what could not be."""

    taken: list[Taken] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many bytes may still be read."""
        return max(MOST_BYTES - sum(len(one.text) for one in self.taken), 0)

    @property
    def remark(self) -> str:
        """What was left out of all of it."""
        return "; ".join(f"{one.name}: {one.remark}" for one in self.taken if one.remark)
