"""A badge: a small SVG with a platform's name, its verdict and when that was found. It carries no script."""

from __future__ import annotations

from markupsafe import Markup

from tasks.core.report import Verdict
from tasks.core.standing import Standing
from tasks.reports import status_words as words

_WIDE, _NARROW = frozenset("mwMW@%—"), frozenset("iljtfrI.,:;'|! ")
_COLOURS = {
    Verdict.PASSED: "#1b6e3c",
    Verdict.WARNED: "#8a5a00",
    Verdict.UNKNOWN: "#6b3fa0",
    Verdict.FAILED: "#b3261e",
}
_GREY = "#555c66"
_PAD, _HEIGHT = 8, 22


def render(standing: Standing) -> str:
    """Return the badge as SVG text.

    A picture cannot notice that it has grown old: the time of the check stands on it.
    """
    left, right = words.name_of(standing), f"{words.verdict_word(standing)}{_when(standing)}"
    verdict = words.shown(standing)
    colour = _COLOURS[verdict] if verdict is not None else _GREY
    first, second = _width(left), _width(right)
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="{high}" role="img" aria-label="{label}">'
            "<title>{label}</title>"
            '<clipPath id="edge"><rect width="{all}" height="{high}" rx="4"/></clipPath>'
            '<g clip-path="url(#edge)"><rect width="{first}" height="{high}" fill="#2b3036"/>'
            '<rect x="{first}" width="{second}" height="{high}" fill="{colour}"/></g>'
            '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
            '<text x="{pad}" y="15" textLength="{in_first}">{left}</text>'
            '<text x="{at}" y="15" textLength="{in_second}">{right}</text></g></svg>\n'
        ).format(
            all=first + second,
            high=_HEIGHT,
            first=first,
            second=second,
            pad=_PAD,
            at=first + _PAD,
            in_first=first - 2 * _PAD,
            in_second=second - 2 * _PAD,
            left=left,
            right=right,
            colour=colour,
            label=f"{left}: {right}",
        )
    )


def _when(standing: Standing) -> str:
    return f" · {words.short(standing.checked, standing)}" if standing.checked else ""


def _width(text: str) -> int:
    """Guess how wide a text is at 11 pixels; `textLength` makes it fit."""
    return 2 * _PAD + round(sum(9.5 if sign in _WIDE else 4.2 if sign in _NARROW else 7.0 for sign in text))
