"""Charts for bulletins, each drawn for a light page and for a dark one, readable on a phone and in print."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tasks.reports.bulletin import Picture
from tasks.reports.charts import drawable, font

WIDTH = 6.0
"""Inches of a chart that fills a page."""
NARROW = 4.4
"""Inches of a chart that must be read on a phone: the fewer, the larger its letters there."""
_PIXELS = 900


class Palette(NamedTuple):
    """The colours of a page; series are told apart by hatch and label too, never by colour alone."""

    page: str
    ink: str
    quiet: str
    line: str
    series: tuple[str, ...]
    bad: str


LIGHT = Palette(
    "#ffffff",
    "#1a1d21",
    "#555c66",
    "#d9dde3",
    ("#2f6f9f", "#c9822b", "#3c8d5f", "#7a5ba6", "#a04a5a", "#5f7480", "#8a7a2f"),
    "#b3261e",
)
DARK = Palette(
    "#1e2226",
    "#e8eaed",
    "#a7afb9",
    "#363c43",
    ("#7db8e0", "#ffc566", "#7fd99f", "#c9a6ff", "#ff9fae", "#a9bcc6", "#d9c96b"),
    "#ff8a80",
)


def picture(
    name: str, title: str, height: float, draw: Callable[[Any, Palette], None], *, width: float = WIDTH
) -> Picture:
    """Draw a chart twice.

    Args:
        name: Of the file, with its ending.
        title: What it shows, in words.
        height: Inches.
        draw: Draws on axes that are as large as the figure, with a palette.
        width: Inches; as many pixels whatever they are.
    """
    light, dark = (_png((width, height), draw, palette) for palette in (LIGHT, DARK))
    return Picture(name=name, title=title, light=light, dark=dark)


def _png(size: tuple[float, float], draw: Callable[[Any, Palette], None], palette: Palette) -> bytes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow, and most reports have no chart

    figure = Figure(figsize=size, dpi=_PIXELS / size[0], facecolor=palette.page)
    draw(figure, palette)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None}, facecolor=palette.page)
    return target.getvalue()


def write(
    axes: Any, x: float, y: float, text: str, colour: str, *, size: float = 9, bold: bool = False, align: str = "left"
) -> None:
    """Write a text that no font lacks a sign of."""
    axes.text(
        x,
        y,
        drawable(text, 90),
        color=colour,
        font=font(bold=bold),
        fontsize=size,
        ha=align,
        va="center",
        parse_math=False,
    )


def plain_axes(figure: Any, palette: Palette, box: Sequence[float]) -> Any:
    """Add axes in the palette's colours, with a quiet frame."""
    axes = figure.add_axes(tuple(box), facecolor=palette.page)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(palette.line)
    axes.tick_params(colors=palette.quiet, labelsize=8)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_font(font(bold=False))
    axes.grid(axis="y", color=palette.line, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes
