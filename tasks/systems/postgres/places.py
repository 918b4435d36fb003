"""Where the address of a PostgreSQL leads, so that two names of one place are known for the same."""

from __future__ import annotations

import psycopg
from psycopg import conninfo

from tasks.clients.places import LOOPBACK, places
from tasks.core.errors import ConfigError

_PORT = 5432


def database_of(address: str) -> str | None:
    """Return the database that an address names, or None where it names none.

    Raises:
        ConfigError: It is no address.
    """
    return str(_parsed(address).get("dbname") or "") or None


def endpoints(address: str) -> frozenset[str]:
    """Return every server behind an address, names resolved: `127.0.0.1:5433`. See `tasks.core.restore.Endpoints`.

    All databases of a server are one place: they share its roles, its room and its load. Sockets are its loopback.

    Raises:
        ConfigError: It is no address.
    """
    given = _parsed(address)
    hosts = str(given.get("hostaddr") or given.get("host") or LOOPBACK).split(",")
    ports = str(given.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    try:
        return frozenset(
            place
            for host, port in zip(hosts, ports, strict=True)
            for place in places(LOOPBACK if host.startswith(("/", "@")) else host or LOOPBACK, int(port or _PORT))
        )
    except ValueError:
        raise ConfigError(
            "the address is none of PostgreSQL", hint="name one port for all hosts, or one for each of them"
        ) from None


def _parsed(address: str) -> dict[str, object]:
    try:
        return dict(conninfo.conninfo_to_dict(address))
    except psycopg.Error:
        raise ConfigError(
            "the address is none of PostgreSQL", hint="write postgresql://user:password@host:port/database"
        ) from None
