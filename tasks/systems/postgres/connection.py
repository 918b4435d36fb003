"""One read-only connection to PostgreSQL, and the one table of its failures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.rows import dict_row

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

Connection = psycopg.AsyncConnection[dict[str, Any]]
Rows = list[dict[str, Any]]

_GRACE = 0.2
_LOCK_TIMEOUT = timedelta(seconds=1)
_Explanation = tuple[type[WatchkeeperError], str, str | None]

_STARTING: _Explanation = (Unreachable, "{text}", "wait until it has recovered; its log tells how far it is")
_FULL: _Explanation = (Unreachable, "{text}", "end idle connections, or shrink the applications' pools")
_ABSENT: _Explanation = (Unreachable, "{text}", "has the database been dropped? else correct the dsn")
_PASSWORD: _Explanation = (Denied, "{text}", "check the user and the password of the dsn")
_HOST_RULES: _Explanation = (Denied, "{text}", "add this host and user to pg_hba.conf, or set sslmode=require")
_TOO_SLOW: _Explanation = (TransientError, "it took longer than the check may take", "raise the system's timeout")

_BY_STATE: dict[str, _Explanation] = {
    "28P01": _PASSWORD,
    "28000": _HOST_RULES,
    "42501": (Denied, "{text}", "grant pg_monitor to the user of the dsn"),
    "53300": _FULL,
    "3D000": _ABSENT,
    "57P03": _STARTING,
    "57014": _TOO_SLOW,
    "55P03": _TOO_SLOW,
    "55000": (NotOffered, "{text}", None),
}
_BY_CLASS: dict[str, _Explanation] = {
    "08": (Unreachable, "the connection broke: {text}", None),
    "57": (Unreachable, "the server ended the connection: {text}", None),
    "53": (TransientError, "the server is short of resources: {text}", None),
    "58": (TransientError, "the server failed: {text}", "look at its log"),
    "XX": (TransientError, "the server failed: {text}", "look at its log; the data may be damaged"),
    "0A": (NotOffered, "{text}", None),
    "42": (NotOffered, "this version of PostgreSQL does not offer it: {text}", None),
}
_BY_TEXT: tuple[tuple[str, _Explanation], ...] = (
    (r"password authentication failed|no password supplied|authentication failed|role .* does not exist", _PASSWORD),
    (r"not permitted to log in|permission denied for database", _PASSWORD),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", _HOST_RULES),
    (r"too many (clients|connections)|connection slots", _FULL),
    (r"is (starting up|shutting down)|in recovery mode|not (yet )?accepting connections|not accept", _STARTING),
    (r"database .* does not exist", _ABSENT),
    (
        r"unsupported startup parameter",
        (ConfigError, "a pooler stands before it: {text}", "let the dsn name the server itself"),
    ),
    (
        r"expected authentication request|invalid response|protocol|message contents|lost synchronization",
        (Garbled, "it does not speak PostgreSQL's protocol", "see that the dsn names the right port"),
    ),
    (r"SSL|certificate|TLS", (Unreachable, "TLS failed: {text}", "check sslmode and the certificates")),
    (r"timeout expired|timed out", (Unreachable, "it did not answer in time", None)),
    (r"resolve host|could not translate host name", (Unreachable, "there is no such host", "correct the dsn")),
    (r"Connection refused", (Unreachable, "the connection was refused", None)),
    (r"server closed the connection|reset by peer|EOF|lost", (Unreachable, "it closed the connection", None)),
)


async def connect(dsn: str, *, within: timedelta, ca_bundle: Path | None = None) -> Connection:
    """Open a read-only connection in which no statement takes longer than a third of the whole check.

    Args:
        dsn: A PostgreSQL URL or libpq's `key=value` text.
        within: How long the whole check may take.
        ca_bundle: PEM file of certificate authorities to trust, where the dsn names none.

    Raises:
        ConfigError: The dsn is none; the message does not show it.
        WatchkeeperError: As `translated` says.
    """
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        raise ConfigError(
            "the dsn is no PostgreSQL address", hint="write postgresql://user:password@host:port/database"
        ) from None
    parameters: dict[str, Any] = {**given, **_overrides(given, within, ca_bundle)}
    try:
        return await psycopg.AsyncConnection.connect(
            "", autocommit=True, prepare_threshold=None, row_factory=dict_row, **parameters
        )
    except (psycopg.Error, OSError) as error:
        raise translated(error) from None


def _overrides(given: Mapping[str, Any], within: timedelta, ca_bundle: Path | None) -> dict[str, Any]:
    milliseconds = {
        "statement_timeout": within / 3,
        "lock_timeout": min(_LOCK_TIMEOUT, within / 6),
    }
    options = [str(given.get("options") or ""), "-c default_transaction_read_only=on"]
    options += [f"-c {name}={max(1, round(value / timedelta(milliseconds=1)))}" for name, value in milliseconds.items()]
    trust = {"sslrootcert": str(ca_bundle)} if ca_bundle and not given.get("sslrootcert") else {}
    return {
        "application_name": "watchkeeper",
        "connect_timeout": max(2, round(within.total_seconds())),
        "options": " ".join(options).strip(),
        **trust,
    }


async def rows(connection: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> Rows:
    """Run a query and return its rows.

    When cancelled it returns at once: psycopg on its own waits up to ten seconds for the server to confirm.
    """

    async def run() -> Rows:
        cursor = await connection.execute(query.encode(), parameters)
        return await cursor.fetchall()

    task = asyncio.ensure_future(run())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        asyncio.get_running_loop().call_later(_GRACE, task.cancel)
        await asyncio.wait({task}, timeout=2 * _GRACE)
        raise


def translated(error: BaseException) -> WatchkeeperError:
    """Map an exception of psycopg to ours. The text is the server's own without address, user list or dsn."""
    kind, message, hint = _explained(error)
    return kind(message.format(text=_core(error)), hint=hint)


def _explained(error: BaseException) -> _Explanation:
    if isinstance(error, psycopg.errors.ConnectionTimeout | TimeoutError):
        return Unreachable, "it did not answer in time", None
    state = getattr(error, "sqlstate", None) or ""
    if known := _BY_STATE.get(state) or _BY_CLASS.get(state[:2]):
        return known
    for pattern, explanation in _BY_TEXT:
        if re.search(pattern, str(error), re.IGNORECASE):
            return explanation
    if isinstance(error, psycopg.OperationalError | OSError):
        return Unreachable, "{text}", None
    return PermanentError, "{text}", None


def _core(error: BaseException) -> str:
    """Take the last cause out of libpq's nested text: `connection to server at ... failed: FATAL:  <this>`."""
    line = str(error).strip().split("\n")[0]
    line = re.split(r"failed: ", line)[-1]
    return re.sub(r"^[A-Z]+: +", "", line).strip()
