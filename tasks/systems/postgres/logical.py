"""Backs a PostgreSQL server up by dumps: each database by pg_dump, and the roles and tablespaces that they share.

The snapshots of all databases are taken first and kept until the last one is read, so that every dump, its counts and
its position are of one moment, and the moments of the databases lie close together.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tasks.clients.process import ProgramFailed, streamed
from tasks.core.backup import Sink, Taken, safe_name
from tasks.core.errors import ConfigError, PermanentError
from tasks.core.system import Access
from tasks.systems.postgres.connection import translated
from tasks.systems.postgres.counting import count_rows
from tasks.systems.postgres.spec import Spec
from tasks.systems.postgres.tools import environment, explained, preflight, program

GLOBALS = "globals.sql"

_LOCK_SECONDS = 60
_QUIET_SECONDS = 3600.0
_OPTIONS = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout={}s -c row_security=off"
_Connection = psycopg.Connection[dict[str, Any]]

_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       pg_is_in_recovery() AS standby,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS may_read_passwords
"""
_DATABASES = "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"
_SNAPSHOT = """
SELECT pg_export_snapshot() AS snapshot, clock_timestamp() AS at, pg_database_size(current_database()) AS size,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn
"""


@dataclass(frozen=True)
class _Snapshot:
    """One database as it was at one moment, held open by a transaction."""

    database: str
    connection: _Connection
    name: str
    at: datetime
    lsn: str
    size: int


@dataclass
class _Progress:
    """How much has been read of all databases."""

    sink: Sink
    total: int
    done: int = 0

    def read(self, count: int) -> None:
        """Tell that so many bytes more were read."""
        self.done += count
        self.sink.progress(self.done, max(self.total, self.done))


