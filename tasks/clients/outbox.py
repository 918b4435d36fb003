"""The outbox: a report is told once, and none is lost while Slack is down.

A parcel is kept before anything is sent. Each try takes the parcel's next lease, so that two processes never send the
same parcel, and keeps its progress beside it, so that a later try goes on where this one ended:

    pending/<time>-<id>/parcel.json    what is to be told
    pending/<time>-<id>/try-0001.json  who tries until when, and which parts have gone out
    sent/<time>-<id>.json              the receipt

Where a part may have gone out without our knowing, Slack's history is asked for the part's mark before it is sent
again; where the token may not read it, the part is sent again and the receipt says that it may stand there twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import AwareDatetime, Base64Bytes, Field, ValidationError

from tasks.clients.blobs import BlobStore
from tasks.clients.slack import Mark, Messenger, Posted, Unclear, Unfit
from tasks.core.errors import NotOffered, TransientError, Unreachable, WatchkeeperError
from tasks.core.model import Model

log = logging.getLogger(__name__)

_LEASE = timedelta(minutes=5)
_KEEP_RECEIPTS = timedelta(days=90)
_PAUSES = (1.0, 3.0)
_STAMP = "%Y%m%dT%H%M%SZ"


class Message(Model):
    """One message as Slack takes it."""

    text: str
    blocks: tuple[dict[str, Any], ...] = ()


class Attachment(Model):
    """A file for the thread."""

    name: str
    title: str
    data: Base64Bytes


class Parcel(Model):
    """What is to be told of one report: a message, its details in the thread, files."""

    id: str = Field(description="The report's id.")
    channel: str
    created: AwareDatetime = Field(description="The report's own time, so that the same report has the same key.")
    summary: Message
    details: tuple[Message, ...] = ()
    files: tuple[Attachment, ...] = ()

    @property
    def key(self) -> str:
        """The name under which it is kept; sorts by time."""
        return f"{self.created:{_STAMP}}-{self.id}"


class Progress(StrEnum):
    """How far a part has come."""

    SENDING = "sending"
    SENT = "sent"


class Attempt(Model):
    """One try: it holds the parcel until a time, and says which parts have gone out."""

    until: AwareDatetime
    parts: dict[int, Progress] = Field(default_factory=dict)
    thread: tuple[str, str] | None = Field(None, description="The summary's channel id and time stamp.")
    notes: tuple[str, ...] = ()
    error: str = ""


class Held(NamedTuple):
    """A parcel that is still to be told, and why."""

    id: str
    reason: str
    alarming: bool
    """Whether a person must mend something: the token, the channel, the message."""


class Delivery(NamedTuple):
    """What one flush did."""

    sent: tuple[str, ...]
    held: tuple[Held, ...]
    notes: tuple[str, ...]


class Outbox:
    """Parcels in a blob store, told through a messenger.

    Args:
        store: Where parcels are kept; shared by all processes that tell reports.
        now: The clock; aware, UTC.
        pause: Sleeps for some seconds between tries.
    """

    def __init__(
        self, store: BlobStore, *, now: Callable[[], datetime], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._store, self._now, self._pause = store, now, pause

    def put(self, parcel: Parcel) -> bool:
        """Keep a parcel; False where it is kept already or was told."""
        if self._store.get(f"sent/{parcel.key}.json") is not None:
            return False
        return self._store.put_if_absent(f"pending/{parcel.key}/parcel.json", parcel.model_dump_json().encode())

    def pending(self) -> list[str]:
        """Return the keys of what is still to be told, oldest first."""
        keys = self._store.list("pending/")
        return sorted({key.split("/")[1] for key in keys if key.endswith("/parcel.json")})

    def flush(self, messenger: Messenger) -> Delivery:
        """Try all that is pending, oldest first; what Slack does not take stays.

        Raises:
            WatchkeeperError: The store itself does not work.
        """
        sent: list[str] = []
        held: list[Held] = []
        notes: list[str] = []
        for key in self.pending():
            parcel = self._read(key)
            if isinstance(parcel, Held):
                held.append(parcel)
                continue
            shipment = self._take(key, parcel)
            if shipment is None:
                held.append(Held(parcel.id, "another process is telling it", alarming=False))
                continue
            try:
                shipment.send(messenger)
            except WatchkeeperError as error:
                held.append(self._hold(shipment, error))
                if isinstance(error, Unreachable | Unclear):
                    held += [Held(rest, "Slack is down", alarming=False) for rest in self.pending() if rest > key]
                    break
                continue
            notes += shipment.attempt.notes
            self._settle(shipment)
            sent.append(parcel.id)
        self._forget_old_receipts()
        return Delivery(tuple(sent), tuple(held), tuple(dict.fromkeys(notes)))

    def _read(self, key: str) -> Parcel | Held:
        data = self._store.get(f"pending/{key}/parcel.json")
        try:
            return Parcel.model_validate_json(data or b"")
        except ValidationError:
            return Held(key, "its parcel cannot be read", alarming=True)

    def _take(self, key: str, parcel: Parcel) -> Shipment | None:
        """Take the parcel's next lease, or None where another holds it: leases are numbered, and each is made once."""
        tries = [name for name in self._store.list(f"pending/{key}/try-") if name.endswith(".json")]
        last = self._attempt(tries[-1]) if tries else Attempt(until=self._now())
        if last.until > self._now():
            return None
        number = int(tries[-1].rpartition("-")[2].removesuffix(".json")) + 1 if tries else 1
        attempt = last.model_copy(update={"until": self._now() + _LEASE, "error": ""})
        name = f"pending/{key}/try-{number:06d}.json"
        if not self._store.put_if_absent(name, attempt.model_dump_json().encode()):
            return None
        for old in tries[:-1]:
            self._store.delete(old)
        return Shipment(self._store, name, parcel, attempt, now=self._now, pause=self._pause)

    def _attempt(self, name: str) -> Attempt:
        try:
            return Attempt.model_validate_json(self._store.get(name) or b"")
        except ValidationError:
            return Attempt(until=self._now(), notes=("an earlier try left no readable trace; parts may stand twice",))

    def _hold(self, shipment: Shipment, error: WatchkeeperError) -> Held:
        shipment.release(str(error))
        return Held(shipment.parcel.id, str(error), alarming=not isinstance(error, TransientError))

    def _settle(self, shipment: Shipment) -> None:
        """Write the receipt, then remove the parcel; the parcel itself goes last but one, its tries after it."""
        key = shipment.parcel.key
        self._store.put(f"sent/{key}.json", shipment.attempt.model_dump_json(indent=2).encode())
        self._store.delete(f"pending/{key}/parcel.json")
        for name in self._store.list(f"pending/{key}/"):
            self._store.delete(name)

    def _forget_old_receipts(self) -> None:
        oldest = f"sent/{self._now() - _KEEP_RECEIPTS:{_STAMP}}"
        for name in self._store.list("sent/"):
            if name >= oldest:
                return
            self._store.delete(name)


