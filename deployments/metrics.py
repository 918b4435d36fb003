"""`watchkeeper metrics --listen`: a small HTTP server that reads the newest reports on every scrape."""

from __future__ import annotations

import http.server
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.core.errors import ConfigError
from tasks.reports.metrics import CONTENT_TYPE

_PATHS = ("/metrics", "/")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    make: Callable[[], str]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.partition("?")[0] not in _PATHS:
            self.send_error(404)
            return
        body = self.server.make().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a scrape each quarter of a minute is no news."""


@contextmanager
def serving(listen: str, make: Callable[[], str]) -> Iterator[http.server.ThreadingHTTPServer]:
    """Bind an address; the caller serves.

    Args:
        listen: `127.0.0.1:9464`, `[::1]:9464`; port 0 takes a free one.
        make: Returns the text of one scrape.

    Raises:
        ConfigError: It is no address, or cannot be bound.
    """
    host, port = _address(listen)
    kind = type("_Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in host else socket.AF_INET})
    try:
        server: _Server = kind((host, port), _Handler)
    except OSError as error:
        raise ConfigError(f"{listen} cannot be bound: {error.strerror}") from None
    server.make = make
    with server:
        yield server


def _address(listen: str) -> tuple[str, int]:
    host, sign, port = listen.rpartition(":")
    if not sign or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004
        raise ConfigError(f"{listen!r} is no address to listen on", hint="write 127.0.0.1:9464")
    bare = host.strip("[]") or "127.0.0.1"
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise ConfigError(f"{bare!r} is no IP address", hint="write 127.0.0.1:9464") from None
    return bare, int(port)
