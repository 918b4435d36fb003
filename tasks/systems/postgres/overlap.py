"""Restores a large dump while it is still coming: each table's data as they arrive, side by side.

pg_restore wants a whole file where it is to use several connections, and would begin only when the last byte is there.
Here it is run for the definitions first, then once for each table's data, fed from the file that grows, and in the end
for indexes and constraints: the three sections into which it divides a dump itself.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tasks.clients.process import ProgramFailed
from tasks.systems.postgres.archive_blocks import Block, Blocks, is_known

_FIRST_LOOK = 1 << 16
_PIECE = 1 << 20
_LOOK = 4 << 20
_TOGETHER = 64 << 20
"""Small tables that are there already are restored by one pg_restore, up to so many bytes."""
_ENTRY = re.compile(r"^(\d+);", re.MULTILINE)
_TABLES = re.compile(r"^(\d+); \d+ \d+ TABLE DATA ", re.MULTILINE)


@dataclass
class Coming:
    """A dump that is being written into a file; all threads look at it under `changed`.

    Attributes:
        path: The file.
        size: How much of it is there.
        is_whole: Whether all of it is.
        error: Why it does not go on.
        head: How many bytes its table of contents ends at.
        blocks: Where its tables' data are, as far as was looked.
        seen: How far that is.
        claimed: How many blocks are taken by somebody.
        is_over: Whether nobody looks further.
    """

    path: Path
    size: int = 0
    is_whole: bool = False
    error: BaseException | None = None
    head: int = 0
    blocks: Blocks = field(default_factory=lambda: Blocks(at=0))
    seen: int = 0
    claimed: int = 0
    is_over: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so, or raise what went wrong elsewhere. Call it under `changed`."""
        self.changed.wait_for(lambda: ready() or self.error is not None)
        if self.error is not None:
            raise self.error

    def fail(self, error: BaseException) -> None:
        """Have all others end with the first error."""
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()

    def write(self, chunks: Iterable[bytes]) -> None:
        """Write what comes; runs in a thread of its own, and tells how it ended."""
        try:
            with self.path.open("ab", buffering=0) as file:
                for chunk in chunks:
                    file.write(chunk)
                    with self.changed:
                        self.size += len(chunk)
                        if self.error is not None:
                            return
                        self.changed.notify_all()
            with self.changed:
                self.is_whole = True
                self.changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self.fail(error)


@dataclass(frozen=True)
class Programs:
    """How pg_restore is run: `run` takes arguments and what it reads, and raises as `fed` does.

    Attributes:
        run: Runs it on the database that is filled.
        define: Runs it to make the database, or what is in it.
        lists: Runs it without a server, and returns what it prints.
        jobs: How many connections at once.
    """

    run: Callable[[Sequence[str], Iterable[bytes]], object]
    define: Callable[[Sequence[str]], object]
    lists: Callable[[Sequence[str]], str]
    jobs: int


def restore(chunks: Iterable[bytes], path: Path, programs: Programs) -> None:
    """Restore a dump as it comes.

    Args:
        chunks: The dump.
        path: A file that is not there yet; it holds the dump in the end.
        programs: How pg_restore is run.

    Raises:
        ProgramFailed: As pg_restore says.
        WatchkeeperError: As the dump's source says.
    """
    path.touch(mode=0o600)
    coming = Coming(path)
    writer = threading.Thread(target=coming.write, args=(chunks,), name="spool a dump", daemon=True)
    writer.start()
    try:
        _restore(coming, programs)
    except BaseException as error:
        coming.fail(error)
        raise
    finally:
        writer.join()


def _restore(coming: Coming, programs: Programs) -> None:
    listed = _wait_for_contents(coming, programs)
    done: set[int] = set()
    if listed:
        tables = {int(found) for found in _TABLES.findall(listed)}
        programs.define(["--section=pre-data", str(coming.path)])
        done = _fill(coming, programs, tables)
    with coming.changed:
        coming.wait(lambda: coming.is_whole)
    jobs = f"--jobs={programs.jobs}"
    if not listed:
        programs.define([jobs, str(coming.path)])
        return
    if rest := [int(found) for found in _ENTRY.findall(listed) if int(found) not in done]:
        programs.run(["--section=data", jobs, _listing(coming, "rest", rest), str(coming.path)], ())
    programs.run(["--section=post-data", jobs, str(coming.path)], ())


