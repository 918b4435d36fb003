"""A small HTTP server on loopback for the lab's stand-ins: many ports, one acceptor thread, a thread a connection."""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_LARGEST_BODY = 64 << 20
_LONGEST_LINE = 65_536
_IDLE_SECONDS = 30.0
_HANDSHAKE_SECONDS = 10.0


class Hangup(Exception):
    """Raised by a handler that wants the connection closed without any answer."""


@dataclass(frozen=True)
class Request:
    """One request, read completely. Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """Return the body as URL-encoded fields."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What is sent back; an iterator as a body is streamed until it ends or the client goes."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        """Answer with a JSON document."""
        return cls(status, json.dumps(document).encode(), headers=headers or {})

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
        """Answer with text."""
        return cls(status, text.encode(), content_type)


Handler = Callable[[Request], Answer]


class Listeners:
    """The listening ports of a stand-in, all on 127.0.0.1. Use it as a context manager, or call `run`."""

    def __init__(self) -> None:
        self._servers: list[_Server] = []
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None

    def add(self, port: int, handle: Handler, tls: ssl.SSLContext | None = None) -> int:
        """Listen on a port, 0 for a free one, and return it. Connections wait until the server runs."""
        server = _Server(port, handle, tls)
        self._servers.append(server)
        return int(server.server_address[1])

    def run(self) -> None:
        """Serve until `stop` is called from another thread or a signal handler."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for server in self._servers:
                selector.register(server, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._woken in ready:
                    break
                for server in self._servers:
                    if server in ready:
                        server.handle_request()
        for server in self._servers:
            server.server_close()

    def stop(self) -> None:
        """Make `run` return; safe to call twice and from a signal handler."""
        self._wake.send(b"\0")

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="loopback", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(5)
        self._wake.close()
        self._woken.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    timeout = 0

    def __init__(self, port: int, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.handler, self._tls = handler, tls
        super().__init__(("127.0.0.1", port), _Connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a client that says nothing holds up nobody."""
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_HANDSHAKE_SECONDS)
        with self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a handler's own fault; a client that goes in the middle is what the faults are for."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "lab"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True  # else the body waits 40 ms for the acknowledgement of the head

    def handle_one_request(self) -> None:
        """Read one request, answer it, and keep the connection unless either side is done with it."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if not self.raw_requestline or len(self.raw_requestline) > _LONGEST_LINE:
            self.close_connection = True
        elif self.parse_request() and (request := self._read()) is not None:
            self._exchange(request)

    def _exchange(self, request: Request) -> None:
        try:
            answer = self.server.handler(request)
        except Hangup:
            self.close_connection = True
        except Exception:
            self._write(Answer.of({"error": "the stand-in itself failed"}, 500))
            raise
        else:
            self._write(answer)

    def _read(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LARGEST_BODY or self.headers.get("Transfer-Encoding"):
            self.send_error(413 if length.isdigit() else 400)
            self.close_connection = True
            return None
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=url.path,
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )

    def _write(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Server", self.version_string())
        if "Date" not in answer.headers:
            self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            return
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in answer.body:
            self.wfile.write(chunk)

    def log_message(self, *_: object) -> None:
        """Write nothing: the stand-ins are asked every few seconds."""
