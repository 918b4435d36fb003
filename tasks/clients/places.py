"""Where an address leads, so that two names of one server are known for the same."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def places(host: str, port: int) -> frozenset[str]:
    """Return `address:port` for each address that a host's name has; a name that nobody knows stands for itself.

    All addresses of this very host are its loopback: those of its network cards, and the one that means every address.
    """
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError:
        return frozenset({f"{host.lower()}:{port}"})
    return frozenset(f"{_plain(address)}:{port}" for address in found)


def _plain(address: str) -> str:
    address = address.removeprefix("::ffff:")
    return LOOPBACK if _is_ours(address) else address


def _is_ours(address: str) -> bool:
    """Tell whether an address is one of this host's own: only such a one can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((address, 0))
    except OSError:
        return False
    return True