def _wait_for_contents(coming: Coming, programs: Programs) -> str:
    """Wait for the table of contents, find its end, and return the entries with data; "" where they are not told."""
    wanted = _FIRST_LOOK
    prefix = coming.path.with_suffix(".head")
    with coming.path.open("rb") as file:
        while True:
            with coming.changed:
                coming.wait(lambda wanted=wanted: coming.size >= wanted or coming.is_whole)  # type: ignore[misc]
            data = file.read(wanted)
            file.seek(0)
            if not is_known(data):
                return ""
            if (listed := _listed(prefix, data, programs)) is not None:
                break
            if len(data) < wanted:
                return ""
            wanted *= 2
    low, high = 0, len(data)
    while low < high:  # the shortest beginning that pg_restore can list ends with the table of contents
        middle = (low + high) // 2
        low, high = (low, middle) if _listed(prefix, data[:middle], programs) is not None else (middle + 1, high)
    prefix.unlink()
    coming.head, coming.blocks, coming.seen = high, Blocks(at=high), high
    return listed


def _listed(prefix: Path, data: bytes, programs: Programs) -> str | None:
    prefix.write_bytes(data)
    try:
        return programs.lists(["--list", "--section=data", str(prefix)])
    except ProgramFailed:
        return None


def _fill(coming: Coming, programs: Programs, tables: set[int]) -> set[int]:
    """Restore the tables' data side by side, and return the entries that are done."""
    done: set[int] = set()
    with ThreadPoolExecutor(programs.jobs, thread_name_prefix="watchkeeper-restore") as pool:
        work = [pool.submit(_work, coming, programs, tables, done) for _ in range(programs.jobs)]
        try:
            _look(coming)
        except BaseException as error:
            coming.fail(error)
            raise
        for one in work:
            if one.exception() is not None:
                raise coming.error or RuntimeError("a worker ended and told nothing")
    return done


def _look(coming: Coming) -> None:
    """Find the blocks as they come, until all are there or what comes is something else."""
    blocks = coming.blocks
    with coming.path.open("rb", buffering=0) as file:
        while True:
            with coming.changed:
                coming.wait(lambda: coming.size > coming.seen or coming.is_whole)
                there = coming.size
            if there == coming.seen or blocks.is_lost:
                break
            data = os.pread(file.fileno(), min(_LOOK, there - coming.seen), coming.seen)
            with coming.changed:
                blocks.take(data, coming.seen)
                coming.seen += len(data)
                coming.changed.notify_all()
    with coming.changed:
        coming.is_over = True
        coming.changed.notify_all()


def _work(coming: Coming, programs: Programs, tables: set[int], done: set[int]) -> None:
    """Restore one table after the other until there is none left."""
    try:
        while (claim := _claim(coming)) is not None:
            first, blocks = claim
            ids = [block.id for block in blocks]
            if not tables.issuperset(ids):
                continue  # nobody knows what this is; the whole file tells
            name = _listing(coming, str(first), ids)
            programs.run(["--section=data", name], _bytes(coming, first, blocks))
            with coming.changed:
                done.update(ids)
    except BaseException as error:
        coming.fail(error)
        raise


def _claim(coming: Coming) -> tuple[int, list[Block]] | None:
    """Take the next table, or several small ones that are there already; one that is coming has no end yet."""
    blocks = coming.blocks
    with coming.changed:
        coming.wait(
            lambda: (
                coming.claimed < len(blocks.ended)
                or (coming.claimed == len(blocks.ended) and blocks.begun is not None)
                or coming.is_over
            )
        )
        first = coming.claimed
        taken: list[Block] = []
        for block in blocks.ended[first:]:
            if taken and block.end - taken[0].start > _TOGETHER:
                break
            taken.append(block)
        if not taken and blocks.begun is not None and not blocks.is_lost and not coming.is_over:
            taken.append(Block(*blocks.begun, -1))
        coming.claimed += len(taken)
        return (first, taken) if taken else None


def _bytes(coming: Coming, first: int, taken: Sequence[Block]) -> Iterator[bytes]:
    """Yield the table of contents, then the data of tables as they are there."""
    blocks = coming.blocks
    last = first + len(taken) - 1
    with coming.path.open("rb", buffering=0) as file:
        handle = file.fileno()
        yield os.pread(handle, coming.head, 0)
        at = taken[0].start
        while True:
            with coming.changed:
                coming.wait(lambda at=at: len(blocks.ended) > last or coming.seen > at)  # type: ignore[misc]
                is_ended = len(blocks.ended) > last
                there = blocks.ended[last].end if is_ended else min(coming.seen, coming.size)
            while at < there:
                data = os.pread(handle, min(_PIECE, there - at), at)
                at += len(data)
                yield data
            if is_ended:
                return


def _listing(coming: Coming, name: str, ids: Iterable[int]) -> str:
    path = coming.path.with_suffix(f".{name}.list")
    path.write_text("".join(f"{one};\n" for one in ids), encoding="ascii")
    return f"--use-list={path}"
