"""Slack's markup as HTML. Source: docs.slack.dev/messaging/formatting-message-text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from deployments.lab.slack.emoji import CHARACTERS, emoji

_FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_ATOM = re.compile(r"`([^`\n]+)`|<([^<>\n]+)>|(https?://[^\s<>|`*]+[^\s<>|`*.,;:!?)\]])")
_HELD = re.compile("\x02(\\d+)\x03")
_SHORTCODE = re.compile(rf":([a-z0-9_+'-]+):|([{''.join(CHARACTERS)}])\ufe0f?")
_STYLES = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), "b"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), "i"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), "s"),
)
_SAFE_LINK = re.compile(r"(?:https?|mailto|slack):", re.IGNORECASE)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def plain(text: str) -> Markup:
    """Return a plain_text object's HTML: only emoji and line breaks mean something."""
    return _shortcodes(escape(text)).replace("\n", Markup("<br>"))


def mrkdwn(text: str, names: Mapping[str, str] | None = None) -> Markup:
    """Return a mrkdwn text's HTML.

    Args:
        text: As sent, `&`, `<` and `>` escaped.
        names: Channels' names by id, for `<#C...>`.
    """
    pieces = []
    for position, piece in enumerate(_FENCE.split(text)):
        if position % 2:
            pieces.append(Markup("<pre>{}</pre>").format(_unescape(piece)))
        elif stripped := piece.strip("\n") if position else piece.rstrip("\n"):
            pieces.append(_quoted(stripped, names or {}))
    return Markup("").join(pieces)


def _quoted(text: str, names: Mapping[str, str]) -> Markup:
    """Gather the lines that begin with `>` into quotes."""
    shown: list[Markup] = []
    lines: list[str] = []
    was_quote = False

    def flush() -> None:
        if lines:
            inner = _inline("\n".join(lines), names)
            shown.append(Markup("<blockquote>{}</blockquote>").format(inner) if was_quote else inner)
            lines.clear()

    for line in text.split("\n"):
        quote = re.match(r"(?:&gt;|>) ?", line)
        if bool(quote) != was_quote:
            flush()
        was_quote = bool(quote)
        lines.append(line[quote.end() :] if quote else line)
    flush()
    return Markup("").join(shown)


def _inline(text: str, names: Mapping[str, str]) -> Markup:
    held: list[Markup] = []

    def hold(match: re.Match[str]) -> str:
        code, control, address = match.groups()
        if code is not None:
            held.append(Markup("<code>{}</code>").format(_unescape(code)))
        else:
            held.append(_control(control, names) if control is not None else _link(address, address))
        return f"\x02{len(held) - 1}\x03"

    body = str(escape(_unescape(_ATOM.sub(hold, re.sub("[\x02\x03]", "", text)))))
    for pattern, tag in _STYLES:
        body = pattern.sub(rf"<{tag}>\1</{tag}>", body)
    body = body.replace("\n", "<br>")
    styled = _shortcodes(Markup(body))  # noqa: S704 - escaped above
    return Markup(_HELD.sub(lambda match: str(held[int(match[1])]), str(styled)))  # noqa: S704


def _control(control: str, names: Mapping[str, str]) -> Markup:
    target, _, label = control.partition("|")
    if target.startswith("#"):
        return _mention("#" + (label or names.get(target[1:], target[1:])))
    if target.startswith("@"):
        return _mention("@" + (label or target[1:]))
    if target.startswith("!"):
        return _special(target[1:], label)
    return _link(target, label or target)


def _special(command: str, label: str) -> Markup:
    if command.startswith("date^"):
        return Markup("<span>{}</span>").format(_unescape(label))
    return _mention("@" + (label.lstrip("@") or command))


def _mention(text: str) -> Markup:
    return Markup('<span class="mention">{}</span>').format(_unescape(text))


def _link(target: str, label: str) -> Markup:
    shown = _shortcodes(escape(_unescape(label)))
    address = _unescape(target)
    if not _SAFE_LINK.match(address):
        return Markup("&lt;{}&gt;").format(shown)
    return Markup('<a href="{}" target="_blank" rel="noreferrer">{}</a>').format(address, shown)


def _shortcodes(text: Markup) -> Markup:
    def show(match: re.Match[str]) -> str:
        return str(emoji(match[1] or CHARACTERS[match[2]]) or match[0])

    return Markup(_SHORTCODE.sub(show, str(text)))  # noqa: S704 - the text is escaped already


def _unescape(text: str) -> str:
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text
