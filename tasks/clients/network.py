"""Whether this host has a network at all, for when nothing answers: is it them, or us?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import psutil

from tasks.core.errors import ConfigError

_SECONDS = 3.0


async def own_trouble(witnesses: Sequence[str] = ()) -> str:
    """Say what is wrong with this host's own network, or nothing where it seems well.

    Without witnesses only the interfaces tell: a host of which none but loopback is up reaches nobody.

    Args:
        witnesses: Addresses `host:port` outside that normally accept a connection; any one that does is enough.

    Raises:
        ConfigError: A witness is no such address.
    """
    places = [_place(witness) for witness in witnesses]
    if not _interfaces():
        return "no interface but loopback is up"
    if places and not any(await asyncio.gather(*(_accepts(host, port) for host, port in places))):
        return f"none of {', '.join(witnesses)} accepts a connection"
    return ""


def _interfaces() -> list[str]:
    """Name the interfaces that are up, have an address, and lead off this host."""
    addresses = psutil.net_if_addrs()
    return [
        name
        for name, state in psutil.net_if_stats().items()
        if state.isup and any(_leads_out(entry.family, entry.address) for entry in addresses.get(name, ()))
    ]


def _leads_out(family: int, address: str) -> bool:
    if family == socket.AF_INET:
        return not address.startswith("127.")
    return family == socket.AF_INET6 and address != "::1" and not address.lower().startswith("fe80:")


def _place(witness: str) -> tuple[str, int]:
    host, _, port = witness.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"the witness {witness!r} is no address", hint="write host:port, such as 192.0.2.1:53")
    return host.strip("[]"), int(port)


async def _accepts(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
