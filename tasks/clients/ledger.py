"""The ledger of evidence in a store of blobs: only ever added to, safe with several writers at once."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from tasks.clients.blobs import BlobStore
from tasks.clients.ledger_segments import Segments, key_of
from tasks.core.errors import ConfigError, Garbled, TransientError, WatchkeeperError
from tasks.core.evidence import STAMPS, Checked, Head, check, hashed, seal

_LOOK = "see `watchkeeper evidence verify`"
_HINT = "head.json"
_ONCE = "only-once"
_FILES = "files/"
_OF_ONE_FOLDER = 1000
_MOST_TRIES = 200
_PAGES_AHEAD = 2


class Ledger:
    """Records, each under its number; nothing here changes or removes one.

    A record is there once the store has it under its number, which of several writers exactly one brings about. The
    hint, where the chain ended last, is written afterwards: it may be behind, and is only where looking begins.

    Args:
        store: Where the records are kept.
        locked: The same place, where what is written is locked; the store itself where it locks nothing.
        folder: How many records go into a folder, and into a segment.
    """

    def __init__(self, store: BlobStore, locked: BlobStore | None = None, folder: int = _OF_ONE_FOLDER) -> None:
        self._store, self._locked, self._folder = store, locked or store, folder
        self._segments = Segments(store, folder)
        self._head: Head | None = None
        self._trusted = False

    def append(self, body: dict[str, Any]) -> Head:
        """Add a record and return where the chain ends then.

        Args:
            body: What the record says; JSON, without secrets.

        Raises:
            ConfigError: The store writes over what is there, or does not lock what it was told to lock.
            TransientError: So many others write that there was no turn.
            WatchkeeperError: The store refuses or does not answer; the record may be there all the same.
        """
        self._trust()
        head = self._head or self.head()
        unlike = {**body, "entry": secrets.token_hex(8)}
        for _ in range(_MOST_TRIES):
            after, data = seal(unlike, head)
            # One that was written while its answer was lost is there already, and is not written again.
            if self._locked.put_if_absent(self._key(after.sequence), data) or self._is(after.sequence, data):
                self._head = after
                self._written(after)
                return after
            head = self._at(after.sequence)
        raise TransientError("too many write to the ledger at the same time", operation="add a record")

    def head(self) -> Head | None:
        """Return where the chain ends, or None where it has no record.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        hinted, newest = self.hinted(), self._newest()
        if newest is None or (hinted is not None and hinted.sequence >= newest):
            return hinted  # where the end was cut off, the next record shows the gap
        return self._at(newest)

    def hinted(self) -> Head | None:
        """Return where the chain ended when it was last added to, as far as that was written down."""
        data = self._store.get(_HINT)
        try:
            found = json.loads(data) if data else None
            return None if found is None else Head(int(found["sequence"]), str(found["sha256"]))
        except (ValueError, KeyError, TypeError):
            return None

    def records(self, start: int = 1) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each record, in the order of the numbers; a few folders are read ahead.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        folders = (name for name in self._segments.folders() if (int(name) + 1) * self._folder > start)
        with ThreadPoolExecutor(_PAGES_AHEAD, "watchkeeper-ledger") as ahead:
            pages: deque[Future[list[tuple[int, bytes]]]] = deque()
            for name in islice(folders, _PAGES_AHEAD):
                pages.append(ahead.submit(self._segments.page, name))
            while pages:
                page = pages.popleft().result()
                pages.extend(ahead.submit(self._segments.page, name) for name in islice(folders, 1))
                yield from (one for one in page if one[0] >= start)

    def verify(
        self, told: Head | Sequence[Head] | None = None, each: Callable[[dict[str, Any]], None] | None = None
    ) -> Checked:
        """Check the whole chain, and name the first record that is bad.

        Args:
            told: Where it ended as was told outside. Where nothing is, what the ledger itself remembers is taken.
            each: Called with each record, in their order, up to the first bad one.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return check(self.records(), told or self.hinted(), each=each)

    def hashed(self, sequence: int) -> bytes:
        """Return the bytes whose SHA-256 is the hash of a record.

        Raises:
            Garbled: It is no record.
            WatchkeeperError: The store refuses or does not answer.
        """
        try:
            return hashed(json.loads(self._store.get(self._key(sequence)) or b""))
        except (ValueError, TypeError, AttributeError):
            raise Garbled(f"record {sequence} of the ledger cannot be read", hint=_LOOK) from None

    def keep_stamp(self, head: Head, data: bytes) -> None:
        """Keep what a time-stamping authority answered for a head.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._locked.put_if_absent(f"{STAMPS}{head.sequence:010}.tsr", data)

    def stamps(self) -> dict[int, str]:
        """Return which records have a time stamp, with its key, in the order of the numbers.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        names = ((key, key.removeprefix(STAMPS).removesuffix(".tsr")) for key in self._store.list(STAMPS))
        return {int(number): key for key, number in names if number.isdecimal()}

    def get(self, key: str) -> bytes | None:
        """Return a time stamp or a file of the ledger.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return self._store.get(key)

    def keep_file(self, sha256: str, data: bytes) -> None:
        """Keep a file that a person gave as evidence, under its hash.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._locked.put_if_absent(f"{_FILES}{sha256}", data)

    def file(self, sha256: str) -> bytes | None:
        """Return a file that was given as evidence, or None where there is none.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return self._store.get(f"{_FILES}{sha256}")

    def _trust(self) -> None:
        """See, once, that the store keeps its word: of several writers it must take one."""
        if self._trusted:
            return
        self._locked.require_lock()
        if self._store.put_if_absent(_ONCE, b"1") and self._store.put_if_absent(_ONCE, b"2"):
            hint = "keep the ledger where `If-None-Match: *` is held to: two writers would lose records"
            raise ConfigError("the store writes over what is there though it was told not to", hint=hint)
        self._trusted = True

    def _written(self, head: Head) -> None:
        """Write the hint, and gather the folders before where one is full: neither holds a record up."""
        try:
            self._store.put(_HINT, json.dumps(head._asdict()).encode())
            if head.sequence % self._folder == 0:
                self._segments.gather()
        except WatchkeeperError:
            return  # the record is there; who looks next begins to look further back, or reads them one by one

    def _is(self, sequence: int, data: bytes) -> bool:
        return self._store.get(self._key(sequence)) == data

    def _at(self, sequence: int) -> Head:
        data = self._store.get(self._key(sequence))
        try:
            return Head(sequence, str(json.loads(data or b"")["sha256"]))
        except (ValueError, KeyError, TypeError):
            raise Garbled(f"record {sequence} of the ledger cannot be read", hint=_LOOK) from None

    def _newest(self) -> int | None:
        for folder in reversed(self._segments.folders()):
            if numbers := self._segments.numbers(folder):
                return numbers[-1]
        return None

    def _key(self, sequence: int) -> str:
        return key_of(sequence, self._folder)
