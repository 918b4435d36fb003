"""Reads a server's RDB as a replica does, over its own connection, as it comes."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.errors import Denied, Garbled, NotOffered, PermanentError, Unreachable

_CHUNK = 1 << 18
_LONGEST_LINE = 4096
_MARK = 40  # bytes that end a stream whose length nobody knew


@dataclass(frozen=True)
class Position:
    """Where the copy stands in the server's history."""

    replication_id: str
    offset: int


class Replication:
    """One full synchronisation. The connection is of no further use after it.

    Args:
        connected: A socket on which AUTH was done; nothing of an answer is left in it.
        quiet: It is given up when nothing comes for so many seconds.
    """

    def __init__(self, connected: socket.socket | ssl.SSLSocket, quiet: float) -> None:
        self._socket, self._quiet = connected, quiet
        self._socket.settimeout(quiet)
        self._held = b""

    def begin(self) -> Position:
        """Ask for everything.

        Raises:
            Denied: The user may not: `+psync +replconf`.
            NotOffered: The server is a replica whose own primary is away, or knows no PSYNC.
            Unreachable: The connection broke.
        """
        # As an older replica we would be refused what the server's newer types need.
        self._send("REPLCONF", "version", "255.255.255")
        self._refusable(self._line(), ignore_unknown=True)
        self._send("REPLCONF", "capa", "eof")
        self._refusable(self._line(), ignore_unknown=True)
        self._send("PSYNC", "?", "-1")
        answer = self._line()
        self._refusable(answer, ignore_unknown=False)
        if not (found := re.fullmatch(r"\+FULLRESYNC (\S+) (\d+)", answer)):
            raise Garbled(f"it answers PSYNC with {answer[:40]!r}")
        return Position(found[1], int(found[2]))

    def chunks(self) -> Iterator[bytes]:
        """Yield the RDB, told by its length, or by the mark that ends it where the server writes it to no disk.

        Raises:
            Unreachable: The connection broke before the end.
        """
        head = self._line()
        if head.startswith("$EOF:"):
            yield from self._until(head.removeprefix("$EOF:").encode())
        elif re.fullmatch(r"\$\d+", head):
            yield from self._exactly(int(head[1:]))
        else:
            self._refusable(head, ignore_unknown=False)
            raise Garbled(f"it announces its data with {head[:40]!r}")

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            chunk = self._some()[:left]
            left -= len(chunk)
            yield chunk

    def _until(self, mark: bytes) -> Iterator[bytes]:
        if len(mark) != _MARK:
            raise Garbled("it ends its data with a mark of another length")
        held = b""
        while True:
            held += self._some()
            if (end := held.find(mark)) >= 0:
                yield held[:end]
                return
            yield held[: -len(mark)]
            held = held[-len(mark) :]

    def _send(self, *words: str) -> None:
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
        try:
            self._socket.sendall(b"".join(parts))
        except OSError as error:
            raise Unreachable("the connection broke") from error

    def _some(self) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            return held
        try:
            chunk = self._socket.recv(_CHUNK)
        except TimeoutError as error:
            raise Unreachable("it sent nothing for too long") from error
        except OSError as error:
            raise Unreachable("the connection broke in the middle of the data") from error
        if not chunk:
            raise Unreachable("it closed the connection in the middle of the data")
        return chunk

    def _line(self) -> str:
        """Read a line; lone newlines are the server's way to say that it still works on the answer."""
        while True:
            held = self._some()
            held = held.lstrip(b"\n")
            while held and b"\n" not in held:
                if len(held) > _LONGEST_LINE:
                    raise Garbled("it does not speak Redis's protocol")
                held += self._some()
            if held:
                line, _, self._held = held.partition(b"\n")
                return line.rstrip(b"\r").decode("utf-8", "replace")

    def _refusable(self, answer: str, *, ignore_unknown: bool) -> None:
        if not answer.startswith("-"):
            return
        word, _, text = answer[1:].partition(" ")
        if word in {"NOPERM", "NOAUTH", "WRONGPASS"}:
            raise Denied(text or word, hint="grant +psync +replconf to the user of the url")
        if word == "NOMASTERLINK":
            raise Unreachable("it is a replica whose link to the primary is down")
        if not ignore_unknown:
            raise (NotOffered if "unknown command" in text else PermanentError)(answer[1:])
