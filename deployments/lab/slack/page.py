"""The web page that shows the channels and their messages as Slack would. It needs nothing from elsewhere."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, Template, Undefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from deployments.lab.loopback import Answer, Request
from deployments.lab.slack.mrkdwn import mrkdwn, plain
from deployments.lab.slack.state import State

_HERE = Path(__file__).parent
_PERMALINK = re.compile(r"/archives/(C0[A-Z0-9]+)/p(\d+)")
_COLORS = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{}'"
)


def show(state: State, request: Request) -> Answer:
    """Answer with the page of a channel, with one message's place in it, or with the number of the last change."""
    if request.path == "/version":
        return Answer.text(str(state.version))
    if match := _PERMALINK.fullmatch(request.path):
        anchor = f"/?channel={match[1]}&thread={request.query.get('thread_ts', '')}#p{match[2]}"
        return Answer(302, headers={"Location": anchor})
    if request.path != "/":
        return Answer.text("There is nothing here.", 404)
    return _channel(state, request)


def _channel(state: State, request: Request) -> Answer:
    channels: list[dict[str, Any]] = [
        {"id": channel, "name": name, "count": len(state.top(channel))} for channel, name in state.channels()
    ]
    wanted = request.query.get("channel")
    current = next((one for one in channels if one["id"] == wanted), None) or _liveliest(state, channels)
    nonce = secrets.token_urlsafe(12)
    names = {one["id"]: one["name"] for one in channels}
    html = _template().render(
        mentions=names,
        fragment="fragment" in request.query,
        channels=channels,
        current=current["id"],
        name=current["name"],
        messages=_messages(state, current["id"]) if current["id"] else [],
        open_thread=request.query.get("thread"),
        version=state.version,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own files
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),  # noqa: S704
        nonce=nonce,
    )
    headers = {"Content-Security-Policy": _POLICY.format(nonce), "Cache-Control": "no-store"}
    return Answer(200, html.encode(), "text/html; charset=utf-8", headers)


def _liveliest(state: State, channels: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the channel of the newest message."""
    newest = {one["id"]: state.top(one["id"])[0]["ts"] for one in channels if one["count"]}
    best = max(newest, key=lambda channel: newest[channel]) if newest else None
    nothing = {"id": "", "name": "general", "count": 0}
    return next((one for one in channels if best in (None, one["id"])), nothing)


def _messages(state: State, channel: str) -> list[dict[str, Any]]:
    return [message | {"replies": state.replies(channel, message["ts"])} for message in reversed(state.top(channel))]


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True)
    environment.filters |= {
        "mrkdwn": mrkdwn,
        "plain": plain,
        "markdown": _markdown,
        "moment": lambda ts: _at(ts).isoformat(timespec="seconds"),
        "clock": lambda ts: f"{_at(ts):%H:%M} UTC",
        "day": lambda ts: f"{_at(ts):%A, %B} {_at(ts).day}",
        "color": _color,
        "web": _web,
        "local": _local,
    }
    return environment.get_template("page.html.jinja")


def _at(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)


def _markdown(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))  # noqa: S704 - html is off


def _color(value: object) -> str:
    if isinstance(value, Undefined) or value is None:
        return "#dddddd"
    color = _COLORS.get(str(value), str(value))
    return color if re.fullmatch(r"#[0-9A-Fa-f]{3,8}", color) else f"#{color}" if color.isalnum() else "#dddddd"


def _web(address: str) -> str:
    """Return an address that a browser may be sent to, or nowhere."""
    return address if re.match(r"https?:|mailto:|/", str(address), re.IGNORECASE) else "#"


def _local(address: str) -> str:
    """Return the path of a file that this stand-in itself keeps, an inline picture, or nothing."""
    if str(address).startswith("data:image/"):
        return str(address)
    path = urlsplit(str(address)).path
    return path if re.fullmatch(r"/files/F[0-9A-F]+(/.*)?", path) else ""
