"""The stand-in as a server: the Web API, incoming webhooks, uploads, faults, and the page that shows it all."""

from __future__ import annotations

import email
import email.policy
import json
import mimetypes
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from deployments.lab.loopback import Answer, Handler, Hangup, Listeners, Request
from deployments.lab.slack.api import Arguments, WebApi
from deployments.lab.slack.faults import Faults
from deployments.lab.slack.messages import Refused
from deployments.lab.slack.state import Message, State

_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Uploaded reports are shown, and can do nothing."""
_NESTED = ("blocks", "attachments", "metadata", "files")


class SlackStandIn:
    """Slack on a loopback port; a context manager that serves in the background.

    Args:
        folder: Where messages and files are kept.
        port: 0 for a free one.
        tokens: The bot tokens that are accepted; None for any `xoxb-...`.
        channels: The channels that exist, with or without `#`; None for any name.
        webhooks: The channel of each accepted webhook path `/services/...`; None for any path, into
            the first of `channels`, or `#webhooks`.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        tokens: list[str] | None = None,
        channels: list[str] | None = None,
        webhooks: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = State(folder, clock, channels)
        self.faults = Faults()
        self.calls: deque[str] = deque(maxlen=1000)
        """The latest calls' methods, `webhook` among them, those included that met a fault."""
        self._tokens, self._webhooks = tokens, webhooks
        self._any_webhook = channels[0] if channels else "#webhooks"
        self._listeners = Listeners()
        self.port = self._listeners.add(port, self._handle)
        self.url = f"http://127.0.0.1:{self.port}"
        self._api = WebApi(self.state, lambda: self.url)
        self._routes: dict[str, Handler] = {
            "/api/": self._on_api,
            "/services/": self._on_webhook,
            "/upload/v1/": self._on_upload,
            "/files/": self._on_file,
            "/faults": self._on_faults,
            "/healthz": lambda _: Answer.of({"ok": True}),
        }

    @property
    def api_url(self) -> str:
        """The `base_url` for `slack_sdk.WebClient`."""
        return f"{self.url}/api/"

    def messages(self, channel: str) -> list[Message]:
        """Return a channel's messages, oldest first, without replies; `channel` is an id or a name."""
        found = self.state.find(channel if channel.startswith(("#", "C0")) else f"#{channel}")
        return list(reversed(self.state.top(found))) if found else []

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Return the replies to a message, oldest first."""
        found = self.state.find(channel if channel.startswith(("#", "C0")) else f"#{channel}")
        return self.state.replies(found, ts) if found else []

    def run(self) -> None:
        """Serve until `stop`."""
        self._listeners.run()

    def stop(self) -> None:
        """Make `run` return."""
        self._listeners.stop()

    def __enter__(self) -> Self:
        self._listeners.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._listeners.__exit__()

    def _handle(self, request: Request) -> Answer:
        for start, answer in self._routes.items():
            if request.path.startswith(start):
                return answer(request)
        from deployments.lab.slack.page import show  # noqa: PLC0415 - jinja2 is not needed until somebody looks

        return show(self.state, request)

    def _on_faults(self, request: Request) -> Answer:
        if request.method == "POST":
            try:
                wanted = request.json()
                self.faults.set(wanted["fault"], wanted.get("times"), wanted.get("retry_after", 1))
            except (ValueError, KeyError, TypeError) as error:
                return Answer.of({"error": str(error)}, 400)
        return Answer.of(self.faults.describe())

    def _bad_day(self) -> tuple[str | None, Answer | None]:
        """Return the fault that meets this call, and the answer where it is the same for API and webhooks."""
        fault = self.faults.take()
        if fault == "down":
            raise Hangup
        if fault == "429":
            limited = {"ok": False, "error": "ratelimited"}
            return fault, Answer.of(limited, 429, {"Retry-After": str(self.faults.retry_after)})
        if fault == "500":
            return fault, Answer.text("upstream connect error", 500)
        return fault, None

    def _on_api(self, request: Request) -> Answer:
        method = request.path.removeprefix("/api/")
        self.calls.append(method)
        fault, answer = self._bad_day()
        if answer is not None:
            return answer
        try:
            arguments = _arguments(request)
        except ValueError:
            return Answer.of({"ok": False, "error": "invalid_json"})
        if error := "invalid_auth" if fault else self._check_token(request, arguments):
            return Answer.of({"ok": False, "error": error})
        return Answer.of(self._api.call(method, arguments))

    def _check_token(self, request: Request, arguments: Arguments) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else str(arguments.pop("token", ""))
        if not token:
            return "not_authed"
        accepted = token in self._tokens if self._tokens is not None else token.startswith("xoxb-")
        return None if accepted else "invalid_auth"

    def _on_webhook(self, request: Request) -> Answer:
        self.calls.append("webhook")
        fault, answer = self._bad_day()
        if answer is not None:
            return answer
        if fault is not None:
            return Answer.text("invalid_token", 403)
        name = self._any_webhook if self._webhooks is None else self._webhooks.get(request.path)
        channel = self.state.find(name) if name else None
        if channel is None:
            return Answer.text("no_service", 404)
        try:
            arguments = _arguments(request)
            if "payload" in arguments:
                arguments = json.loads(arguments["payload"])
            self._api.deliver(channel, arguments)
        except (ValueError, TypeError, AttributeError):
            return Answer.text("invalid_payload", 400)
        except Refused as refused:
            return Answer.text(refused.error, 400)
        return Answer.text("ok")

    def _on_upload(self, request: Request) -> Answer:
        file_id = request.path.rpartition("/")[2]
        if file_id not in self.state.files:
            return Answer.text("file_not_found", 404)
        body = _content(request)
        about = self.state.files[file_id]
        kind = mimetypes.guess_type(about["name"])[0] or "application/octet-stream"
        about |= {"size": len(body), "mimetype": kind, "filetype": Path(about["name"]).suffix.lstrip(".") or "text"}
        self.state.path(file_id).write_bytes(body)
        return Answer.text(f"OK - {len(body)}")

    def _on_file(self, request: Request) -> Answer:
        file = self.state.files.get(request.path.split("/")[2])
        if file is None or "title" not in file:
            return Answer.text("no such file", 404)
        shown = file["mimetype"].startswith("image/") or file["mimetype"] == "text/html"
        kind = file["mimetype"] if shown else "text/plain; charset=utf-8"
        guard = {"Content-Security-Policy": _SANDBOX, "X-Content-Type-Options": "nosniff"}
        return Answer(200, self.state.path(file["id"]).read_bytes(), kind, guard)


def _arguments(request: Request) -> Arguments:
    """Read a call's arguments from its query and its body, JSON inside form fields included.

    Raises:
        ValueError: The body is not what its content type says.
    """
    if request.content_type == "application/json":
        body = json.loads(request.body or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the body is no object")
        return {**request.query, **body}
    form: dict[str, Any] = {**request.query, **request.form()}
    for name in _NESTED:
        if isinstance(form.get(name), str) and form[name]:
            form[name] = json.loads(form[name])
    return form


def _content(request: Request) -> bytes:
    """Return an uploaded file's bytes, sent raw or as the only file of a multipart form."""
    if request.content_type != "multipart/form-data":
        return request.body
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    for part in form.iter_parts():
        if part.get_filename():
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    return b""
