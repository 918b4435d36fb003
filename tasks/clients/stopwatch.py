"""Where the time of an HTTP exchange goes, told by httpcore's trace extension."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

_CONNECT, _TLS = "connection.connect_tcp", "connection.start_tls"
_SENT, _HEAD = "send_request_body", "receive_response_headers"


@dataclass(frozen=True)
class Parts:
    """The parts of an exchange, in seconds; None for what it did not need, as an open connection needs no connecting.

    Attributes:
        connect: Opening the TCP connection.
        tls: The TLS handshake.
        first_byte: From the end of the request to the head of its answer: the server's own share.
    """

    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None


class Stopwatch:
    """Takes the time of each part of one exchange; what redirects add is added up.

    Give it to a request as its extension `trace`: https://www.encode.io/httpcore/extensions/#trace.
    """

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._taken: dict[str, float] = {}

    async def __call__(self, event: str, _info: dict[str, Any]) -> None:
        """Note an event of httpcore: `connection.connect_tcp.started`, `http11.send_request_body.complete`..."""
        part, _, step = event.rpartition(".")
        part = part if part.startswith("connection.") else part.partition(".")[2]
        if step == "started" and part in (_CONNECT, _TLS):
            self._began[part] = perf_counter()
        elif step == "complete" and part == _SENT:
            self._began[_HEAD] = perf_counter()
        elif step == "complete" and part in self._began:
            taken = perf_counter() - self._began.pop(part)
            self._taken[part] = self._taken.get(part, 0.0) + taken

    @property
    def parts(self) -> Parts:
        """What was taken so far."""
        return Parts(self._taken.get(_CONNECT), self._taken.get(_TLS), self._taken.get(_HEAD))

    @property
    def stuck(self) -> str:
        """Say what has not come to its end, where it is not just the answer."""
        if _TLS in self._began:
            return "the TLS handshake did not end"
        return "no connection" if _CONNECT in self._began else ""
