"""Restores a large dump while it is still coming, without a file: its rows go to several connections at once.

pg_restore wants a whole file where it is to use several connections, and would begin only when the last byte is there.
Here it makes the definitions from the dump's table of contents; the rows of each table are then poured into several
connections, whichever takes them first, and pg_restore makes indexes and constraints in the end. No row is committed
before the last byte of the dump is proven, unless it has very many tables.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import psycopg

from tasks.clients.process import ProgramFailed
from tasks.core.errors import Garbled, TransientError
from tasks.systems.postgres.archive_blocks import Blocks, Rows, empty_block, is_known
from tasks.systems.postgres.connection import translated

_FIRST_LOOK = 1 << 16
_WAITING = 3
"""How many pieces wait for the connections, for each of them: some half a megabyte each."""
_FLUSH = 1 << 20
_TABLES_AT_ONCE = 1000
"""So many tables a connection holds before it commits: a server has room for the locks of a few thousand."""
_PATIENCE = 0.2
_CANCEL_SECONDS = 5.0
_ENTRY = re.compile(r"^(\d+);", re.MULTILINE)
_TABLES = re.compile(r"^(\d+); \d+ \d+ TABLE DATA ", re.MULTILINE)
_STATEMENT = re.compile(
    rb"^-- TOC entry (\d+) \(class [^\n]*\n(?:--[^\n]*\n)*\n(COPY .*? FROM stdin;)\n\\\.$", re.MULTILINE | re.DOTALL
)
_SETTINGS = re.compile(rb"^(?:SET [^\n]*;|SELECT pg_catalog\.set_config\([^\n]*\);)$", re.MULTILINE)


@dataclass(frozen=True)
class Programs:
    """How a database is filled.

    Attributes:
        define: Runs pg_restore to make what is in the database, and the database where it is not there.
        run: Runs pg_restore on the database that was made.
        lists: Runs pg_restore without a server, and returns what it prints.
        connect: Opens a connection to the database.
        jobs: How many connections at once.
    """

    define: Callable[[Sequence[str]], object]
    run: Callable[[Sequence[str]], object]
    lists: Callable[[Sequence[str]], str]
    connect: Callable[[], psycopg.Connection]
    jobs: int


@dataclass(frozen=True)
class _Contents:
    """What a dump's table of contents tells.

    Attributes:
        entries: All entries with data.
        tables: The statement that fills each table, by its entry.
        settings: What is set before.
    """

    entries: tuple[int, ...]
    tables: Mapping[int, bytes]
    settings: bytes


def restore(chunks: Iterable[bytes], folder: Path, programs: Programs) -> None:
    """Restore a dump as it comes.

    Args:
        chunks: The dump; where this raises, nothing more is written, and what was not committed is not there.
        folder: An empty folder; only what cannot be poured is kept in it for a while.
        programs: How the database is filled.

    Raises:
        ProgramFailed: As pg_restore says.
        WatchkeeperError: As the dump's source or the server says.
    """
    path, coming = folder / "dump", iter(chunks)
    contents, following = _contents(path, coming, programs)
    if contents is None:
        _append(path, following)
        programs.define([f"--jobs={programs.jobs}", str(path)])
        return
    programs.define(["--section=pre-data", str(path)])
    blocks = Blocks()
    done = _pour(_rows(blocks, following, path), contents, programs)
    if not blocks.is_between and blocks.rest is None:
        raise Garbled("the dump ends in the middle of a table", operation="restore")
    if rest := [one for one in contents.entries if one not in done]:
        listing = folder / "rest.list"
        listing.write_text("".join(f"{one};\n" for one in rest), encoding="ascii")
        programs.run(["--section=data", f"--jobs={programs.jobs}", f"--use-list={listing}", str(path)])
    programs.run(["--section=post-data", f"--jobs={programs.jobs}", str(path)])


def _append(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("ab", buffering=0) as file:
        for chunk in chunks:
            file.write(chunk)


def _contents(path: Path, coming: Iterator[bytes], programs: Programs) -> tuple[_Contents | None, Iterator[bytes]]:
    """Write the table of contents, and nothing else, into a file; where that cannot be, what came so far.

    Returns:
        What it tells, or None where the rows cannot be found by it; and what follows.
    """
    data, wanted = bytearray(), _FIRST_LOOK
    listed: str | None = None
    for chunk in coming:
        data += chunk
        if len(data) < wanted:
            continue
        if not is_known(bytes(data[:wanted])) or (listed := _listed(path, data, programs)) is not None:
            break
        wanted = 2 * len(data)
    if listed is None and is_known(bytes(data[:_FIRST_LOOK])):
        listed = _listed(path, data, programs)
    low, high = 0, len(data)
    while listed is not None and low < high:  # the shortest beginning that can be listed ends with the contents
        middle = (low + high) // 2
        low, high = (low, middle) if _listed(path, data[:middle], programs) is not None else (middle + 1, high)
    contents = None if listed is None else _told(path, data[:high], listed, programs)
    path.write_bytes(data[:high])
    return contents, chain([bytes(data[high:])], coming)


def _listed(path: Path, data: bytes | bytearray, programs: Programs) -> str | None:
    path.write_bytes(data)
    try:
        return programs.lists(["--list", "--section=data", str(path)])
    except ProgramFailed:
        return None


def _told(path: Path, head: bytes | bytearray, listed: str, programs: Programs) -> _Contents | None:
    """Have pg_restore say how each table is filled, of a dump in which all of them are empty."""
    entries = tuple(int(found) for found in _ENTRY.findall(listed))
    tables = [int(found) for found in _TABLES.findall(listed)]
    path.write_bytes(head + b"".join(map(empty_block, tables)))
    wanted = path.with_suffix(".list")
    wanted.write_text("".join(f"{one};\n" for one in tables), encoding="ascii")
    more = ["--section=data", "--verbose", f"--use-list={wanted}", "--file=-", str(path)]
    try:
        text = programs.lists(more).encode("utf-8", "surrogateescape")
    except ProgramFailed:  # it tells where its blocks are, as one does that was written into a file
        return None
    found = [(int(one), statement) for one, statement in _STATEMENT.findall(text)]
    if sorted(one for one, _ in found) != sorted(tables):
        return None
    settings = _SETTINGS.findall(text[: text.find(b"\n-- TOC entry ")])
    return _Contents(entries, dict(found), b"\n".join(settings))


def _rows(blocks: Blocks, chunks: Iterable[bytes], path: Path) -> Iterator[Rows]:
    """Yield the rows of all tables; what comes behind them goes into the file, behind the table of contents."""
    for chunk in chunks:
        yield from blocks.take(chunk)
        if blocks.rest is not None:
            _append(path, [blocks.rest])


@dataclass
class _Pool:
    """Connections that take rows, and what became of them; changed under `lock`."""

    contents: _Contents
    connect: Callable[[], psycopg.Connection]
    waiting: queue.Queue[Rows | None]
    stopped: threading.Event = field(default_factory=threading.Event)
    proven: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: list[psycopg.Connection] = field(default_factory=list)
    taken: int = 0
    filled: int = 0
    error: BaseException | None = None

    def stop(self, error: BaseException | None = None) -> None:
        """Have all connections end, and commit no more."""
        with self.lock:
            self.error = self.error or error
            self.stopped.set()
            for connection in self.open:
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def put(self, rows: Rows | None) -> None:
        """Hand rows to whichever connection takes them first; None ends one."""
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.waiting.put(rows, timeout=_PATIENCE)
                return
        raise self.error or TransientError("it was stopped", operation="restore")

    def work(self) -> None:
        """Be one connection."""
        try:
            with closing(self.connect()) as connection, self._known(connection):
                connection.execute(self.contents.settings)
                rows = self._next()
                tables = 0
                while rows is not None:
                    rows = self._fill(connection, rows)
                    tables += 1
                    if tables % _TABLES_AT_ONCE == 0:
                        connection.commit()
                with self.lock:
                    self.filled += 1
                while not self.proven.wait(_PATIENCE):
                    self._go_on()
                connection.commit()
        except psycopg.Error as error:
            self.stop(translated(error))
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self.stop(error)

    def _fill(self, connection: psycopg.Connection, rows: Rows) -> Rows | None:
        """Fill one table for as long as its rows come, and return the rows of another one, or None at the end."""
        statement, table = self.contents.tables[rows.id], rows.id
        following: Rows | None = rows
        with (
            connection.cursor() as cursor,
            cursor.copy(statement, writer=psycopg.copy.LibpqWriter(cursor, flush_threshold=_FLUSH)) as copy,
        ):
            while following is not None and following.id == table:
                copy.write(following.data)
                following = self._next()
        return following

    def _next(self) -> Rows | None:
        while True:
            self._go_on()
            with suppress(queue.Empty):
                return self.waiting.get(timeout=_PATIENCE)

    def _go_on(self) -> None:
        if self.stopped.is_set():
            raise TransientError("it was stopped", operation="restore")

    @contextmanager
    def _known(self, connection: psycopg.Connection) -> Iterator[None]:
        with self.lock:
            self.open.append(connection)
        try:
            yield
        finally:
            with self.lock:
                self.open.remove(connection)


def _pour(rows: Iterator[Rows], contents: _Contents, programs: Programs) -> set[int]:
    """Pour rows into the tables, commit them when the last is there, and return the entries that are done."""
    pool = _Pool(contents, programs.connect, queue.Queue(_WAITING * programs.jobs))
    threads = [
        threading.Thread(target=pool.work, name=f"watchkeeper-restore-{number}", daemon=True)
        for number in range(programs.jobs)
    ]
    for thread in threads:
        thread.start()
    try:
        done = _hand_out(rows, pool)
        for _ in threads:
            pool.put(None)
        while pool.filled < len(threads) and not pool.stopped.wait(_PATIENCE):
            continue
        if pool.filled == len(threads):
            pool.proven.set()
    except BaseException as error:
        pool.stop(error)
        raise
    finally:
        for thread in threads:
            thread.join()
    if pool.error is not None:
        raise pool.error
    return done


def _hand_out(rows: Iterator[Rows], pool: _Pool) -> set[int]:
    done: set[int] = set()
    for piece in rows:
        if piece.id not in pool.contents.tables:
            raise Garbled(f"the dump has rows of the entry {piece.id}, which it does not list", operation="restore")
        if piece.data:
            pool.put(piece)
        if piece.is_whole:
            done.add(piece.id)
    return done
