"""What all clients of a network need: names looked up so that nothing gets stuck, and the system's errors in words."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from time import perf_counter

from tasks.clients.threads import in_thread
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.units import format_duration


async def look_up(host: str, port: int, seconds: float | None = None) -> float | None:
    """See that a host's name is known, before a client that would look it up in a thread that nothing can interrupt.

    Args:
        host: A name, or an address.
        port: Where the client will connect to.
        seconds: It may take this long; without it, as long as the caller lets it.

    Returns:
        How long it took; None where the host is an address.

    Raises:
        Unreachable: The name is not known, or no name server answers.
        ConfigError: It is no host name.
    """
    if _is_address(host):
        return None
    began = perf_counter()
    try:
        async with asyncio.timeout(seconds):
            await in_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        within = format_duration(round(seconds or 0.0, 1) or 0.1)
        raise Unreachable(f"the name {host} was not looked up within {within}") from None
    except socket.gaierror as error:
        raise Unreachable(f"the name {host} cannot be looked up: {error.strerror}") from error
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is no host name") from error
    return perf_counter() - began


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def in_words(error: OSError) -> str:
    """Say what an error of the network or of TLS is, without numbers and source files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return os.strerror(error.errno).lower() if error.errno else str(error) or type(error).__name__
