"""Where an address leads, so that two names of one server are known for the same."""

from __future__ import annotations

import socket


def places(host: str, port: int) -> frozenset[str]:
    """Return `address:port` for each address that a host's name has; a name that nobody knows stands for itself.

    All addresses of the loopback, and the one that means every address of this host, are `127.0.0.1`.
    """
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        found = {host.lower()}
    return frozenset(f"{_plain(address)}:{port}" for address in found)


def _plain(address: str) -> str:
    address = address.removeprefix("::ffff:")
    return "127.0.0.1" if address in {"::1", "::", "0.0.0.0"} or address.startswith("127.") else address  # noqa: S104
