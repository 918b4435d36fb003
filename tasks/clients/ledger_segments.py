"""How a ledger of any size is read in few requests: full folders are gathered into segments, each one object.

A segment proves nothing and is not trusted: the records themselves remain, and of each the store tells what it adds up
to. Where a line of the segment adds up to the same, it is the record; where not, the record itself is read.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tasks.clients.blobs import BlobStore, md5_of
from tasks.core.evidence import check

_RECORDS, _SEGMENTS = "records/", "segments/"
_READERS = 16
_MOST_BEHIND = 20
_BROKEN = (OSError, EOFError, zlib.error)


def key_of(sequence: int, folder: int) -> str:
    """Return where a record lies: `records/0000000/0000000042.json`."""
    return f"{_RECORDS}{sequence // folder:07}/{sequence:010}.json"


class Segments:
    """The folders of a ledger, and what they were gathered into.

    Args:
        store: Where the ledger is kept.
        folder: How many records go into a folder.
    """

    def __init__(self, store: BlobStore, folder: int) -> None:
        self._store, self._folder = store, folder

    def folders(self) -> list[str]:
        """Return the folders of records, in their order."""
        return sorted(name for name in self._store.folders(_RECORDS) if name.isdecimal())

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the records in a folder, in their order."""
        return sorted(filter(None, map(_number, self._store.sizes(f"{_RECORDS}{name}/"))))

    def page(self, name: str) -> list[tuple[int, bytes]]:
        """Return number and bytes of each record of a folder, in the order of the numbers."""
        sums = self._store.sums(f"{_RECORDS}{name}/")
        if sums is None:  # files: to hand each to a thread takes longer than to read it
            return self._some(self.numbers(name))
        wanted = {number: md5 for key, md5 in sums.items() if (number := _number(key))}
        known = {number: data for number, data in self._gathered(name, wanted) if md5_of(data) == wanted[number]}
        known |= self._read(sorted(wanted.keys() - known.keys()))
        return sorted(known.items())

    def gather(self) -> None:
        """Write a segment for each full folder that has none, the newest first; one that is not sound gets none.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        if self._store.sums(_SEGMENTS) is None:
            return
        known = {key.removeprefix(_SEGMENTS).partition(".")[0] for key in self._store.list(_SEGMENTS)}
        missing = [name for name in self.folders()[:-1] if name not in known]
        for name in missing[: -_MOST_BEHIND - 1 : -1]:
            records = self._read(self.numbers(name))
            first = int(name) * self._folder or 1
            whole = len(records) == (int(name) + 1) * self._folder - first
            if whole and check(records, start=first).fault is None:
                data = gzip.compress(b"".join(data for _, data in records), 6, mtime=0)
                self._store.put_if_absent(f"{_SEGMENTS}{name}.jsonl.gz", data)

    def _gathered(self, name: str, wanted: dict[int, str]) -> Iterator[tuple[int, bytes]]:
        if len(wanted) < self._folder - 1 or (packed := self._store.get(f"{_SEGMENTS}{name}.jsonl.gz")) is None:
            return
        try:
            lines = gzip.decompress(packed).splitlines(keepends=True)
        except _BROKEN:
            return
        for number, line in enumerate(lines, int(name) * self._folder or 1):
            if number in wanted:
                yield number, line

    def _read(self, numbers: list[int]) -> list[tuple[int, bytes]]:
        if not numbers:
            return []
        share = -(-len(numbers) // _READERS)
        shares = [numbers[at : at + share] for at in range(0, len(numbers), share)]
        with ThreadPoolExecutor(len(shares), "watchkeeper-ledger") as readers:
            return [one for found in readers.map(self._some, shares) for one in found]

    def _some(self, numbers: list[int]) -> list[tuple[int, bytes]]:
        found = ((number, self._store.get(key_of(number, self._folder))) for number in numbers)
        return [(number, data) for number, data in found if data is not None]


def _number(key: str) -> int:
    name = key.rpartition("/")[2].partition(".")[0]
    return int(name) if name.isdecimal() else 0
