"""A replication connection to PostgreSQL: BASE_BACKUP as pg_basebackup asks for it, each archive a stream of its own.

The messages are those of the manual's chapter "Streaming Replication Protocol". pg_basebackup itself writes no server
with tablespaces to a pipe, and wants the manifest before as a file; here nothing touches a disk.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import conninfo, pq

from tasks.core.errors import ConfigError, Garbled, TransientError, Unreachable
from tasks.core.units import format_duration
from tasks.systems.postgres.connection import translated

_ANSWERS = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_PIECE = 1 << 16
Row = dict[str, str | None]


class Refused(TransientError):
    """The server refuses a command; the message is its own."""


class Archive(NamedTuple):
    """One stream of a base backup.

    Attributes:
        name: `base.tar`, `<oid>.tar` of a tablespace, or `backup_manifest`.
        path: Where the tablespace is on the server; empty where it is none.
        chunks: The bytes; to be read to their end before the next archive.
    """

    name: str
    path: str
    chunks: Iterator[bytes]


class Position(NamedTuple):
    """Where in a server's history: `0/3000028` on a timeline."""

    lsn: str
    timeline: int


class BaseBackup:
    """A base backup that is under way.

    Attributes:
        start: Where its write-ahead log begins.
        total: Bytes that the server believes to have.
        end: Where it becomes consistent; known once every archive was read.
        names: Of the archives so far.
    """

    def __init__(self, walsender: Walsender, start: Position, kilobytes: int) -> None:
        self._walsender = walsender
        self.start, self.total = start, kilobytes * 1024
        self.end: Position | None = None
        self.names: set[str] = set()

    def archives(self) -> Iterator[Archive]:
        """Yield each archive in turn, the manifest last."""
        messages = self._walsender.copied()
        head = next(messages, None)
        while head is not None:
            following: list[memoryview] = []
            if (kind := bytes(head[:1])) in (b"n", b"m"):
                name, path = _archive(kind, bytes(head[1:]))
                self.names.add(name)
                yield Archive(name, path, _until_next(messages, following))
            head = following[0] if following else next(messages, None)
        row = self._walsender.answer()[0]
        self.end = _position(row)
        self._walsender.finish_command()


class Walsender:
    """One replication connection that blocks; no wait is longer than `quiet` seconds."""

    def __init__(self, connection: Any, quiet: float) -> None:
        self._connection, self._quiet = connection, quiet
        self._notices: list[str] = []
        connection.notice_handler = self._noticed

    @property
    def notices(self) -> tuple[str, ...]:
        """What the server warned of so far."""
        return tuple(self._notices)

    def ask(self, command: str) -> list[Row]:
        """Send a command or a simple query, and return the rows of its answer.

        Raises:
            WatchkeeperError: As the server says.
        """
        self._connection.send_query(command.encode())
        rows = self.answer()
        self.finish_command()
        return rows

    def upload_manifest(self, chunks: Iterable[bytes]) -> None:
        """Tell the server which files the parent backup holds, so that only what changed since is sent.

        Raises:
            Refused: It is none, or of another server.
        """
        try:
            self._connection.send_query(b"UPLOAD_MANIFEST")
            self._expect(pq.ExecStatus.COPY_IN)
            for chunk in chunks:
                for at in range(0, len(chunk), _PIECE):
                    self._connection.put_copy_data(chunk[at : at + _PIECE])
            self._connection.put_copy_end()
            self.answer()
            self.finish_command()
        except psycopg.Error as error:
            raise Refused(translated(error).message) from None

    def base_backup(self, *, label: str, wal: bool, incremental: bool) -> BaseBackup:
        """Begin a base backup at once, as `--checkpoint=fast` does.

        Args:
            label: What `backup_label` calls it.
            wal: Whether the write-ahead log that it needs is sent in it.
            incremental: Whether only what changed since the uploaded manifest's backup is sent.

        Raises:
            Refused: The server does not begin, such as for want of summaries of its log.
        """
        words = f"BASE_BACKUP (LABEL '{label}', PROGRESS, CHECKPOINT 'fast', MANIFEST 'yes', TABLESPACE_MAP"
        words += f", WAL {str(wal).lower()}, WAIT false"
        words += ", INCREMENTAL)" if incremental else ")"
        self._connection.send_query(words.encode())
        try:
            start = _position(self.answer()[0])
            spaces = self.answer()
            self._expect(pq.ExecStatus.COPY_OUT)
        except psycopg.Error as error:
            raise Refused(translated(error).message) from None
        return BaseBackup(self, start, sum(int(row["size"] or 0) for row in spaces))

    def copied(self) -> Iterator[memoryview]:
        """Yield the messages of a COPY to its end."""
        while True:
            size, data = self._connection.get_copy_data(1)
            if size > 0:
                yield data
            elif size == 0:
                self._wait()
            else:
                return

    def answer(self) -> list[Row]:
        """Return the rows of the next result; an error of the server is raised as psycopg's."""
        result = self._next_result()
        if result is None:
            raise Garbled("the server ended its answer too early")
        if result.status not in _ANSWERS:
            raise psycopg.errors.lookup(_state(result))(result.get_error_message())
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        return [
            {name: _text(result.get_value(row, column)) for column, name in enumerate(names)}
            for row in range(result.ntuples)
        ]

    def finish_command(self) -> None:
        """Read what is left of the answer, and raise where it is an error."""
        while (result := self._next_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.lookup(_state(result))(result.get_error_message())

    def _expect(self, status: pq.ExecStatus) -> None:
        result = self._next_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.lookup(_state(result))(result.get_error_message())
        if result is None or result.status != status:
            raise Garbled("the server answered a replication command with something else")

    def _next_result(self) -> Any:
        while self._connection.is_busy():
            self._wait()
        return self._connection.get_result()

    def _wait(self) -> None:
        if not select.select([self._connection.socket], [], [], self._quiet)[0]:
            told = f"; it says: {self._notices[-1]}" if self._notices else ""
            raise Unreachable(f"the server sent nothing for {format_duration(self._quiet)}{told}")
        self._connection.consume_input()

    def _noticed(self, result: Any) -> None:
        severity = _text(result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)) or ""
        if severity == "WARNING":
            self._notices.append(_text(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)) or "")


