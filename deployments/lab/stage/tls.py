"""Serving a certificate that may be swapped at any time: each handshake looks at the files."""

from __future__ import annotations

import ssl
from pathlib import Path


class Certificate:
    """A certificate and its key, read anew when their files change; one that cannot be read keeps the old one.

    Args:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of the key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._stamp()
        self._current = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context to listen with."""
        context = self._load()
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        stamp = self._stamp()
        if stamp != self._seen:
            try:
                self._current = self._load()
            except (OSError, ssl.SSLError):
                pass  # half written; the next handshake looks again
            else:
                self._seen = stamp
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        stats = [file.stat() for file in self._files if file.exists()]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        return context