class Shipment:
    """One parcel on its way, under a lease."""

    def __init__(
        self,
        store: BlobStore,
        name: str,
        parcel: Parcel,
        attempt: Attempt,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], None],
    ) -> None:
        self.parcel, self.attempt = parcel, attempt
        self._store, self._name, self._now, self._pause = store, name, now, pause

    def send(self, messenger: Messenger) -> None:
        """Send every part that has not gone out yet, in order.

        Raises:
            WatchkeeperError: A part could not be sent; those before it have gone out.
        """
        if self._store.get(f"sent/{self.parcel.key}.json") is not None:
            return
        self._part(0, lambda: self._post(messenger, 0, self.parcel.summary), lambda: self._found(messenger, 0))
        if not messenger.full or self.attempt.thread is None or not self.attempt.thread[1]:
            if self.parcel.details or self.parcel.files:
                self._note("a webhook has no threads: the details are in the stored report only")
            return
        thread = Posted(*self.attempt.thread)
        for number, message in enumerate(self.parcel.details, start=1):
            self._detail(messenger, number, message)
        for number, file in enumerate(self.parcel.files, start=1 + len(self.parcel.details)):
            self._file(messenger, number, file, thread)

    def release(self, error: str) -> None:
        """Give the lease back, with the reason why the parcel is not told yet."""
        self._keep(until=self._now(), error=error)

    def _detail(self, messenger: Messenger, number: int, message: Message) -> None:
        self._part(number, lambda: self._post(messenger, number, message), lambda: self._found(messenger, number))

    def _file(self, messenger: Messenger, number: int, file: Attachment, thread: Posted) -> None:
        name = f"{self.parcel.id}-{file.name}"
        self._part(
            number,
            lambda: messenger.upload(file.data, name, file.title, to=thread),
            lambda: messenger.has_file(name, to=thread),
        )

    def _part(self, number: int, send: Callable[[], None], found: Callable[[], bool]) -> None:
        """Send one part once: what may have arrived is looked for before it is sent again."""
        for pause in (*_PAUSES, None):
            state = self.attempt.parts.get(number)
            if state is Progress.SENT or (state is Progress.SENDING and self._arrived(number, found)):
                break
            self._keep(parts={**self.attempt.parts, number: Progress.SENDING})
            try:
                send()
                break
            except Unclear:
                if pause is None:
                    raise
                self._pause(pause)
            except WatchkeeperError:
                self._keep(parts={key: value for key, value in self.attempt.parts.items() if key != number})
                raise
        self._keep(parts={**self.attempt.parts, number: Progress.SENT})

    def _arrived(self, number: int, found: Callable[[], bool]) -> bool:
        try:
            return found()
        except NotOffered as error:
            self._note(f"part {number} of {self.parcel.id} may stand twice: {error.message}")
            return False

    def _post(self, messenger: Messenger, number: int, message: Message) -> None:
        channel, thread = self._place()
        mark = Mark(self.parcel.id, number)
        try:
            posted = messenger.post(message.text, message.blocks, channel=channel, mark=mark, thread=thread)
        except Unfit as error:
            if not message.blocks:
                raise
            self._note(f"Slack refused the layout of part {number} of {self.parcel.id}, its text was sent: {error}")
            posted = messenger.post(message.text, (), channel=channel, mark=mark, thread=thread)
        if number == 0:
            self._keep(thread=tuple(posted))

    def _found(self, messenger: Messenger, number: int) -> bool:
        channel, thread = self._place()
        since = self.parcel.created - timedelta(minutes=5)
        posted = messenger.find(Mark(self.parcel.id, number), channel=channel, thread=thread, since=since)
        if posted is not None and number == 0:
            self._keep(thread=tuple(posted))
        return posted is not None

    def _place(self) -> tuple[str, str | None]:
        """Return the channel and the thread: the summary opens the thread that the other parts stand in."""
        return self.attempt.thread if self.attempt.thread is not None else (self.parcel.channel, None)

    def _note(self, text: str) -> None:
        log.warning("%s", text)
        self._keep(notes=tuple(dict.fromkeys((*self.attempt.notes, text))))

    def _keep(self, **changes: object) -> None:
        self.attempt = self.attempt.model_copy(update=changes)
        self._store.put(self._name, self.attempt.model_dump_json().encode())