@contextmanager
def walsender(dsn: str, *, quiet: float, ca_bundle: Path | None = None) -> Iterator[Walsender]:
    """Open a replication connection to the database of a dsn, and map whatever goes wrong on it.

    Raises:
        ConfigError: The dsn is none, or its user may not replicate.
        WatchkeeperError: As the server says.
    """
    connection = pq.PGconn.connect(_conninfo(dsn, ca_bundle))
    try:
        if connection.status != pq.ConnStatus.OK:
            raise _not_let_in(connection.get_error_message())
        yield Walsender(connection, quiet)
    except psycopg.Error as error:
        raise translated(error) from None
    finally:
        connection.finish()


def _conninfo(dsn: str, ca_bundle: Path | None) -> bytes:
    try:
        given: Mapping[str, Any] = conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        raise ConfigError(
            "the dsn is no PostgreSQL address", hint="write postgresql://user:password@host:port/database"
        ) from None
    trust = {"sslrootcert": str(ca_bundle)} if ca_bundle and not given.get("sslrootcert") else {}
    more = {"replication": "database", "connect_timeout": "30", "application_name": "watchkeeper backup"}
    return conninfo.make_conninfo(**{**given, **trust, **more}).encode()


def _not_let_in(text: str) -> Exception:
    if "REPLICATION attribute" in text or "replication role" in text or "permission denied to start WAL sender" in text:
        return ConfigError(
            "the user may not replicate", hint="ALTER ROLE ... REPLICATION, as grant-backup.sql says for `physical`"
        )
    return translated(psycopg.OperationalError(text))


def _archive(kind: bytes, body: bytes) -> tuple[str, str]:
    """Read the head of an archive: its name and the tablespace's path, each ended by a zero byte."""
    if kind == b"m":
        return "backup_manifest", ""
    name, path, _ = body.split(b"\0", 2)
    return name.decode(), path.decode()


def _until_next(messages: Iterator[memoryview], following: list[memoryview]) -> Iterator[bytes]:
    """Yield the data of an archive, and leave the head of the next one behind."""
    for message in messages:
        kind = bytes(message[:1])
        if kind == b"d":
            yield bytes(message[1:])
        elif kind != b"p":  # progress, which the data tell as well
            following.append(message)
            return


def _position(row: Row) -> Position:
    lsn, timeline = row.values()
    return Position(lsn or "", int(timeline or 0))


def _state(result: Any) -> str:
    return _text(result.error_field(pq.DiagnosticField.SQLSTATE)) or "XX000"


def _text(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode("utf-8", "replace")
