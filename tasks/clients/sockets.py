"""What all clients of a network need: names looked up so that nothing gets stuck, and the system's errors in words."""

from __future__ import annotations

import os
import socket
import ssl

from tasks.clients.threads import in_thread
from tasks.core.errors import ConfigError, Unreachable


async def look_up(host: str, port: int) -> None:
    """See that a host's name is known, before a client that would look it up in a thread that nothing can interrupt.

    Raises:
        Unreachable: The name is not known, or no name server answers.
        ConfigError: It is no host name.
    """
    try:
        await in_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise Unreachable(f"the name {host} cannot be looked up: {error.strerror}") from error
    except UnicodeError as error:
        raise ConfigError(f"{host!r} is no host name") from error


def in_words(error: OSError) -> str:
    """Say what an error of the network or of TLS is, without numbers and source files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    return os.strerror(error.errno).lower() if error.errno else str(error) or type(error).__name__
