"""A PostgreSQL server of our own for as long as a block lasts: on the loopback, by password, without any safety net.

Nothing is synchronised to disk: it is fast, and gone afterwards. It reaches out to nobody: it archives nothing, and
runs no subscription that came along, which would take from production's slot what the real subscriber waits for.
A socket in a folder that only we can enter lets our own programs in, whatever roles and passwords a restored server
has; who else is given the address needs its password.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql

from tasks.clients.process import ProgramFailed, fed
from tasks.clients.scratch import Served, free_port, served
from tasks.core.errors import PermanentError, TransientError
from tasks.systems.postgres.connection import translated
from tasks.systems.postgres.tools import run_as

HOST = "127.0.0.1"
OWNER = "watchkeeper_scratch"

_START_SECONDS = 60.0
_LONGEST_SOCKET = 90
_SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "archive_mode": "off",
    "max_connections": "40",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_level": "minimal",
    "max_wal_size": "4GB",
    "shared_buffers": "64MB",
    "maintenance_work_mem": "128MB",
    "password_encryption": "scram-sha-256",
    "log_timezone": "UTC",
    "TimeZone": "UTC",
}
_RULES = f"local all all trust\nhost all all {HOST}/32 scram-sha-256\n"


@dataclass(frozen=True)
class Scratch:
    """A server that answers.

    Attributes:
        programs: The folder of its programs.
        socket: The folder of its socket.
        port: Where it listens.
        superuser: Who may do all, through the socket.
        password: Of OWNER, over TCP.
        server: Its process.
    """

    programs: Path
    socket: Path
    port: int
    superuser: str
    password: str = field(repr=False)
    server: Served

    def address(self, database: str) -> str:
        """Return the address of one database, for whoever is let in by password."""
        user = {"host": HOST, "port": str(self.port), "user": OWNER, "password": self.password}
        return conninfo.make_conninfo("", **user, dbname=database)

    def inside(self, database: str = "postgres") -> str:
        """Return the address of one database through the socket, without a password."""
        return _inside(self.socket, self.port, self.superuser, database)

    def environment(self, database: str = "postgres") -> dict[str, str]:
        """Return the variables by which libpq's programs find it through the socket."""
        return {
            "PGHOST": str(self.socket),
            "PGPORT": str(self.port),
            "PGUSER": self.superuser,
            "PGDATABASE": database,
            "PGAPPNAME": "watchkeeper restore",
        }


def make_cluster(programs: Path, data: Path) -> None:
    """Make an empty cluster whose superuser is `postgres`.

    Raises:
        WatchkeeperError: As initdb says.
    """
    command = [*run_as(), str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C", "--no-sync", "--no-instructions"]
    try:
        fed(command, (), environment={})
    except ProgramFailed as error:
        raise PermanentError(f"no empty cluster can be made: {error.errors[-1] if error.errors else error}") from error


@contextmanager
def running(
    programs: Path,
    data: Path,
    folder: Path,
    *,
    superuser: str = "postgres",
    settings: Mapping[str, str] | None = None,
    within: float = _START_SECONDS,
    each: Callable[[], None] = lambda: None,
) -> Iterator[Scratch]:
    """Start a server on a cluster, wait until it lets clients in, and end it after the block.

    Args:
        programs: The folder of its programs.
        data: The cluster; its own settings are set aside.
        folder: For its configuration and its log, `log`.
        superuser: A superuser that is in it.
        settings: Of its configuration.
        within: Seconds that it may take until it lets clients in.
        each: Called between two looks whether it does; what it raises ends the wait.

    Raises:
        TransientError: It ended; `folder/log` tells why.
        WatchkeeperError: As the server says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _socket_folder() as socket:
        port = free_port()
        command = _command(
            programs, data, folder, {**_SETTINGS, **(settings or {}), "unix_socket_directories": str(socket)}
        )
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        with served(
            [*command, "-p", str(port)],
            log=folder / "log",
            environment=environment,
            prefix=run_as(),
            stop=signal.SIGQUIT,
            orphaned=signal.SIGQUIT,
        ) as server:
            address = _inside(socket, port, superuser, "postgres")

            def ready() -> bool:
                each()
                return _answers(address)

            server.wait_until(ready, within)
            yield Scratch(programs, socket, port, superuser, _let_in(address), server)


def log_lines(folder: Path) -> list[str]:
    """Return what a server of `running` wrote, without the time before each line."""
    text = (folder / "log").read_text(encoding="utf-8", errors="replace") if (folder / "log").exists() else ""
    return [re.sub(r"^\S+ \S+ \S+ \[\d+\] ", "", line) for line in text.splitlines()]


def _command(programs: Path, data: Path, folder: Path, settings: Mapping[str, str]) -> list[str]:
    """Write the configuration, and return the command that uses it; the cluster's own lies beside it unused."""
    lines = [
        f"{name} = '{value.replace(chr(92), chr(92) * 2).replace(chr(39), chr(39) * 2)}'"
        for name, value in settings.items()
    ]
    files = {"postgresql.conf": "\n".join([*lines, ""]), "pg_hba.conf": _RULES, "pg_ident.conf": ""}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (data / "postgresql.auto.conf").write_text("", encoding="utf-8")
    places = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}
    command = [str(programs / "postgres"), "-D", str(data)]
    for name, file in places.items():
        command += ["-c", f"{name}={folder / file}"]
    return command


@contextmanager
def _socket_folder() -> Iterator[Path]:
    """Make a folder that only we can enter, with a path that is short enough for a socket."""
    place = tempfile.gettempdir() if len(tempfile.gettempdir()) < _LONGEST_SOCKET - 20 else "/tmp"  # noqa: S108 - made private
    folder = Path(tempfile.mkdtemp(prefix="wk-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _inside(socket: Path, port: int, user: str, database: str) -> str:
    return conninfo.make_conninfo("", host=str(socket), port=str(port), user=user, dbname=database)


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "role" in str(error) and "does not exist" in str(error):
            raise translated(error) from None
        return False
    return True


def _let_in(address: str) -> str:
    """Make the role that others come in with, and return its password."""
    password = secrets.token_urlsafe(24)
    role: dict[str, Any] = {"role": sql.Identifier(OWNER), "password": sql.Literal(password)}
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {role}").format(**role))
            connection.execute(sql.SQL("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD {password}").format(**role))
    except psycopg.Error as error:
        raise TransientError(translated(error).message, operation="prepare the scratch server") from None
    return password
