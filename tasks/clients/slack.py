"""Slack through slack_sdk: a bot that has threads, files and a memory, or a webhook as the degraded mode."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol
from urllib.error import HTTPError, URLError

from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.http_retry.handler import RetryHandler

from tasks.core.errors import (
    Denied,
    Garbled,
    NotOffered,
    PermanentError,
    TransientError,
    Unreachable,
    WatchkeeperError,
)

EVENT = "watchkeeper_report"
_TIMEOUT = 10
_LONGEST_WAIT = 20.0
_PAGES = 5
_TOO_MANY = 429
_SERVER_ERROR = 500


class Unfit(PermanentError):
    """Slack refuses the message's form; its plain text may pass."""


class Unclear(TransientError):
    """The connection ended in the middle: the message may or may not have arrived."""


_REFUSALS: tuple[tuple[frozenset[str], type[WatchkeeperError], str, str | None], ...] = (
    (
        frozenset(
            (
                "invalid_auth",
                "not_authed",
                "token_revoked",
                "token_expired",
                "account_inactive",
                "no_service",
                "invalid_token",
            )
        ),
        Denied,
        "Slack refuses the credentials",
        "renew Slack's token",
    ),
    (
        frozenset(("missing_scope", "no_permission", "not_allowed_token_type", "restricted_action", "ekm_denied")),
        Denied,
        "Slack does not allow it",
        "see the app's scopes",
    ),
    (
        frozenset(("channel_not_found", "not_in_channel", "is_archived", "channel_is_archived")),
        Denied,
        "Slack refuses the channel",
        "invite the app to the channel",
    ),
    (
        frozenset(
            ("invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "invalid_payload")
        ),
        Unfit,
        "Slack refuses the message",
        None,
    ),
    (
        frozenset(
            ("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout")
        ),
        TransientError,
        "Slack asks to come back later",
        None,
    ),
)


class Posted(NamedTuple):
    """Where a message stands: the channel's id and the message's time stamp. A webhook tells neither."""

    channel: str
    ts: str


class Mark(NamedTuple):
    """By what a part of a report is known again: the report's id and the part's number."""

    report: str
    part: int

    @property
    def metadata(self) -> dict[str, Any]:
        """Slack's form of it."""
        return {"event_type": EVENT, "event_payload": {"id": self.report, "part": self.part}}


class Messenger(Protocol):
    """Posts to Slack. Raises `Unclear` where a message may have arrived, other errors where it surely has not."""

    full: bool
    """Whether there are threads and files."""

    def post(self, text: str, blocks: Sequence[Any], *, channel: str, mark: Mark, thread: str | None = None) -> Posted:
        """Post a message, in a message's thread if one is given."""
        ...

    def upload(self, data: bytes, name: str, title: str, *, to: Posted) -> None:
        """Put a file in a message's thread."""
        ...

    def find(self, mark: Mark, *, channel: str, thread: str | None, since: datetime) -> Posted | None:
        """Look for a message by its mark.

        Raises:
            NotOffered: It may not look.
        """
        ...

    def has_file(self, name: str, *, to: Posted) -> bool:
        """Tell whether a file stands in a message's thread.

        Raises:
            NotOffered: It may not look.
        """
        ...


class _PatientRateLimit(RateLimitErrorRetryHandler):
    """Waits as long as Slack asks for, but not for minutes: then the outbox does."""

    def _can_retry(self, *, response: Any = None, **rest: Any) -> bool:
        if not super()._can_retry(response=response, **rest):
            return False
        headers = {name.lower(): value for name, value in response.headers.items()}
        wait = headers.get("retry-after", ["1"])
        return float(wait[0] if isinstance(wait, list) else wait) <= _LONGEST_WAIT


class _NeverConnected(ConnectionErrorRetryHandler):
    """Tries again where no connection came about, so that nothing can have been posted twice."""

    def _can_retry(self, *, error: Exception | None = None, **rest: Any) -> bool:
        return super()._can_retry(error=error, **rest) and _never_connected(error)


def _handlers() -> list[RetryHandler]:
    return [_NeverConnected(max_retry_count=1), _PatientRateLimit(max_retry_count=3)]


class Bot:
    """A Slack app's bot. Needs `chat:write` and `files:write`; `channels:history` and `channels:read` to look back.

    Args:
        token: The bot's token.
        url: The Web API's base address, where it is not Slack's own.
    """

    full = True

    def __init__(self, token: str, url: str | None = None) -> None:
        base = f"{url.rstrip('/')}/" if url else WebClient.BASE_URL
        self._client = WebClient(token=token, base_url=base, timeout=_TIMEOUT, retry_handlers=_handlers())

    def post(self, text: str, blocks: Sequence[Any], *, channel: str, mark: Mark, thread: str | None = None) -> Posted:
        """Post a message, in a message's thread if one is given."""
        with _errors("post a message"):
            answer = self._client.chat_postMessage(
                channel=channel,
                text=text,
                blocks=list(blocks) or None,
                thread_ts=thread,
                metadata=mark.metadata,
                unfurl_links=False,
                unfurl_media=False,
            )
            return Posted(str(answer["channel"]), str(answer["ts"]))

    def upload(self, data: bytes, name: str, title: str, *, to: Posted) -> None:
        """Put a file in a message's thread."""
        with _errors("upload a file"):
            self._client.files_upload_v2(channel=to.channel, thread_ts=to.ts, content=data, filename=name, title=title)

    def find(self, mark: Mark, *, channel: str, thread: str | None, since: datetime) -> Posted | None:
        """Look for a message by its mark, in the channel since a time, or in a thread."""
        place = self._channel_id(channel)
        if place is None:
            return None
        for message in self._messages(place, thread, since):
            metadata = message.get("metadata", {})
            payload = metadata.get("event_payload", {})
            if metadata.get("event_type") == EVENT and (payload.get("id"), payload.get("part")) == mark:
                return Posted(place, str(message["ts"]))
        return None

    def has_file(self, name: str, *, to: Posted) -> bool:
        """Tell whether a file stands in a message's thread."""
        messages = self._messages(to.channel, to.ts, None)
        return any(file.get("name") == name for message in messages for file in message.get("files", ()))

    def _messages(self, channel: str, thread: str | None, since: datetime | None) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {"channel": channel, "include_all_metadata": True, "limit": 200}
        if thread is None:
            call: Callable[..., Any] = self._client.conversations_history
            asked["oldest"] = f"{since.timestamp():.6f}" if since else "0"
        else:
            call, asked["ts"] = self._client.conversations_replies, thread
        yield from self._pages(call, asked, "messages", "read the channel's history")

    def _channel_id(self, channel: str) -> str | None:
        if not channel.startswith("#"):
            return channel
        name = channel.removeprefix("#")
        asked = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": 1000}
        listed = self._pages(self._client.conversations_list, asked, "channels", "list the channels")
        return next((str(entry["id"]) for entry in listed if entry.get("name") == name), None)

    def _pages(
        self, call: Callable[..., Any], asked: dict[str, Any], field: str, operation: str
    ) -> Iterator[dict[str, Any]]:
        cursor = None
        for _ in range(_PAGES):
            try:
                with _errors(operation):
                    answer = call(**asked, cursor=cursor)
            except (Denied, Garbled) as error:
                raise NotOffered(error.message, operation=operation) from None
            yield from answer.get(field) or ()
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        raise NotOffered("there is too much to look through", operation=operation)


class Webhook:
    """An incoming webhook: one message to the webhook's own channel, no thread, no file, no look back."""

    full = False

    def __init__(self, url: str) -> None:
        self._client = WebhookClient(url, timeout=_TIMEOUT, retry_handlers=_handlers())

    def post(self, text: str, blocks: Sequence[Any], *, channel: str, mark: Mark, thread: str | None = None) -> Posted:  # noqa: ARG002
        """Post a message; the channel is the webhook's own."""
        with _errors("post to the webhook"):
            answer = self._client.send(text=text, blocks=list(blocks) or None)
        if answer.status_code != 200:  # noqa: PLR2004
            raise _refusal(answer.body.strip(), answer.status_code, "post to the webhook")
        return Posted("", "")

    def upload(self, data: bytes, name: str, title: str, *, to: Posted) -> None:  # noqa: ARG002
        """Refuse: a webhook takes no files."""
        raise NotOffered("a webhook takes no files", operation="upload a file")

    def find(self, mark: Mark, *, channel: str, thread: str | None, since: datetime) -> Posted | None:  # noqa: ARG002
        """Refuse: a webhook cannot look."""
        raise NotOffered("a webhook cannot look back", operation="find a message")

    def has_file(self, name: str, *, to: Posted) -> bool:  # noqa: ARG002
        """Refuse: a webhook cannot look."""
        raise NotOffered("a webhook cannot look back", operation="find a file")


@contextmanager
def _errors(operation: str) -> Iterator[None]:
    try:
        yield
    except (SlackClientError, OSError, HTTPException, json.JSONDecodeError) as error:
        raise _translated(error, operation) from None


def _translated(error: Exception, operation: str) -> WatchkeeperError:
    """Map what slack_sdk raises. What has surely not arrived is told from what may have."""
    match error:
        case SlackApiError():
            code, status = str(error.response.get("error", "")), error.response.status_code
            refused = _refusal(code, status, operation)
            details = (error.response.get("response_metadata") or {}).get("messages")
            if details and isinstance(refused, Unfit):
                refused.hint = "; ".join(map(str, details))[:500]
            return refused
        case HTTPError():
            return _refusal(str(error.reason), error.code, operation)
        case _ if _never_connected(error):
            reason = getattr(error, "reason", error)
            return Unreachable(f"Slack is not reachable: {reason}", operation=operation)
        case URLError() | OSError() | HTTPException() | json.JSONDecodeError():
            return Unclear(f"Slack did not answer: {type(error).__name__}", operation=operation)
        case _:
            return Garbled(f"Slack answered something else: {type(error).__name__}", operation=operation)


def _refusal(code: str, status: int, operation: str) -> WatchkeeperError:
    """Map an error that Slack itself names, or the status where it names none."""
    for codes, kind, says, hint in _REFUSALS:
        if code in codes:
            return kind(f"{says}: {code}", operation=operation, hint=hint)
    if status == _TOO_MANY:
        return TransientError("Slack asks to wait", operation=operation)
    if status >= _SERVER_ERROR:
        return Unclear(f"Slack failed with HTTP {status}", operation=operation)
    return PermanentError(f"Slack refused with HTTP {status}: {code[:100]}", operation=operation)


def _never_connected(error: Exception | None) -> bool:
    """Tell whether an error came before the connection; a time-out while connecting is counted as unclear."""
    reason = error.reason if isinstance(error, URLError) else error
    return isinstance(reason, ConnectionRefusedError) or type(reason).__name__ == "gaierror"
