"""Keeps the entries of service registries fresh, as services do that register themselves in a Redis."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from deployments.lab.pieces import Piece

_SECONDS = 5.0
_SILENT = timedelta(hours=1)
_HEALTHY = "healthy"
log = logging.getLogger("lab")


class Heartbeats:
    """Renews the entry of every service in every registry of the lab.

    Args:
        pieces: The lab's pieces; those with a registry count.
    """

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = {piece.target: piece for piece in pieces if piece.address and piece.details.get("services")}
        self._held: set[tuple[str, str]] = set()
        self._beating = threading.Lock()

    def run(self) -> None:
        """Renew until the process ends."""
        while True:
            for piece in self._pieces.values():
                with self._beating:
                    self._beat(piece)
            time.sleep(_SECONDS)

    def _beat(self, piece: Piece) -> None:
        now = datetime.now(UTC)
        commands = [
            ("SET", key(piece, service), entry(service, now))
            for service in services(piece)
            if (piece.target, service) not in self._held
        ]
        try:
            _tell(piece.address, commands)
        except OSError as error:
            log.warning("the registry of %s cannot be renewed: %s", piece.target, error)

    def silence(self, target: str) -> Callable[[], None]:
        """Let the first service fall silent an hour ago; returns how it speaks again."""
        piece = self._pieces[target]
        return self._hold(
            piece, lambda service: ("SET", key(piece, service), entry(service, datetime.now(UTC) - _SILENT))
        )

    def unwell(self, target: str) -> Callable[[], None]:
        """Let the first service say that it is not well; returns how it recovers."""
        piece = self._pieces[target]
        return self._hold(
            piece, lambda service: ("SET", key(piece, service), entry(service, datetime.now(UTC), "unhealthy"))
        )

    def deregister(self, target: str) -> Callable[[], None]:
        """Take the first service out of the registry; returns how it comes back."""
        piece = self._pieces[target]
        return self._hold(piece, lambda service: ("DEL", key(piece, service)))

    def _hold(self, piece: Piece, command: Callable[[str], tuple[str, ...]]) -> Callable[[], None]:
        service = services(piece)[0]
        with self._beating:
            self._held.add((piece.target, service))
            _tell(piece.address, [command(service)])

        def undo() -> None:
            with self._beating:
                self._held.discard((piece.target, service))
                _tell(piece.address, [("SET", key(piece, service), entry(service, datetime.now(UTC)))])

        return undo


def services(piece: Piece) -> list[str]:
    """Return the services of a piece's registry."""
    return [name for name in piece.details.get("services", "").split(",") if name]


def key(piece: Piece, service: str) -> str:
    """Return the key of a service's entry."""
    return piece.details["registry"].removesuffix("*") + service


def entry(service: str, at: datetime, status: str = _HEALTHY) -> str:
    """Write a service's entry as it would itself."""
    url = f"http://{service}.internal:8000"
    return json.dumps({"name": service, "status": status, "url": url, "last_heartbeat": at.isoformat()})


def _tell(address: str, commands: Sequence[tuple[str, ...]]) -> None:
    """Give commands to a Redis; its client library would cost this process 20 MB.

    Raises:
        OSError: There is no connection, or a command is refused.
    """
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
        told = [("AUTH", parts.password or ""), *commands]
        connection.sendall(b"".join(b"".join(_encoded(command)) for command in told))
        with connection.makefile("rb") as answers, contextlib.closing(answers):
            for command in told:
                if (line := answers.readline())[:1] not in (b"+", b":"):
                    raise OSError(f"{command[0]} is refused: {line.decode(errors='replace').strip()}")


def _encoded(command: tuple[str, ...]) -> Iterator[bytes]:
    yield b"*%d\r\n" % len(command)
    for word in command:
        data = word.encode()
        yield b"$%d\r\n%s\r\n" % (len(data), data)
