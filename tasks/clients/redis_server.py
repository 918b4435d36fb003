"""Redis' protocol for every kind that speaks it: one way to connect, one table of redis-py's errors."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import redis.asyncio
from redis import exceptions

from tasks.core.errors import ConfigError, Denied, Garbled, TransientError, Unreachable, WatchkeeperError
from tasks.core.references import Reference
from tasks.core.system import Access

_Explanation = tuple[type[WatchkeeperError], str, str | None]


def connection(address: Reference | str, seconds: float, access: Access) -> redis.asyncio.Redis:
    """Return a client that connects when it is used, and retries nothing.

    Args:
        address: `redis://` or `rediss://`, or where it is to be found.
        seconds: Connecting, and each answer, may take this long.
        access: Resolves the address, and says whom to trust.

    Raises:
        ConfigError: It is no address of a Redis.
    """
    url = access.resolver.resolve(address)
    trust: dict[str, Any] = (
        {"ssl_ca_certs": str(access.ca_bundle)} if access.ca_bundle and url.startswith("rediss:") else {}
    )
    try:
        return redis.asyncio.Redis.from_url(
            url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None, protocol=2, **trust
        )
    except (ValueError, TypeError):
        hint = "write redis://[user:password@]host:port/db"
        raise ConfigError(f"{address} holds no Redis address", hint=hint) from None


_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], _Explanation], ...] = (
    (
        (exceptions.AuthenticationError, exceptions.AuthorizationError),
        (Denied, "the user or the password is wrong", "check the user and the password behind the url"),
    ),
    ((exceptions.NoPermissionError,), (Denied, "{text}", "grant +ping +select +info to the user of the url")),
    ((exceptions.BusyLoadingError,), (Unreachable, "it is still loading its data", "wait until it has loaded")),
    (
        (exceptions.MasterDownError,),
        (Unreachable, "its link to the primary is down and it serves no stale data", "look at the primary"),
    ),
    ((exceptions.TimeoutError, TimeoutError), (Unreachable, "it did not answer in time", None)),
    ((exceptions.InvalidResponse,), (Garbled, "it does not speak Redis's protocol", "see that the url names its port")),
    ((exceptions.ConnectionError, OSError), (Unreachable, "{text}", None)),
)
_BY_WORD: dict[str, _Explanation] = {
    "WRONGPASS": (Denied, "the user or the password is wrong", "check the user and the password behind the url"),
    "DENIED": (Denied, "it runs in protected mode and refuses other hosts", "set a password, or bind it to loopback"),
    "BUSY": (TransientError, "a script keeps it busy", "end it with SCRIPT KILL"),
}


def translated(error: BaseException) -> WatchkeeperError:
    """Map an exception of redis-py to ours; the order matters, as its classes descend from each other."""
    word = str(error).split(" ")[0]
    known = [_BY_WORD[word]] if word in _BY_WORD else [told for types, told in _BY_CLASS if isinstance(error, types)]
    kind, message, hint = known[0] if known else (Garbled, "{text}", None)
    return kind(message.format(text=_cause(error)), hint=hint)


def _cause(error: BaseException) -> str:
    """Say what lies under redis-py's wrapping, without the address that it repeats."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__
    match inner:
        case ConnectionRefusedError():
            return "the connection was refused"
        case socket.gaierror():
            return "there is no such host"
        case ssl.SSLError():
            return f"TLS failed: {(inner.reason or 'broken').replace('_', ' ').lower()}"
        case OSError():
            return inner.strerror or type(inner).__name__
    return str(error).rstrip(".") or type(error).__name__
