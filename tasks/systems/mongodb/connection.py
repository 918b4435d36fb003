"""A client for MongoDB that gives up in time, and the one table of its failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
from pymongo import errors

from tasks.core.errors import (
    ConfigError,
    Denied,
    Garbled,
    NotOffered,
    PermanentError,
    TransientError,
    Unreachable,
    WatchkeeperError,
)

Client = pymongo.AsyncMongoClient[dict[str, Any]]
Blocking = pymongo.MongoClient[dict[str, Any]]
APPLICATION = "watchkeeper"

_OPERATION_SHARE = 0.5
_Explanation = tuple[type[WatchkeeperError], str, str | None]

_DENIED: _Explanation = (Denied, "{text}", "grant clusterMonitor to the user of the uri")
_PASSWORD: _Explanation = (
    Denied,
    "the user or the password is wrong",
    "check user, password and authSource of the uri",
)
_SNAPSHOT_ENDED: _Explanation = (
    TransientError,
    "the server ended the snapshot before everything was read",
    "see what ended the session, or raise transactionLifetimeLimitSeconds",
)
_BY_CODE: dict[int, _Explanation] = {
    11: _PASSWORD,
    13: _DENIED,
    18: _PASSWORD,
    8000: _PASSWORD,
    26: (NotOffered, "{text}", None),
    59: (NotOffered, "the server does not know the command", None),
    76: (NotOffered, "the server is in no replica set", None),
    115: (NotOffered, "the server does not support the command", None),
    136: (PermanentError, "the oplog no longer holds what was being read", "enlarge it with replSetResizeOplog"),
    239: _SNAPSHOT_ENDED,
    246: _SNAPSHOT_ENDED,
    251: _SNAPSHOT_ENDED,
    290: _SNAPSHOT_ENDED,
    40324: (NotOffered, "the server does not know the stage", None),
    50: (TransientError, "it took longer than the check may take", "raise the system's timeout"),
    91: (Unreachable, "the server is shutting down", None),
    189: (Unreachable, "the primary has stepped down", None),
    11600: (Unreachable, "the server is shutting down", None),
    13436: (Unreachable, "the member is recovering", None),
}
_BY_TEXT: tuple[tuple[str, _Explanation], ...] = (
    (r"SSL|certificate|TLS", (Unreachable, "TLS failed: {text}", "check tls=true and the certificates")),
    (r"Connection refused|Connect call failed", (Unreachable, "the connection was refused", None)),
    (
        r"Name or service not known|nodename nor servname|name resolution|No address associated|DNS",
        (Unreachable, "there is no such host", "correct the uri"),
    ),
    (
        r"Message length|opcode|responseTo|reply|BSON",
        (Garbled, "it does not speak MongoDB's protocol", "see that the uri names the right port"),
    ),
    (
        r"connection closed|is (already )?closed|reset by peer|Broken pipe",
        (Unreachable, "it broke off the connection", "see that the uri names the right port, and whether it wants TLS"),
    ),
    (r"timed out|[tT]imeout exceeded|No servers found yet", (Unreachable, "it did not answer in time", None)),
    (r"replica set|No .*servers|primary", (Unreachable, "no member of the replica set answered", None)),
)


def connect(uri: str, *, within: timedelta, ca_bundle: Path | None = None) -> Client:
    """Make a client that tries once; it connects on the first command. Close it.

    Args:
        uri: A MongoDB URI.
        within: How long the whole check may take.
        ca_bundle: PEM file of certificate authorities to trust, where the uri asks for TLS and names none.

    Raises:
        ConfigError: The uri is none; the message does not show it.
    """
    milliseconds = max(1, int(within.total_seconds() * 1000 * _OPERATION_SHARE))
    try:
        return pymongo.AsyncMongoClient(
            uri,
            appname=APPLICATION,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            timeoutMS=milliseconds,
            retryReads=False,
            maxPoolSize=2,
            tz_aware=True,
            **_trust(uri, ca_bundle),
        )
    except (errors.PyMongoError, ValueError, TypeError):
        raise _no_address() from None


@contextmanager
def blocking(uri: str, *, seconds: float = 20, ca_bundle: Path | None = None) -> Iterator[Blocking]:
    """Give a client that blocks, and map whatever pymongo raises within the block.

    Args:
        uri: A MongoDB URI.
        seconds: Finding the server, and connecting, may take this long; an answer as long as it needs.
        ca_bundle: PEM file of certificate authorities to trust, where the uri asks for TLS and names none.

    Raises:
        ConfigError: The uri is none; the message does not show it.
        WatchkeeperError: As the server says.
    """
    milliseconds = int(seconds * 1000)
    try:
        client: Blocking = pymongo.MongoClient(
            uri,
            appname=APPLICATION,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            retryReads=False,
            datetime_conversion="DATETIME_AUTO",
            **_trust(uri, ca_bundle),
        )
    except (errors.PyMongoError, ValueError, TypeError):
        raise _no_address() from None
    try:
        with client:
            yield client
    except errors.PyMongoError as error:
        raise translated(error) from error


def _trust(uri: str, ca_bundle: Path | None) -> dict[str, Any]:
    asks = re.search(r"(tls|ssl)=true|^mongodb\+srv:", uri, re.IGNORECASE)
    return {"tlsCAFile": str(ca_bundle)} if ca_bundle and asks and "tlsCAFile" not in uri else {}


def _no_address() -> ConfigError:
    hint = "write mongodb://user:password@host:port/database"
    return ConfigError("the uri is no MongoDB address", hint=hint)


def translated(error: BaseException) -> WatchkeeperError:
    """Map an exception of pymongo to ours. The text is short: no topology, no address, no uri."""
    kind, message, hint = _explained(error)
    return kind(message.format(text=_core(error)), hint=hint)


def _explained(error: BaseException) -> _Explanation:
    if isinstance(error, errors.ConfigurationError):
        return ConfigError, "the uri is not valid: {text}", None
    if isinstance(error, errors.OperationFailure):
        known = _BY_CODE.get(error.code or 0)
        return known or (Unreachable if error.timeout else PermanentError, "{text}", None)
    # What follows describes the whole topology: every address, and every error once more.
    text = str(error).split(", Timeout:")[0]
    for pattern, explanation in _BY_TEXT:
        if re.search(pattern, text):
            return explanation
    if isinstance(error, errors.ConnectionFailure | OSError):
        return Unreachable, "{text}", None
    return Garbled, "{text}", None


def _core(error: BaseException) -> str:
    if isinstance(error, errors.OperationFailure) and error.details:
        return str(error.details.get("errmsg", "")) or type(error).__name__
    text = str(error).split(" (configured timeouts")[0].split(", full error")[0]
    if found := re.search(r"\[SSL: \w+\] ([^(]+)", text):
        return found[1].strip()
    return re.sub(r"^\S+:\d+: ", "", text).split(", Timeout:")[0].strip() or type(error).__name__
