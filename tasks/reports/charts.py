"""A PNG of how near each value is to its limit, for Slack and for the markdown artifact; readable on a phone.

Matplotlib is imported when a chart is drawn, not before: it takes half a second.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.core.report import Report
from tasks.core.results import Finding, Outcome
from tasks.core.units import Unit, format_quantity
from tasks.reports import scale, wording

MOST_BARS = 24
_EDGE = 1.25
_COLOURS = {
    Outcome.FAILED: "#c5221f",
    Outcome.ERRORED: "#7b4fb5",
    Outcome.WARNED: "#e69500",
    Outcome.PASSED: "#2e8b57",
}
_INK, _QUIET, _TRACK = "#1a1d21", "#555c66", "#eceff3"
_ROW, _HEADING, _GAP = 0.36, 0.4, 0.12


@dataclass(frozen=True)
class _Bar:
    label: str
    text: str
    share: float
    outcome: Outcome


def overview(report: Report) -> bytes | None:
    """Draw each limited value as a bar in % of its limit, grouped by system, the worst on top.

    Problems without a number (a system that does not answer) fill their bar. The same report gives the same bytes
    with the same matplotlib.

    Returns:
        A PNG some 900 pixels wide, or None where no finding can be drawn.
    """
    groups, left = _groups(report)
    return _draw(report, groups, left) if groups else None


def _groups(report: Report) -> tuple[list[tuple[str, list[_Bar]]], int]:
    """Return the bars by system, and how many did not fit; the most pressing ones stay."""
    findings = [finding for finding in report.findings if scale.pressing(finding) >= 0]
    ordered = sorted(findings, key=lambda finding: (finding.outcome.rank, -scale.pressing(finding), finding.key))
    groups: dict[str, list[_Bar]] = {}
    for finding in ordered[:MOST_BARS]:
        groups.setdefault(finding.system, []).append(_bar(finding))
    return list(groups.items()), max(0, len(ordered) - MOST_BARS)


def _bar(finding: Finding) -> _Bar:
    share = 0.0 if finding.outcome is Outcome.ERRORED else min(scale.pressing(finding), _EDGE)
    return _Bar(drawable(wording.aspect(finding), 44), drawable(_said(finding), 44), share, finding.outcome)


def _said(finding: Finding) -> str:
    if finding.outcome is Outcome.ERRORED:
        return wording.OUTCOMES[Outcome.ERRORED]
    if finding.unit in (None, Unit.YES_NO, Unit.TEXT) or finding.bound is None:
        return finding.observed
    return f"{finding.observed} · limit {format_quantity(finding.bound, finding.unit)}"


def _draw(report: Report, groups: list[tuple[str, list[_Bar]]], left: int) -> bytes:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow, and most reports are drawn elsewhere

    height = 1.3 + sum(_HEADING + _GAP + 2 * _ROW * len(bars) for _, bars in groups)
    figure = Figure(figsize=(6.0, height), dpi=150, facecolor="white")
    axes = figure.add_axes((0.04, 0.0, 0.92, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, _EDGE)
    axes.set_ylim(height, 0)
    _write(axes, 0, 0.4, drawable(f"{wording.name_of(report)}: {wording.verdict_word(report)}", 60), size=13, bold=True)
    _write(axes, 0, 0.72, drawable(f"How near the limits, {wording.took(report)}", 90), size=8.5, colour=_QUIET)
    bottom = _draw_groups(axes, groups)
    note = f"The tick is the limit. {left:,} more values are not drawn." if left else "The tick is the limit."
    _write(axes, 0, bottom + 0.12, note, size=8, colour=_QUIET)
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _draw_groups(axes: Any, groups: list[tuple[str, list[_Bar]]]) -> float:
    """Draw all groups from the top down and return where they end."""
    y = 0.95
    for system, bars in groups:
        y += _GAP
        _write(axes, 0, y + _HEADING / 2, drawable(system, 50), size=11, bold=True)
        y += _HEADING
        for bar in bars:
            colour = _COLOURS[bar.outcome]
            _write(axes, 0, y + _ROW * 0.45, bar.label, size=9.5)
            _write(axes, _EDGE, y + _ROW * 0.45, bar.text, size=9.5, right=True, colour=_INK)
            axes.barh(y + _ROW * 1.25, _EDGE, height=_ROW * 0.5, color=_TRACK)
            axes.barh(y + _ROW * 1.25, max(bar.share, 0.004), height=_ROW * 0.5, color=colour)
            axes.barh(y + _ROW * 1.25, 0.006, left=0.997, height=_ROW * 0.7, color=_INK)
            y += 2 * _ROW
    return y


def _write(
    axes: Any,
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    bold: bool = False,
    right: bool = False,
    colour: str = _INK,
) -> None:
    axes.text(
        x,
        y,
        text,
        font=font(bold=bold),
        fontsize=size,
        ha="right" if right else "left",
        va="center",
        color=colour,
        parse_math=False,
    )


def font(*, bold: bool) -> Path:
    """Return the font that comes with matplotlib, so that every machine draws the same."""
    from matplotlib import get_data_path  # noqa: PLC0415 - see _draw

    return Path(get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


@cache
def _letters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415 - see _draw

    return frozenset.intersection(*(frozenset(FT2Font(str(font(bold=bold))).get_charmap()) for bold in (True, False)))


def drawable(text: str, limit: int) -> str:
    """Replace what the font that comes with matplotlib cannot draw; it would warn, and draw empty boxes."""
    return "".join(sign if ord(sign) in _letters() else "?" for sign in wording.plain(text, limit))
