"""Emoji by their Slack names. The commonest are drawn, so that they show on a machine without an emoji font."""

from __future__ import annotations

from markupsafe import Markup
from rich.emoji import Emoji, NoEmoji

_COLORS = {
    "red": "#dd2e44",
    "orange": "#f4900c",
    "yellow": "#fdcb58",
    "green": "#57a639",
    "blue": "#3b88c3",
    "purple": "#9a6dd7",
    "brown": "#a0693f",
    "black": "#31373d",
    "white": "#e6e7e8",
}
_TICK = '<path d="M5 10.5 8.6 14 15.2 6.4" fill="none" stroke="{}" stroke-width="2.6" stroke-linecap="round"/>'
_CROSS = '<path d="M4.5 4.5 15.5 15.5 M15.5 4.5 4.5 15.5" stroke="#dd2e44" stroke-width="3.4" stroke-linecap="round"/>'
_MARK = '<text x="10" y="15.6" font-size="16" font-weight="bold" text-anchor="middle" fill="{}">{}</text>'
_BOX = '<rect x="1.5" y="1.5" width="17" height="17" rx="3.5" fill="{}"/>'
_DRAWN = {
    "white_check_mark": _BOX.format("#57a639") + _TICK.format("#fff"),
    "heavy_check_mark": _TICK.format("#31373d"),
    "x": _CROSS,
    "warning": '<path d="M10 2 19 18H1Z" fill="#fdcb58" stroke="#fdcb58" stroke-linejoin="round" stroke-width="1.6"/>'
    '<path d="M10 7.4v5" stroke="#31373d" stroke-width="2.2" stroke-linecap="round"/>'
    '<circle cx="10" cy="15.4" r="1.3" fill="#31373d"/>',
    "rotating_light": '<path d="M5 14V9.5a5 5 0 0 1 10 0V14Z" fill="#dd2e44"/>'
    '<rect x="3" y="14" width="14" height="3.4" rx="1" fill="#66757f"/>'
    '<path d="M10 .6v2M3 3.4l1.4 1.4M17 3.4l-1.4 1.4" stroke="#dd2e44" stroke-width="1.6"/>',
    "no_entry": '<circle cx="10" cy="10" r="8.5" fill="#dd2e44"/>'
    '<rect x="4.6" y="8.4" width="10.8" height="3.2" fill="#fff"/>',
    "question": _MARK.format("#dd2e44", "?"),
    "grey_question": _MARK.format("#99aab5", "?"),
    "exclamation": _MARK.format("#dd2e44", "!"),
    "grey_exclamation": _MARK.format("#99aab5", "!"),
    "information_source": _BOX.format("#3b88c3") + _MARK.format("#fff", "i"),
    "arrow_up": _BOX.format("#3b88c3")
    + '<path d="M10 15V6M6 9.4 10 5.4l4 4" stroke="#fff" stroke-width="2" fill="none"/>',
    "arrow_down": _BOX.format("#3b88c3")
    + '<path d="M10 5v9M6 10.6l4 4 4-4" stroke="#fff" stroke-width="2" fill="none"/>',
    "fast_forward": _BOX.format("#3b88c3") + '<path d="M4.5 6 10 10l-5.5 4ZM10 6l5.5 4-5.5 4Z" fill="#fff"/>',
    "new": _BOX.format("#3b88c3") + '<text x="10" y="13" font-size="7.4" font-weight="bold" text-anchor="middle"'
    ' fill="#fff">NEW</text>',
    "test_tube": '<path d="M7.4 2h5.2v13a2.6 2.6 0 0 1-5.2 0Z" fill="#dfe6ea" stroke="#99aab5"/>'
    '<path d="M7.9 9h4.2v6a2.1 2.1 0 0 1-4.2 0Z" fill="#57a639"/>',
    "hourglass_flowing_sand": '<path d="M5 2h10M5 18h10" stroke="#66757f" stroke-width="2"/>'
    '<path d="M6 3h8c0 4-3 5-3 7s3 3 3 7H6c0-4 3-5 3-7s-3-3-3-7Z" fill="#ffe8b6" stroke="#99aab5"/>',
    "white_large_square": '<rect x="2" y="2" width="16" height="16" rx="3" fill="#f2f3f4" stroke="#99aab5"/>',
    "black_right_pointing_double_triangle_with_vertical_bar": _BOX.format("#3b88c3")
    + '<path d="M4 6 9 10 4 14ZM9 6l5 4-5 4Z" fill="#fff"/><path d="M15.2 6v8" stroke="#fff" stroke-width="1.8"/>',
    "eyes": '<ellipse cx="5.6" cy="10" rx="4" ry="5.6" fill="#fff" stroke="#66757f"/><circle cx="6.8" cy="10.6" r="2"/>'
    '<ellipse cx="14.4" cy="10" rx="4" ry="5.6" fill="#fff" stroke="#66757f"/><circle cx="15.6" cy="10.6" r="2"/>',
    "clock3": '<circle cx="10" cy="10" r="8.4" fill="#fff" stroke="#66757f" stroke-width="1.6"/>'
    '<path d="M10 5v5h4" stroke="#31373d" stroke-width="1.6" fill="none"/>',
}
_DRAWN["hourglass"] = _DRAWN["hourglass_flowing_sand"]
for _name, _color in _COLORS.items():
    _ring = ' stroke="#99aab5"' if _name == "white" else ""
    _circle = f'<circle cx="10" cy="10" r="8.5" fill="{_color}"{_ring}/>'
    _DRAWN |= {f"{_name}_circle": _circle, f"large_{_name}_circle": _circle}
    _DRAWN[f"large_{_name}_square"] = _BOX.format(_color)

CHARACTERS = {
    "✅": "white_check_mark",
    "✔": "heavy_check_mark",
    "❌": "x",
    "⚠": "warning",
    "🚨": "rotating_light",
    "⛔": "no_entry",
    "❓": "question",
    "❔": "grey_question",
    "❗": "exclamation",
    "⏳": "hourglass_flowing_sand",
    "🆕": "new",
    "🧪": "test_tube",
    "👀": "eyes",
    "⬜": "white_large_square",
    "⏭": "black_right_pointing_double_triangle_with_vertical_bar",
    "🔴": "red_circle",
    "🟠": "large_orange_circle",
    "🟡": "large_yellow_circle",
    "🟢": "large_green_circle",
    "🔵": "large_blue_circle",
    "⚪": "white_circle",
    "⚫": "black_circle",
}
"""Characters that Slack shows as its own pictures, by the names of those that are drawn here."""


def emoji(name: str) -> Markup | None:
    """Return an emoji's HTML by its name without colons, or None if there is no such emoji."""
    if drawing := _DRAWN.get(name):
        image = '<svg class="emoji" viewBox="0 0 20 20" role="img" aria-label=":{}:">{}</svg>'
        return Markup(image).format(name, Markup(drawing))  # noqa: S704 - the drawings are those above
    try:
        return Markup('<span class="emoji" title=":{}:">{}</span>').format(name, str(Emoji(name)))
    except NoEmoji:
        return None
