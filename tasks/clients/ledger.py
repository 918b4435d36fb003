"""The ledger of evidence in a store of blobs: only ever added to, safe with several writers at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from tasks.clients.blobs import BlobStore
from tasks.core.errors import Garbled, TransientError, WatchkeeperError
from tasks.core.evidence import Checked, Head, check, seal

_FOLDER = "records/"
_HINT = "head.json"
_OF_ONE_FOLDER = 1000
_MOST_TRIES = 200
_READERS = 16
_AT_ONCE = 256


class Ledger:
    """Records, each under its number; nothing here changes or removes one.

    A record is there once the store has it under its number, which of several writers exactly one brings about. The
    hint, where the chain ended last, is written afterwards: it may be behind, and is only where looking begins.

    Args:
        store: Where the records are kept.
    """

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._head: Head | None = None

    def append(self, body: dict[str, Any]) -> Head:
        """Add a record and return where the chain ends then.

        Args:
            body: What the record says; JSON, without secrets.

        Raises:
            TransientError: So many others write that there was no turn.
            WatchkeeperError: The store refuses or does not answer; the record may be there all the same.
        """
        head = self._head or self.head()
        for _ in range(_MOST_TRIES):
            after, data = seal(body, head)
            if self._store.put_if_absent(_key(after.sequence), data):
                self._head = after
                self._hint(after)
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
        """Yield number and bytes of each record, in the order of the numbers.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        numbers = (number for number in self._numbers(start) if number >= start)
        with ThreadPoolExecutor(_READERS, "watchkeeper-ledger") as readers:
            while some := list(islice(numbers, _AT_ONCE)):
                for number, data in zip(some, readers.map(self._store.get, map(_key, some)), strict=True):
                    if data is not None:
                        yield number, data

    def verify(self, told: Head | None = None) -> Checked:
        """Check the whole chain, and name the first record that is bad.

        Args:
            told: Where it ended as was told outside. Where nothing is, what the ledger itself remembers is taken.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        return check(self.records(), told if told is not None else self.hinted())

    def _hint(self, head: Head) -> None:
        try:
            self._store.put(_HINT, json.dumps(head._asdict()).encode())
        except WatchkeeperError:
            return  # the record is there; who looks next begins to look further back

    def _at(self, sequence: int) -> Head:
        data = self._store.get(_key(sequence))
        try:
            return Head(sequence, str(json.loads(data or b"")["sha256"]))
        except (ValueError, KeyError, TypeError):
            raise Garbled(
                f"record {sequence} of the ledger cannot be read", hint="see `watchkeeper evidence verify`"
            ) from None

    def _newest(self) -> int | None:
        for folder in sorted(self._store.folders(_FOLDER), reverse=True):
            if numbers := self._in(folder):
                return numbers[-1]
        return None

    def _numbers(self, start: int) -> Iterator[int]:
        for folder in sorted(self._store.folders(_FOLDER)):
            if folder.isdecimal() and (int(folder) + 1) * _OF_ONE_FOLDER > start:
                yield from self._in(folder)

    def _in(self, folder: str) -> list[int]:
        names = (key.rpartition("/")[2].partition(".")[0] for key in self._store.sizes(f"{_FOLDER}{folder}/"))
        return sorted(int(name) for name in names if name.isdecimal())


def _key(sequence: int) -> str:
    return f"{_FOLDER}{sequence // _OF_ONE_FOLDER:07}/{sequence:010}.json"
