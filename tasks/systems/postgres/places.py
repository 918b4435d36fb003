"""Where the address of a PostgreSQL leads, so that two names of one place are known for the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psycopg
from psycopg import conninfo

from tasks.core.errors import ConfigError

_LOOPBACK = "127.0.0.1"


def database_of(address: str) -> str | None:
    """Return the database that an address names, or None where it names none.

    Raises:
        ConfigError: It is no address.
    """
    return str(_parsed(address).get("dbname") or "") or None


def endpoints(address: str) -> frozenset[str]:
    """Return every place behind an address, names resolved: `127.0.0.1:5432/shop`. See `tasks.core.restore.Endpoints`.

    Sockets and all addresses of this host are its loopback. A name that cannot be resolved stands for itself.

    Raises:
        ConfigError: It is no address.
    """
    given = _parsed(address)
    hosts = str(given.get("hostaddr") or given.get("host") or _LOOPBACK).split(",")
    ports = str(given.get("port") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    database = given.get("dbname") or given.get("user") or "postgres"
    return frozenset(
        f"{place}:{port}/{database}"
        for host, port in zip(hosts, ports, strict=False)
        for place in _places(host or _LOOPBACK, port)
    )


def _parsed(address: str) -> dict[str, object]:
    try:
        return dict(conninfo.conninfo_to_dict(address))
    except psycopg.Error:
        raise ConfigError(
            "the address is none of PostgreSQL", hint="write postgresql://user:password@host:port/database"
        ) from None


def _places(host: str, port: str) -> Iterator[str]:
    if host.startswith(("/", "@")):
        yield _LOOPBACK
        return
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, int(port or 5432), type=socket.SOCK_STREAM)}
    except (OSError, ValueError):
        yield host.lower()
        return
    for place in found:
        yield _LOOPBACK if _is_ours(place) else place


def _is_ours(place: str) -> bool:
    """Tell whether an address is one of this host's own: only such a one can be bound."""
    family = socket.AF_INET6 if ":" in place else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((place, 0))
    except OSError:
        return False
    return True
