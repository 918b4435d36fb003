"""How time and data of each platform's drills went from quarter to quarter, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.core.drill import Past
from tasks.core.quarter import PlatformQuarter
from tasks.reports import wording
from tasks.reports.bulletin import Picture
from tasks.reports.drawing import Palette, picture, plain_axes, write

_ROW, _EDGE = 1.25, 0.25
_SHOWN = 12
_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def trend(platforms: Sequence[PlatformQuarter]) -> tuple[Picture, ...]:
    """Draw RTO and RPO of each platform that was drilled twice or more; nothing where none was."""
    shown = [(one, _drills(one)) for one in platforms if one.before is not None]
    if not shown:
        return ()
    title = f"RTO and RPO from drill to drill, of {wording.plural(len(shown), 'platform')}"
    height = _ROW * len(shown) + _EDGE
    return (picture("trend.png", title, height, lambda figure, palette: _draw(figure, palette, shown)),)


def _drills(one: PlatformQuarter) -> list[Past]:
    newest = one.newest
    now = (
        [Past(newest.at, newest.rto.seconds, newest.rpo.seconds, newest.plain_bytes, newest.verdict)] if newest else []
    )
    return [*one.past, *now][-_SHOWN:]


def _draw(figure: Any, palette: Palette, shown: Sequence[tuple[PlatformQuarter, list[Past]]]) -> None:
    height = figure.get_size_inches()[1]
    for row, (platform, drills) in enumerate(shown):
        columns: tuple[tuple[str, list[float | None], float | None], ...] = (
            ("RTO", [one.rto for one in drills], platform.rto_target),
            ("RPO", [one.rpo for one in drills], platform.rpo_target),
        )
        for column, (name, values, target) in enumerate(columns):
            bottom = (height - _EDGE / 2 - (row + 1) * _ROW + 0.3) / height
            axes = plain_axes(figure, palette, (0.1 + 0.49 * column, bottom, 0.37, (_ROW - 0.62) / height))
            _line(axes, palette, values, target, column)
            axes.set_xticks(range(len(drills)), [f"{one.at:%b %y}" for one in drills], fontsize=6.5)
            _title(axes, f"{wording.plain(platform.title, 20)}: {name}", palette)


def _title(axes: Any, text: str, palette: Palette) -> None:
    write(axes, 0, 0, f"{text}, {axes.get_ylabel()}", palette.ink, size=8)
    axes.texts[-1].set_transform(axes.transAxes)
    axes.texts[-1].set_position((0, 1.2))
    axes.set_ylabel("")


def _line(axes: Any, palette: Palette, values: Sequence[float | None], target: float | None, place: int) -> None:
    most = max(one or 0.0 for one in values)
    size, unit = next((size, unit) for size, unit in _UNITS if most >= 2 * size or size == 1)
    told = [float("nan") if one is None else one / size for one in values]
    axes.plot(range(len(told)), told, marker="o", markersize=4, color=palette.series[place])
    if target is not None and most > target / 4:
        axes.axhline(target / size, color=palette.bad, linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.15 * max(axes.get_ylim()[1], 0.1))
    axes.set_ylabel(unit)
