"""What the stand-in remembers: channels, messages and files, kept in a folder so that they outlive a restart."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]


class State:
    """Channels with their messages, and files. Safe to use from many threads.

    Every change is one line appended to `messages.jsonl`; a line with a known `ts` replaces the message.

    Args:
        folder: Where it is kept; made if missing.
        clock: Seconds since the epoch; stamps messages.
        channels: The names of the channels that exist; None if any name may be used.
    """

    def __init__(self, folder: Path, clock: Callable[[], float], channels: list[str] | None = None) -> None:
        self._folder, self._clock = folder, clock
        self._closed = channels is not None
        self._lock = threading.RLock()
        self._messages: dict[str, dict[str, Message]] = {}
        self._names: dict[str, str] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.version = 0
        self._last = 0
        (folder / "files").mkdir(parents=True, exist_ok=True)
        self._journal = folder / "messages.jsonl"
        for name in channels or []:
            self._create(name.lstrip("#"))
        self._load()

    def _load(self) -> None:
        if not self._journal.exists():
            return
        text = self._journal.read_text(encoding="utf-8", errors="replace")
        if text and not text.endswith("\n"):
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write("\n")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a stand-in that was killed while writing
            if "file" in entry:
                self.files[entry["file"]["id"]] = entry["file"]
            else:
                self._place(entry["name"], entry["message"])

    def _place(self, name: str, message: Message) -> None:
        self._messages[self._create(name)][message["ts"]] = message
        self._last = max(self._last, int(message["ts"].replace(".", "")))
        self.version += 1

    def _append(self, entry: dict[str, Any]) -> None:
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")

    def _create(self, name: str) -> str:
        channel = channel_id(name)
        self._names[channel] = name
        self._messages.setdefault(channel, {})
        return channel

    def find(self, channel: str, *, by_name: bool = True) -> str | None:
        """Return a channel's id from its id or, where the method takes it, its name; None if there is none."""
        with self._lock:
            if channel in self._names:
                return channel
            name = channel.removeprefix("#")
            known = channel_id(name) in self._names
            makes_new = channel.startswith("#") and bool(name) and not self._closed
            return self._create(name) if by_name and (known or makes_new) else None

    def channels(self) -> list[tuple[str, str]]:
        """Return every channel's id and name, by name."""
        with self._lock:
            return sorted(self._names.items(), key=lambda item: item[1])

    def name(self, channel: str) -> str:
        """Return a channel's name without `#`."""
        return self._names[channel]

    def stamp(self) -> str:
        """Return a new message's `ts`: unique and rising, as Slack's are."""
        with self._lock:
            self._last = max(self._last + 1, int(self._clock() * 1e6))
            return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def put(self, channel: str, message: Message) -> None:
        """Add a message, or replace the one with its `ts`."""
        with self._lock:
            self._place(self._names[channel], message)
            self._append({"name": self._names[channel], "message": message})

    def get(self, channel: str, ts: str) -> Message | None:
        """Return one message."""
        return self._messages[channel].get(ts)

    def top(self, channel: str) -> list[Message]:
        """Return the messages that are no replies, newest first, with what Slack says of their threads."""
        with self._lock:
            everything = list(self._messages[channel].values())
        tops = [message for message in everything if message.get("thread_ts", message["ts"]) == message["ts"]]
        return [self._with_thread(channel, message) for message in sorted(tops, key=_ts, reverse=True)]

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Return the replies to a message, oldest first."""
        with self._lock:
            messages = list(self._messages[channel].values())
        return sorted((m for m in messages if m.get("thread_ts") == ts and m["ts"] != ts), key=_ts)

    def _with_thread(self, channel: str, message: Message) -> Message:
        replies = self.replies(channel, message["ts"])
        if not replies:
            return message
        users = sorted({reply.get("user", "") for reply in replies})
        thread = {"thread_ts": message["ts"], "reply_count": len(replies), "reply_users_count": len(users)}
        return message | thread | {"reply_users": users, "latest_reply": replies[-1]["ts"], "is_locked": False}

    def thread(self, channel: str, ts: str) -> Iterator[Message]:
        """Yield a message and its replies, oldest first."""
        parent = self.get(channel, ts)
        if parent is not None:
            yield self._with_thread(channel, parent)
            yield from self.replies(channel, ts)

    def new_file(self, about: dict[str, Any]) -> str:
        """Reserve an id for a file that is about to be uploaded."""
        with self._lock:
            number = f"{len(self.files)}-{about['name']}-{self._clock()}"
            file_id = "F" + hashlib.sha256(number.encode()).hexdigest()[:10].upper()
            self.files[file_id] = about | {"id": file_id}
            return file_id

    def keep_file(self, file_id: str) -> None:
        """Remember what is known of a file by now."""
        with self._lock:
            self._append({"file": self.files[file_id]})

    def path(self, file_id: str) -> Path:
        """Return where a file's bytes are."""
        return self._folder / "files" / file_id


def channel_id(name: str) -> str:
    """Return the id that a channel's name always gets here."""
    return "C0" + hashlib.sha256(name.encode()).hexdigest()[:9].upper()


def _ts(message: Message) -> str:
    return str(message["ts"])
