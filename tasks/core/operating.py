"""Operating effectiveness: what was to run over a period, what did, and whether each gap is explained. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, Field

from tasks.core.model import Model
from tasks.core.platform import PlatformSpec
from tasks.core.statements import Downtime

_EARLY = timedelta(minutes=5)


class Ran(NamedTuple):
    """One run as the evidence tells it.

    Attributes:
        flow: Of which flow.
        began: When.
        slot: For which time of its schedule; None where it was started for none.
        by_hand: Whether a person ran it on the command line, where it may have been of a part alone.
    """

    flow: str
    began: datetime
    slot: datetime | None = None
    by_hand: bool = False


class Gap(Model):
    """A time at which something was to run and did not."""

    at: AwareDatetime
    why: str = Field("", description="What explains it; empty where nothing does.")


class Operated(Model):
    """What was to run of one flow, and what did."""

    flow: str
    expected: int
    ran: int
    gaps: tuple[Gap, ...] = ()

    @property
    def unexplained(self) -> tuple[Gap, ...]:
        """The gaps that nothing explains."""
        return tuple(gap for gap in self.gaps if not gap.why)


def operating(
    expected: Mapping[str, Sequence[datetime]],
    ran: Sequence[Ran],
    platform: PlatformSpec,
    downtimes: Sequence[Downtime],
) -> tuple[Operated, ...]:
    """Hold what ran against what was to run.

    A slot is kept by the run that was scheduled for it, however late, or by any other of Prefect's that began before
    the next one.

    Args:
        expected: The slots of each flow, in their order.
        ran: What the evidence holds.
        platform: Whose maintenance windows explain gaps.
        downtimes: What people said of times in which nothing could run.
    """
    found = []
    for flow, slots in sorted(expected.items()):
        mine = [one for one in ran if one.flow == flow and not one.by_hand]
        exact = {one.slot for one in mine}
        gaps = []
        for number, slot in enumerate(slots):
            end = slots[number + 1] - _EARLY if number + 1 < len(slots) else datetime.max.replace(tzinfo=slot.tzinfo)
            if slot not in exact and not any(slot - _EARLY <= one.began < end for one in mine):
                gaps.append(Gap(at=slot, why=_why(slot, platform, downtimes)))
        found.append(Operated(flow=flow, expected=len(slots), ran=len(slots) - len(gaps), gaps=tuple(gaps)))
    return tuple(found)


def _why(slot: datetime, platform: PlatformSpec, downtimes: Sequence[Downtime]) -> str:
    for one in downtimes:
        if one.begin <= slot < one.until:
            return f"downtime: {one.text} ({one.by}, noted on {one.at:%Y-%m-%d})"
    for name, window in platform.maintenance.items():
        if not window.systems and window.until(slot, platform.timezone) is not None:
            return f"maintenance: {window.title or name}"
    return ""
