"""Doors: every client of the lab reaches a server through one, so that any server can fail in any of the usual ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from enum import StrEnum

from deployments.lab.servers import HOST

_CHUNK = 65536
_SLOW_SECONDS = 3.0
_SLUGGISH_SECONDS = 0.6


class Mode(StrEnum):
    """How a door treats who comes."""

    OPEN = "open"
    STOPPED = "stopped"
    HANGING = "hanging"
    SLOW = "slow"
    SLUGGISH = "sluggish"
    CUT = "cut"


class Door:
    """A loopback port in front of another. Used from the loop's thread only.

    Args:
        front: The port that clients use. It stays bound for the door's whole life, so nobody else can take it.
        back: The server's own port.
    """

    def __init__(self, front: int, back: int) -> None:
        self.front, self.back = front, back
        self.mode = Mode.OPEN
        self.slow_seconds = _SLOW_SECONDS
        self._server: asyncio.Server | None = None
        self._guests: set[asyncio.Task[None]] = set()
        self._bound = self._bind()

    async def set(self, mode: Mode) -> None:
        """Change how the door treats who comes; who is inside is thrown out."""
        self.mode = mode
        for guest in tuple(self._guests):
            guest.cancel()
        if mode is Mode.STOPPED and self._server is not None:
            self._server.close()
            self._server = None
            self._bound = self._bind()  # bound and not listening: refused, and the port stays ours
        elif mode is not Mode.STOPPED and self._server is None:
            self._server = await asyncio.start_server(self._receive, sock=self._bound)

    def _bind(self) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, self.front))
        return bound

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs every connection in a task
        self._guests.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._guests.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.HANGING:
            await asyncio.Event().wait()
        inner_reader, inner_writer = await asyncio.open_connection(HOST, self.back)
        try:
            await asyncio.gather(self._ask(reader, inner_writer), self._answer(inner_reader, writer))
        finally:
            inner_writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self.mode in (Mode.SLOW, Mode.SLUGGISH):
                await asyncio.sleep(self.slow_seconds if self.mode is Mode.SLOW else _SLUGGISH_SECONDS)
            if self.mode is Mode.CUT:
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                raise ConnectionResetError
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Doorkeeper:
    """All doors, kept open by a thread of their own.

    Args:
        ports: The server's own port behind each front port.
    """

    def __init__(self, ports: dict[int, int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._doors: dict[int, Door] = {}
        threading.Thread(target=self._loop.run_forever, name="doors", daemon=True).start()
        self._wait(self._open(ports))

    def set(self, front: int, mode: Mode) -> None:
        """Change how one door treats who comes; returns once it is so."""
        self._wait(self._doors[front].set(mode))

    async def _open(self, ports: dict[int, int]) -> None:
        self._doors = {front: Door(front, back) for front, back in ports.items()}
        for door in self._doors.values():
            await door.set(Mode.OPEN)

    def _wait(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]
