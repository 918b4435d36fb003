"""Small inline SVG charts for the HTML report. They carry only numbers and escaped labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from tasks.core.results import Sample

_WIDTH, _HEIGHT = 120.0, 10.0
_AT_LIMIT = 96.0
_SPARK_HEIGHT = 28.0
_MOST_POINTS = 120


def bar(share: float, tone: str, label: str) -> Markup:
    """Draw the used part of a limit; the tick is the limit, and a bar beyond it ends at the edge.

    Args:
        share: 1 is at the limit; may be infinite.
        tone: A CSS class of the outcome.
        label: What it shows, for a reader that does not see it.
    """
    width = min(max(share, 0.0) * _AT_LIMIT, _WIDTH)
    return Markup(
        '<svg class="bar {tone}" viewBox="0 0 120 10" role="img" aria-label="{label}" preserveAspectRatio="none">'
        '<rect class="track" width="120" height="10" rx="2"/><rect class="fill" width="{width}" height="10" rx="2"/>'
        '<rect class="tick" x="95" width="2" height="10"/></svg>'
    ).format(tone=tone, label=label, width=f"{width:.1f}")


def plain_bar(share: float, label: str) -> Markup:
    """Draw a part of a whole, without a limit."""
    width = f"{min(max(share, 0.0), 1.0) * _WIDTH:.1f}"
    return Markup(
        '<svg class="bar informs" viewBox="0 0 120 10" role="img" aria-label="{label}" preserveAspectRatio="none">'
        '<rect class="track" width="120" height="10" rx="2"/><rect class="fill" width="{width}" height="10" rx="2"/>'
        "</svg>"
    ).format(label=label, width=width)


def sparkline(series: Sequence[Sample], tone: str, label: str, bound: float | None = None) -> Markup:
    """Draw a short history with its bound as a dashed line; samples that are no number are left out.

    Returns an empty string for fewer than two usable samples.
    """
    samples = _thinned(sorted(sample for sample in series if math.isfinite(sample.value)))
    if len(samples) < 2:  # noqa: PLR2004
        return Markup("")
    values = [sample.value for sample in samples]
    held = [bound] if bound is not None and _worth_showing(bound, values) else []
    low, high = min(values + held), max(values + held)
    begin, length = samples[0].at, (samples[-1].at - samples[0].at).total_seconds() or 1.0

    def height(value: float) -> float:
        return _SPARK_HEIGHT - 2 - (value - low) / ((high - low) or 1.0) * (_SPARK_HEIGHT - 4)

    points = " ".join(
        f"{(at - begin).total_seconds() / length * (_WIDTH - 4) + 2:.1f},{height(value):.1f}" for at, value in samples
    )
    line = Markup("").join(
        Markup('<line class="bound" x1="0" x2="120" y1="{y}" y2="{y}"/>').format(y=f"{height(level):.1f}")
        for level in held
    )
    return Markup(
        '<svg class="spark {tone}" viewBox="0 0 120 28" role="img" aria-label="{label}" preserveAspectRatio="none">'
        '{line}<polyline points="{points}"/></svg>'
    ).format(tone=tone, label=label, line=line, points=points)


def _worth_showing(bound: float, values: Sequence[float]) -> bool:
    """Leave out a bound so far away that it would press the history flat."""
    spread = max(values) - min(values) or max(abs(value) for value in values) or 1.0
    return min(values) - 4 * spread <= bound <= max(values) + 4 * spread


def _thinned(samples: list[Sample]) -> list[Sample]:
    """Keep the highest and the lowest sample of each stretch, so that no peak is lost."""
    if len(samples) <= _MOST_POINTS:
        return samples
    step = math.ceil(len(samples) * 2 / _MOST_POINTS)
    stretches = [samples[start : start + step] for start in range(0, len(samples), step)]
    kept = {extreme for part in stretches for extreme in (min(part, key=_value), max(part, key=_value))}
    return sorted(kept | {samples[0], samples[-1]})


def _value(sample: Sample) -> float:
    return sample.value