def dump(spec: Spec, access: Access, sink: Sink) -> Taken:
    """Write `globals.sql`, and each database that is wanted as `databases/<name>.dump` in custom format.

    Rows are counted in the very snapshot that was dumped. A database that is dropped, a lock that is not given within a
    minute, or a program that dies ends the whole backup.

    Raises:
        ConfigError: The programs are older than the server, or a database that is wanted is not there.
        NotOffered: There is no pg_dump.
        WatchkeeperError: As the server or its programs say.
    """
    dsn = access.resolver.resolve(spec.backup_dsn or spec.dsn)
    warnings: list[str] = []
    with ExitStack() as opened:
        server, there = _survey(opened.enter_context(_connected(dsn, None, access.ca_bundle)))
        databases = _chosen(spec, there)
        tools = {name: preflight(name, server["number"]) for name in ("pg_dump", "pg_dumpall")}
        snapshots = [opened.enter_context(_snapshot(dsn, name, access.ca_bundle)) for name in databases]
        if not snapshots:
            raise PermanentError("no database lets clients in")
        progress = _Progress(sink, sum(snapshot.size for snapshot in snapshots))
        warnings += _globals(environment(dsn, None, access.ca_bundle), sink, passwords=server["may_read_passwords"])
        counts: dict[str, int] = {}
        for snapshot in snapshots:
            given = environment(dsn, snapshot.database, access.ca_bundle)
            warnings += _dump(snapshot, given, sink, progress)
            counts |= count_rows(snapshot.connection, snapshot.database)
    first = min(snapshots, key=lambda snapshot: snapshot.at)
    skew = max(snapshot.at for snapshot in snapshots) - first.at
    return Taken(
        method="logical",
        consistent_as_of=first.at,
        server_version=server["version"],
        tools=tools,
        position={"lsn": first.lsn} | {f"lsn/{snapshot.database}": snapshot.lsn for snapshot in snapshots},
        counts=counts,
        details={
            "databases": {snapshot.database: _part(snapshot.database) for snapshot in snapshots},
            "skew_seconds": skew.total_seconds(),
        },
        warnings=tuple(warnings),
        source_bytes=progress.total,
    )


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that make every database anew on an empty server."""
    major = taken.server_version.split(".")[0]
    lines = [
        f"Start an empty PostgreSQL {major} or newer; let PGHOST, PGPORT, PGUSER and PGPASSWORD name its superuser.",
        "",
        "Roles first. That the superuser's own role exists already is the one error that does no harm.",
        "",
        f"    {{read:{GLOBALS}}} | psql -X -q -d postgres",
        "",
        "Then each database. `pg_restore` makes it, and stops at the first error.",
        "",
    ]
    databases: dict[str, str] = taken.details["databases"]
    for name, part in sorted(databases.items()):
        if part not in parts:
            raise ConfigError(f"the backup has no part {part}")
        create = "-d postgres" if name == "postgres" else "--create -d postgres"
        lines.append(f"    {{read:{part}}} | pg_restore --exit-on-error {create}")
    lines += ["", "Then see that the rows are there, and let the planner know them:", ""]
    for name in sorted(databases):
        lines.append(f"    psql -X -d {shlex.quote(_conninfo(name))} -c ANALYZE")
    return "\n".join([*lines, ""])


def _conninfo(database: str) -> str:
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"


def _part(database: str) -> str:
    return f"databases/{safe_name(database)}.dump"


@contextmanager
def _connected(dsn: str, database: str | None, ca_bundle: Path | None) -> Iterator[_Connection]:
    """Open one connection, and map whatever goes wrong on it."""
    given = environment(dsn, database, ca_bundle)
    more: dict[str, Any] = {"dbname": database} if database is not None else {}
    if ca_bundle is not None:
        more["sslrootcert"] = given["PGSSLROOTCERT"]
    options = f"{given.get('PGOPTIONS', '')} {_OPTIONS.format(_LOCK_SECONDS)}".strip()
    try:
        with psycopg.connect(
            dsn,
            connect_timeout=30,
            application_name="watchkeeper backup",
            options=options,
            row_factory=dict_row,
            **more,
        ) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection
    except psycopg.Error as error:
        raise translated(error) from None


def _survey(connection: _Connection) -> tuple[dict[str, Any], list[str]]:
    server = connection.execute(_SERVER).fetchone()
    databases = [row["name"] for row in connection.execute(_DATABASES)]
    connection.rollback()
    if server is None:
        raise PermanentError("the server does not tell its version")
    return server, databases


def _chosen(spec: Spec, there: Sequence[str]) -> Sequence[str]:
    plan = spec.backup.logical if spec.backup is not None else None
    wanted = plan.databases if plan is not None else ()
    for name in wanted:
        if name not in there:
            raise ConfigError(f"there is no database {name!r} that lets clients in", hint="correct backup.logical")
    return wanted or there


@contextmanager
def _snapshot(dsn: str, database: str, ca_bundle: Path | None) -> Iterator[_Snapshot]:
    with _connected(dsn, database, ca_bundle) as connection:
        row = connection.execute(_SNAPSHOT).fetchone()
        if row is None:
            raise PermanentError(f"{database} gives no snapshot")
        yield _Snapshot(database, connection, row["snapshot"], row["at"], row["lsn"], row["size"])


def _globals(given: dict[str, str], sink: Sink, *, passwords: bool) -> list[str]:
    """Write roles and tablespaces; only a superuser may read the roles' passwords."""
    command = [program("pg_dumpall"), "--globals-only", *([] if passwords else ["--no-role-passwords"])]
    told = _written(command, given, sink, GLOBALS, None)
    if not passwords:
        told.append("the roles' passwords are not in it: only a superuser may read them")
    return told


def _dump(snapshot: _Snapshot, given: dict[str, str], sink: Sink, progress: _Progress) -> list[str]:
    command = [program("pg_dump"), "--format=custom", "--compress=0", f"--snapshot={snapshot.name}"]
    command += [f"--lock-wait-timeout={_LOCK_SECONDS}s"]
    return _written(command, given, sink, _part(snapshot.database), progress)


def _written(command: list[str], given: dict[str, str], sink: Sink, part: str, progress: _Progress | None) -> list[str]:
    """Write what a program writes into a part, and return what it warned of."""
    try:
        with streamed(command, environment=given, quiet=_QUIET_SECONDS) as stream, sink.part(part) as writer:
            for chunk in stream:
                writer.write(chunk)
                if progress is not None:
                    progress.read(len(chunk))
            return [line.split("warning: ", 1)[1] for line in stream.errors if "warning: " in line]
    except ProgramFailed as error:
        raise explained(error) from error
