"""Hands archived write-ahead log to a server that recovers: its restore_command asks through a pipe, and we answer.

The server knows neither vault nor key. It runs a few lines of shell that write the name of a file into one pipe and
read from another what became of it; the file then lies in a folder. Those that follow are fetched ahead.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tasks.core.restore import Source
from tasks.systems.postgres.wal import Segment, parse_segment, segment_name

_AHEAD = 5
_READERS = 2
_ABSENT, _FAILED = "absent", "failed"
_POLL = 1.0
_SCRIPT = """#!/bin/sh
# Status 1: there is no such file. Above 125: the recovery ends.
cd {folder} || exit 200
echo "$1" > asked || exit 200
read -r answer < answered || exit 200
case "$answer" in
  absent) exit 1 ;;
  failed) exit 200 ;;
esac
mv "files/$answer" "$OLDPWD/$2" || exit 200
"""


class Feed:
    """What a recovering server may ask for.

    Attributes:
        command: For restore_command.
        error: What went wrong while a file was read, if anything did.
        fetched: The names of the files that were handed out.
    """

    def __init__(self, source: Source, folder: Path, names: Sequence[str], segment_bytes: int) -> None:
        self._source, self._folder = source, folder
        self._names, self._segment_bytes = frozenset(names), segment_bytes
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="wal")
        self._coming: dict[str, Future[Path]] = {}
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self.fetched: list[str] = []
        script = folder / "fetch"
        script.write_text(_SCRIPT.format(folder=shlex.quote(str(folder))), encoding="utf-8")
        self.command = f"/bin/sh {shlex.quote(str(script))} %f %p"

    def prepare(self, name: str) -> None:
        """Fetch the file that a recovery begins with, and those behind it, before anybody asks."""
        if name in self._names:
            self._begin(name)
            self._ahead(name)

    def serve(self) -> None:
        """Answer until `stop` is called; runs in a thread of its own."""
        asked, answered = (os.open(self._folder / name, os.O_RDWR) for name in ("asked", "answered"))
        try:
            while not self._stop.is_set():
                if not select.select([asked], [], [], _POLL)[0]:
                    continue
                for name in os.read(asked, 4096).decode("utf-8", "replace").split():
                    os.write(answered, f"{self._answer(name)}\n".encode())
        finally:
            os.close(asked)
            os.close(answered)

    def stop(self) -> None:
        """Answer no more."""
        self._stop.set()
        with contextlib.suppress(OSError):
            pipe = os.open(self._folder / "asked", os.O_WRONLY | os.O_NONBLOCK)
            os.write(pipe, b"\n")
            os.close(pipe)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, name: str) -> str:
        if name not in self._names:
            return _ABSENT
        try:
            path = self._begin(name).result()
        except BaseException as error:  # noqa: BLE001 - told by whoever waits for the server
            self.error = self.error or error
            return _FAILED
        self._coming.pop(name, None)
        self.fetched.append(name)
        self._ahead(name)
        return path.name

    def _begin(self, name: str) -> Future[Path]:
        if name not in self._coming:
            self._coming[name] = self._pool.submit(self._fetch, name)
        return self._coming[name]

    def _ahead(self, name: str) -> None:
        segment = parse_segment(name, self._segment_bytes)
        if segment is None or self._stop.is_set():
            return
        for further in range(1, _AHEAD + 1):
            following = segment_name(Segment(segment.timeline, segment.number + further), self._segment_bytes)
            if following in self._names:
                self._begin(following)

    def _fetch(self, name: str) -> Path:
        path = self._folder / "files" / name
        coming = path.with_name(f"{name}.part")
        with coming.open("wb") as file:
            for chunk in self._source.read_archived(name):
                file.write(chunk)
        return coming.rename(path)


@contextlib.contextmanager
def feeding(source: Source, folder: Path, names: Sequence[str], segment_bytes: int) -> Iterator[Feed]:
    """Answer a recovering server for as long as the block lasts.

    Args:
        source: The backup, whose archive is read.
        folder: An empty folder for pipes and files.
        names: What is archived.
        segment_bytes: `wal_segment_size` of the server.
    """
    (folder / "files").mkdir(parents=True)
    for name in ("asked", "answered"):
        os.mkfifo(folder / name, 0o600)
    feed = Feed(source, folder, names, segment_bytes)
    thread = threading.Thread(target=feed.serve, name="feed write-ahead log", daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop()
        thread.join(2 * _POLL)
