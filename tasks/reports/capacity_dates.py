"""When a bound is reached, as a person says it: the day, how far off it is, and how sure that is."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from tasks.core.capacity import CapacityReport, Outlook, Reached

_WORDS = {0: "today", 1: "tomorrow"}
_SURE = "80% sure: "


def telling(one: Outlook) -> Reached:
    """Return the bound that says most: the first critical one that is reached, else the first.

    Raises:
        ValueError: It has no bound.
    """
    if one.pressing is None:
        raise ValueError(f"{one.key} has no bound")
    dated = (reached for reached in one.reached if reached.critical and reached.state == "within the horizon")
    return one.pressing if one.pressing.state == "already" else next(dated, one.pressing)


class Dates:
    """Days as seen from a report, in its own time zone.

    Args:
        report: The plan.
    """

    def __init__(self, report: CapacityReport) -> None:
        self._zone, self._now, self._days = ZoneInfo(report.timezone), report.finished, report.horizon_days

    def of(self, at: datetime) -> str:
        """Write a day: `Tue 1 Dec`, with its year where that is another."""
        year = at.astimezone(self._zone).year
        return self._plain(at) + ("" if year == self._now.astimezone(self._zone).year else f" {year}")

    def day(self, reached: Reached) -> str:
        """Say in a word or three when a bound is reached: `Tue 1 Dec`, `tomorrow`."""
        if reached.state == "already":
            return "already"
        if reached.median is None:
            return f"not within {self._days:.0f} days"
        return _WORDS.get(self._ahead(reached.median), self.of(reached.median))

    def on(self, reached: Reached) -> str:
        """Say when a bound is reached, behind a verb: `on Tue 1 Dec, in 5 days`; nothing where it was already."""
        if reached.state == "already" or reached.median is None:
            return "" if reached.state == "already" else self.told(reached)
        ahead = self._ahead(reached.median)
        if ahead in _WORDS:
            return f"{_WORDS[ahead]}, {self.of(reached.median)}"
        return f"on {self.of(reached.median)}, in {ahead} days"

    def by(self, at: datetime) -> str:
        """Say until when something is to be begun: `today`, `by Thu 3 Dec`."""
        return "today" if self._ahead(at) <= 0 else f"by {self.of(at)}"

    def told(self, reached: Reached) -> str:
        """Say it in a table's cell, with the interval."""
        if reached.median is not None:
            sure = self.interval(reached).removeprefix(_SURE)
            return self.of(reached.median) + (f" ({sure})" if sure else "")
        if reached.state == "already":
            return "already"
        if reached.early is not None:
            return f"not expected within {self._days:.0f} days, but it may be from {self.of(reached.early)} on"
        return "it does not change" if "not change" in reached.text else f"not within {self._days:.0f} days"

    def interval(self, reached: Reached) -> str:
        """Say the 80 % interval of a date; nothing where both ends are the same day."""
        if reached.median is None or reached.early is None:
            return ""
        early = self._plain(reached.early)
        if reached.late is None:
            return f"{_SURE}{early} or later"
        late = self._plain(reached.late)
        return "" if early == late else f"{_SURE}{early} to {late}"

    def _plain(self, at: datetime) -> str:
        local = at.astimezone(self._zone)
        return f"{local:%a} {local.day} {local:%b}"

    def _ahead(self, at: datetime) -> int:
        return (at.astimezone(self._zone).date() - self._now.astimezone(self._zone).date()).days
