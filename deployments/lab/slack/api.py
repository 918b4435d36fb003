"""The methods of the Web API that the project calls, answered as their documentation says. Source: docs.slack.dev."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from deployments.lab.slack.messages import LONGEST_UPDATE, Refused, accept
from deployments.lab.slack.state import Message, State

TEAM, BOT, APP, USER = "T0WATCHLAB", "B0WATCHLAB", "A0WATCHLAB", "U0WATCHLAB"
_CHANNEL_ID = re.compile(r"[CGDZ][A-Z0-9]{8,}")

Arguments = dict[str, Any]


class WebApi:
    """The methods, over a state.

    Args:
        state: Channels, messages and files.
        url: Where this stand-in is reached, without a slash at the end.
    """

    def __init__(self, state: State, url: Callable[[], str]) -> None:
        self._state, self._url = state, url
        self._methods: dict[str, Callable[[Arguments], dict[str, Any]]] = {
            "api.test": lambda arguments: {"args": arguments},
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.getPermalink": self._permalink,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._list,
            "conversations.info": lambda arguments: {"channel": self._describe(self._channel(arguments))},
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete,
            "files.info": self._file_info,
            "reactions.add": self._react,
        }

    def call(self, method: str, arguments: Arguments) -> dict[str, Any]:
        """Return the answer to a call, its `ok` included."""
        function = self._methods.get(method)
        if function is None:
            return {"ok": False, "error": "unknown_method"}
        try:
            return {"ok": True} | function(arguments)
        except Refused as refused:
            return refused.document()

    def deliver(self, channel: str, arguments: Arguments, **more: Any) -> Message:
        """Put a message into a channel as the bot.

        Raises:
            Refused: Slack would not take it.
        """
        content = accept(arguments, empty="files" in more)
        thread = str(arguments.get("thread_ts") or "")
        message = {"type": "message", "subtype": "bot_message", "ts": self._state.stamp(), **_author(arguments)}
        message |= content | more
        if thread:
            parent = self._state.get(channel, thread)
            if parent is None:
                raise Refused("thread_not_found")
            message["thread_ts"] = parent.get("thread_ts", thread)
        self._state.put(channel, message)
        return message

    def _channel(self, arguments: Arguments, name: str = "channel", *, by_name: bool = False) -> str:
        given = str(arguments.get(name) or "")
        found = self._state.find(given, by_name=by_name) if given else None
        if found is None:
            raise Refused("channel_not_found")
        return found

    def _message(self, arguments: Arguments, name: str, error: str) -> tuple[str, Message]:
        channel = self._channel(arguments)
        message = self._state.get(channel, str(arguments.get(name) or ""))
        if message is None:
            raise Refused(error)
        return channel, message

    def _auth_test(self, _arguments: Arguments) -> dict[str, Any]:
        who = {"team": "Watchkeeper Lab", "user": "watchkeeper", "team_id": TEAM, "user_id": USER, "bot_id": BOT}
        return {"url": f"{self._url()}/", "is_enterprise_install": False} | who

    def _post(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._channel(arguments, by_name=True)
        message = self.deliver(channel, arguments)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def _update(self, arguments: Arguments) -> dict[str, Any]:
        channel, message = self._message(arguments, "ts", "message_not_found")
        given = {name: arguments[name] for name in ("text", "blocks", "attachments") if name in arguments}
        kept = {name: message[name] for name in ("text", "blocks", "attachments") if name in message}
        if "text" in given:
            kept.pop("blocks", None)
        content = accept(kept | given | {"metadata": arguments.get("metadata")}, longest=LONGEST_UPDATE)
        rest = {name: value for name, value in message.items() if name not in ("text", "blocks", "attachments")}
        updated = rest | content
        if "blocks" not in content:
            updated["edited"] = {"user": USER, "ts": self._state.stamp()}
        self._state.put(channel, updated)
        return {"channel": channel, "ts": message["ts"], "text": content["text"], "message": updated}

    def _permalink(self, arguments: Arguments) -> dict[str, Any]:
        channel, message = self._message(arguments, "message_ts", "message_not_found")
        return {"channel": channel, "permalink": self.permalink(channel, message)}

    def permalink(self, channel: str, message: Message) -> str:
        """Return the address of a message on the page."""
        link = f"{self._url()}/archives/{channel}/p{message['ts'].replace('.', '')}"
        thread = message.get("thread_ts")
        return f"{link}?thread_ts={thread}&cid={channel}" if thread not in (None, message["ts"]) else link

    def _history(self, arguments: Arguments) -> dict[str, Any]:
        messages = self._state.top(self._channel(arguments))
        page, more = _page(_between(messages, arguments), arguments, default=100)
        return page | {"has_more": more, "pin_count": 0, "messages": _shown(page.pop("items"), arguments)}

    def _replies(self, arguments: Arguments) -> dict[str, Any]:
        channel, parent = self._message(arguments, "ts", "thread_not_found")
        thread = list(self._state.thread(channel, str(parent.get("thread_ts", parent["ts"]))))
        replies = [thread[0], *_between(thread[1:], arguments)]
        page, more = _page(replies, arguments, default=1000)
        return page | {"has_more": more, "messages": _shown(page.pop("items"), arguments)}

    def _list(self, arguments: Arguments) -> dict[str, Any]:
        channels = [self._describe(channel) for channel, _ in self._state.channels()]
        page, _ = _page(channels, arguments, default=100)
        return page | {"channels": page.pop("items")}

    def _describe(self, channel: str) -> dict[str, Any]:
        name = self._state.name(channel)
        flags = {"is_channel": True, "is_private": False, "is_archived": False, "is_member": True}
        return {"id": channel, "name": name, "name_normalized": name} | flags

    def _upload_url(self, arguments: Arguments) -> dict[str, Any]:
        name, length = str(arguments.get("filename") or ""), str(arguments.get("length") or "")
        missing = [field for field, value in (("filename", name), ("length", length)) if not value]
        if missing:
            raise Refused("invalid_arguments", [f"missing required field: {field}" for field in missing])
        if not length.isdigit() or int(length) == 0:
            raise Refused("invalid_arguments", ["must be greater than 0 [json-pointer:/length]"])
        about = {"name": name, "size": int(length), "alt_txt": arguments.get("alt_txt") or ""}
        file_id = self._state.new_file(about)
        return {"upload_url": f"{self._url()}/upload/v1/{file_id}", "file_id": file_id}

    def _complete(self, arguments: Arguments) -> dict[str, Any]:
        given = arguments.get("files")
        if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
            raise Refused("invalid_arguments", ["must be an array [json-pointer:/files]"])
        channels = self._targets(arguments)
        files = [self._uploaded(item) for item in given]
        for channel in channels:
            if arguments.get("blocks") and not arguments.get("initial_comment"):
                content = {"blocks": arguments["blocks"]}
            else:
                content = {"text": arguments.get("initial_comment") or ""}
            self.deliver(channel, content | {"thread_ts": arguments.get("thread_ts")}, files=files)
        return {"files": files}

    def _targets(self, arguments: Arguments) -> list[str]:
        named = arguments.get("channel_id") or arguments.get("channels") or ""
        targets = [part for part in str(named).split(",") if part]
        for target in targets:
            if not _CHANNEL_ID.fullmatch(target):
                where = "channel_id" if arguments.get("channel_id") else "channels"
                problem = f"input must match regex pattern: ^[CGDZ][A-Z0-9]{{8,}}$ [json-pointer:/{where}]"
                raise Refused("invalid_arguments", [problem])
            if self._state.find(target, by_name=False) is None:
                raise Refused("channel_not_found")
        return targets

    def _uploaded(self, item: Arguments) -> dict[str, Any]:
        file_id = str(item.get("id"))
        file = self._state.files.get(file_id)
        if file is None or not self._state.path(file_id).exists():
            raise Refused("file_not_found")
        address = f"{self._url()}/files/{file_id}/{file['name']}"
        file |= {"title": item.get("title") or file["name"], "url_private": address, "permalink": address}
        self._state.keep_file(file_id)
        return file

    def _file_info(self, arguments: Arguments) -> dict[str, Any]:
        file = self._state.files.get(str(arguments.get("file")))
        if file is None or "title" not in file:
            raise Refused("file_not_found")
        return {"file": file, "comments": [], "response_metadata": {"next_cursor": ""}}

    def _react(self, arguments: Arguments) -> dict[str, Any]:
        channel, message = self._message(arguments, "timestamp", "message_not_found")
        name = str(arguments.get("name") or "").strip(":")
        if not name:
            raise Refused("no_reaction")
        reactions = message.get("reactions", [])
        if any(reaction["name"] == name for reaction in reactions):
            raise Refused("already_reacted")
        self._state.put(channel, message | {"reactions": [*reactions, {"name": name, "count": 1, "users": [USER]}]})
        return {}


def _author(arguments: Arguments) -> dict[str, Any]:
    name = arguments.get("username") or "Watchkeeper"
    author: dict[str, Any] = {"user": USER, "bot_id": BOT, "app_id": APP, "team": TEAM, "username": name}
    if arguments.get("icon_emoji"):
        author["icons"] = {"emoji": arguments["icon_emoji"]}
    return author


def _between(messages: list[Message], arguments: Arguments) -> list[Message]:
    oldest, latest = str(arguments.get("oldest") or "0"), str(arguments.get("latest") or "9" * 12)
    inclusive = _true(arguments.get("inclusive"))
    try:
        first, last = float(oldest), float(latest)
    except ValueError:
        raise Refused("invalid_ts_oldest") from None
    return [
        message
        for message in messages
        if first < float(message["ts"]) < last or (inclusive and float(message["ts"]) in (first, last))
    ]


def _page(items: list[Any], arguments: Arguments, *, default: int) -> tuple[dict[str, Any], bool]:
    """Return one page with its `next_cursor`, and whether there is more."""
    try:
        start = int(base64.b64decode(arguments.get("cursor") or "").decode() or 0)
        limit = int(arguments.get("limit") or default)
    except ValueError:
        raise Refused("invalid_cursor" if arguments.get("cursor") else "invalid_limit") from None
    if not 0 < limit <= 1000:  # noqa: PLR2004 - as documented
        raise Refused("invalid_limit")
    more = start + limit < len(items)
    cursor = base64.b64encode(str(start + limit).encode()).decode() if more else ""
    return {"items": items[start : start + limit], "response_metadata": {"next_cursor": cursor}}, more


def _shown(messages: list[Message], arguments: Arguments) -> list[Message]:
    if _true(arguments.get("include_all_metadata")):
        return messages
    return [{name: value for name, value in message.items() if name != "metadata"} for message in messages]


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1")
