"""A chart of one measurement that runs out: what it was, what is expected with its interval, and the bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from tasks.core.capacity import Outlook, Reached
from tasks.core.happenings import Happening
from tasks.core.units import Unit, format_quantity
from tasks.reports import wording
from tasks.reports.bulletin import Picture
from tasks.reports.capacity_dates import Dates
from tasks.reports.charts import drawable, font
from tasks.reports.drawing import NARROW, Palette, picture, plain_axes, write

_SIGNS = {
    "deploy": ("^", "triangle"),
    "incident": ("x", "cross"),
    "maintenance": ("", "shade"),
    "backup": ("|", "stroke"),
    "restore": ("s", "square"),
    "drill": ("D", "diamond"),
}
"""matplotlib's marker of each kind of happening, and what it is called."""
_ROOM, _LEAST = 1.3, timedelta(days=14)
_FAR = 3.0
"""A bound that lies farther off than so many times the range of the values is named, not drawn."""


def chart(outlook: Outlook, zone: ZoneInfo, dates: Dates, happenings: Sequence[Happening] = ()) -> Picture:
    """Draw one measurement, what is expected of it, its bounds, and what happened meanwhile."""
    said = [f"{outlook.amount(one.limit)} {dates.on(one)}".rstrip() for one in outlook.reached]
    name = re.sub(r"[^a-z0-9]+", "-", outlook.key.lower()).strip("-")[:60]
    title = wording.plain("; ".join([f"{outlook.called}, now {outlook.observed}", *said]), 200)

    def draw(figure: Any, palette: Palette) -> None:
        _draw(figure, palette, outlook, dates, zone, happenings)

    return picture(f"{name}.png", title, 2.5, draw, width=NARROW)


def _draw(
    figure: Any, palette: Palette, outlook: Outlook, dates: Dates, zone: ZoneInfo, happenings: Sequence[Happening]
) -> None:
    axes = plain_axes(figure, palette, (0.15, 0.17, 0.8, 0.6))
    last = _last(outlook)
    ahead_of = [one for one in outlook.ahead if one.at <= last]
    _dated(axes, outlook, last, zone)
    past, ahead = palette.series[0], palette.series[1]
    axes.plot([one.at for one in outlook.history], [one.value for one in outlook.history], color=past, linewidth=1.2)
    at = [one.at for one in ahead_of]
    low, high = [one.low for one in ahead_of], [one.high for one in ahead_of]
    axes.fill_between(at, low, high, color=ahead, alpha=0.25, linewidth=0)
    axes.plot(at, [one.value for one in ahead_of], color=ahead, linewidth=1.4, linestyle="--")
    near = _near(outlook)
    final = max((one.median for one in near if one.median is not None), default=None)
    for reached in near:
        axes.axhline(reached.bound, color=palette.bad, linewidth=1.1, linestyle="-" if reached.critical else ":")
        if reached.state == "within the horizon" and reached.median is not None:
            axes.plot([reached.median], [reached.bound], marker="o", color=palette.bad, markersize=5)
            _date(axes, palette, reached, dates, beyond=reached.median == final)
    marked = _mark(axes, palette, outlook, last, happenings)
    axes.yaxis.set_major_formatter(lambda value, _: _tick(value, outlook.unit))
    heading = wording.plain(f"{outlook.called[:1].upper()}{outlook.called[1:]}", 64)
    figure_axes = figure.add_axes((0, 0.82, 1, 0.18), frameon=False, xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
    write(figure_axes, 0.03, 0.7, heading, palette.ink, bold=True)
    share = f"% of {outlook.share} · " if outlook.share else ""
    legend = f"{share}solid: measured · dashed: expected, 80% sure"
    write(figure_axes, 0.03, 0.26, legend, palette.quiet, size=8)
    if marked:
        below = figure.add_axes((0, 0, 1, 0.08), frameon=False, xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        write(below, 0.03, 0.5, "marks: " + " · ".join(marked), palette.quiet, size=7.5)


def _date(axes: Any, palette: Palette, reached: Reached, dates: Dates, *, beyond: bool) -> None:
    """Write the day beside its dot: above and before what is reached last, else below and behind."""
    side, up = (-1, 1) if beyond else (1, -1)
    axes.annotate(
        drawable(dates.day(reached), 30),
        (reached.median, reached.bound),
        xytext=(4 * side, 3 * up),
        textcoords="offset points",
        ha="right" if beyond else "left",
        va="bottom" if up > 0 else "top",
        color=palette.bad,
        font=font(bold=True),
        fontsize=8,
    )


def _last(outlook: Outlook) -> datetime:
    """Return until when is drawn: somewhat longer than until the last bound, as beyond it nothing is news."""
    first, end = outlook.ahead[0].at, outlook.ahead[-1].at
    dated = [one.late or one.median for one in outlook.reached if one.median is not None]
    known = [at for at in dated if at is not None]
    return min(end, first + max(_ROOM * (max(known) - first), _LEAST)) if known else end


def _mark(axes: Any, palette: Palette, outlook: Outlook, last: datetime, happenings: Sequence[Happening]) -> list[str]:
    """Mark what happened at the foot of the chart, each kind with a sign of its own; return what the signs mean."""
    first = outlook.history[0].at if outlook.history else outlook.ahead[0].at
    seen = [one for one in happenings if first <= one.at <= last]
    told = []
    for kind, sign in _SIGNS.items():
        mine = [one for one in seen if one.kind == kind]
        if not mine:
            continue
        colour = palette.bad if kind == "incident" else palette.quiet
        place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        if kind == "maintenance":
            for one in mine:
                axes.axvspan(one.at, one.until or one.at, color=palette.quiet, alpha=0.25, linewidth=0)
        else:
            axes.plot([one.at for one in mine], [0.03] * len(mine), sign[0], color=colour, markersize=5, **place)
        if kind == "deploy":
            for one in mine:
                axes.axvline(one.at, color=palette.quiet, linewidth=0.7, linestyle=(0, (1, 2)))
        told.append(f"{sign[1]} {kind}")
    return told


def _near(outlook: Outlook) -> list[Reached]:
    seen = [one.value for one in outlook.history] + [one.value for one in outlook.ahead]
    low, high = min(seen), max(seen)
    room = _FAR * max(high - low, abs(high) * 0.05, 1e-12)
    return [one for one in outlook.reached if low - room <= one.bound <= high + room]


def _tick(value: float, unit: Unit) -> str:
    return format_quantity(value, unit)


def _dated(axes: Any, outlook: Outlook, last: datetime, zone: ZoneInfo) -> None:
    dates: Any = import_module("matplotlib.dates")  # slow, and most reports have no chart

    def written(value: float, _position: int) -> str:
        at: datetime = dates.num2date(value).astimezone(zone)
        return f"{at.day} {at:%b}"

    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=5))
    axes.xaxis.set_major_formatter(written)
    first = outlook.history[0].at if outlook.history else outlook.ahead[0].at
    axes.set_xlim(first, last)
