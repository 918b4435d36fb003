"""Restores dumps: roles first, then each database by pg_restore, side by side, into scratch or an empty place."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import dict_row

from tasks.clients.process import ProgramFailed, fed
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.versions import must_not_be_older
from tasks.systems.postgres import pouring, scratch
from tasks.systems.postgres.connection import translated
from tasks.systems.postgres.counting import count_rows
from tasks.systems.postgres.logical import GLOBALS
from tasks.systems.postgres.places import database_of
from tasks.systems.postgres.tools import environment, explained, server_programs

_POUR_FROM = 64 * 1024 * 1024
_MAINTENANCE = "postgres"
_IN_PLACE = {"allow_in_place_tablespaces": "on"}
_ROLE = re.compile(r"(CREATE|ALTER) ROLE (\"(?:[^\"]|\"\")+\"|[^\s;]+)")
_LOCATION = re.compile(r"^(CREATE TABLESPACE .*) LOCATION '(?:[^']|'')*';")
_SPACE = re.compile(r"(CREATE|ALTER|COMMENT ON) TABLESPACE |(GRANT|REVOKE) .* ON TABLESPACE ")
_CONTENT = """
SELECT count(*) AS things FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       ARRAY(SELECT quote_ident(rolname) FROM pg_roles) AS roles,
       ARRAY(SELECT datname FROM pg_database WHERE datallowconn)::text[] AS databases
"""
_Connection = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True)
class _Place:
    """A server that dumps are restored into.

    Attributes:
        programs: The folder of the programs that do it.
        dsn: Its address as a superuser, without a database.
        is_scratch: Whether it is a server of our own.
        names: How each database of the backup is called there.
        version: Of the server.
        roles: Those that are there, quoted.
        databases: Those that are there.
    """

    programs: Path
    dsn: str = field(repr=False)
    is_scratch: bool
    names: dict[str, str]
    version: str
    roles: frozenset[str]
    databases: frozenset[str]

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables by which programs find it."""
        return environment(self.dsn, database) | {"PGAPPNAME": "watchkeeper restore"}


@contextmanager
def load(source: Source, order: Order, wanted: str | None) -> Iterator[Restored]:
    """Restore a backup of the method `logical`. See `tasks.core.restore.Restore`.

    Args:
        source: The backup.
        order: What is asked for.
        wanted: The database that the restored address should name, where it is there.
    """
    if order.until is not None or order.position is not None:
        raise ConfigError(
            f"a dump shows one moment, {source.manifest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}",
            hint="restore a moment from a physical backup, or leave out the time",
        )
    databases = _chosen(source, order)
    major = int(source.manifest.server_version.split(".")[0])
    programs = server_programs(major, newer=True)
    if order.into is not None:
        place = _survey(programs, order.into, _renamed(order.into, databases), is_scratch=False)
        must_not_be_older(place.version, source.manifest.server_version, product="PostgreSQL", parts=1)
        _must_be_empty(place)
        with _saying_what_is_left(place):
            _restore(place, source, order, databases)
        yield _restored(place, order.into, source, order, databases, wanted)
        return
    with order.phase(Phase.PROVISION):
        data = order.folder / "data"
        scratch.make_cluster(programs, data)
        server = scratch.running(programs, data, order.folder / "server", settings=_IN_PLACE)
    with _phased(server, order) as running:
        place = _survey(programs, running.inside(), {name: name for name in databases}, is_scratch=True)
        _restore(place, source, order, databases)
        yield _restored(place, running.address(_MAINTENANCE), source, order, databases, wanted)


@contextmanager
def _phased(server: Any, order: Order) -> Iterator[scratch.Scratch]:
    """Start the server within its phase, and end it after the block."""
    with order.phase(Phase.PROVISION):
        running = server.__enter__()
    try:
        yield running
    finally:
        server.__exit__(None, None, None)


def _chosen(source: Source, order: Order) -> dict[str, str]:
    """Return the databases that are asked for, with their parts."""
    there: dict[str, str] = source.manifest.details["databases"]
    for name in order.only:
        if name not in there:
            raise ConfigError(f"the backup has no database {name!r}", hint=f"it has {', '.join(sorted(there))}")
    return {name: part for name, part in there.items() if not order.only or name in order.only}


def _renamed(into: str, databases: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """Say how each database is called in a named place: one alone is called as the address says."""
    database = database_of(into)
    names = [name for name in databases if name != _MAINTENANCE]
    if database in (None, _MAINTENANCE):
        return {name: name for name in databases}
    if len(databases) == 1 or len(names) == 1:
        return {name: str(database) if name == (names or list(databases))[0] else name for name in databases}
    raise ConfigError(
        f"{len(databases)} databases do not fit into {database!r}",
        hint="name one with --only, or let the address name the database postgres, and they are made beside it",
    )


def _survey(programs: Path, dsn: str, names: dict[str, str], *, is_scratch: bool) -> _Place:
    with _connected(dsn, _MAINTENANCE) as connection:
        row = connection.execute(_SERVER).fetchone()
    if row is None:
        raise ConfigError("the server does not tell its version")
    return _Place(
        programs, dsn, is_scratch, names, row["version"], frozenset(row["roles"]), frozenset(row["databases"])
    )


@contextmanager
def _connected(dsn: str, database: str) -> Iterator[_Connection]:
    try:
        with psycopg.connect(
            dsn, dbname=database, connect_timeout=30, application_name="watchkeeper restore", row_factory=dict_row
        ) as connection:
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise translated(error) from None


def _must_be_empty(place: _Place) -> None:
    for name in place.names.values():
        if name not in place.databases:
            continue
        with _connected(place.dsn, name) as connection:
            row = connection.execute(_CONTENT).fetchone()
        if row is None or row["things"]:
            raise ConfigError(
                f"the database {name!r} is not empty there", hint="name an empty one; nothing is written over"
            )


@contextmanager
def _saying_what_is_left(place: _Place) -> Iterator[None]:
    """Add to an error what was written into a named place by then, and how it is cleared."""
    try:
        yield
    except WatchkeeperError as error:
        left = "; ".join(_left(place))
        error.hint = "; ".join(text for text in (error.hint, left) if text)
        raise


def _left(place: _Place) -> Iterator[str]:
    for name in place.names.values():
        quoted = sql.Identifier(name).as_string()
        was_there = name in place.databases
        try:
            with _connected(place.dsn, name) as connection:
                row = connection.execute(_CONTENT).fetchone()
        except WatchkeeperError:
            continue  # it was not made; or the server is away, which the error says
        things = row["things"] if row is not None else 0
        if things or not was_there:
            clear = f"DROP DATABASE {quoted}" + (f"; CREATE DATABASE {quoted}" if was_there else "")
            yield f"{things} tables, indexes and the like are in {name!r} by now: clear it by `{clear}` and try again"


def _restore(place: _Place, source: Source, order: Order, databases: dict[str, str]) -> None:
    sizes = {name: source.manifest.part(part).plain_bytes for name, part in databases.items()}
    meter = _Meter(order, sum(sizes.values()))
    with order.phase(Phase.RESTORE):
        _roles(place, source)
        large = [name for name, size in sizes.items() if order.jobs > 1 and size >= _POUR_FROM]
        for name in large:
            _database(place, source, order, name, databases[name], meter, pour=True)
        with ThreadPoolExecutor(max(1, order.jobs)) as pool:
            rest = [
                pool.submit(_database, place, source, order, name, part, meter, pour=False)
                for name, part in databases.items()
                if name not in large
            ]
            try:
                for one in rest:
                    one.result()
            except BaseException:
                meter.stop()
                raise


def _roles(place: _Place, source: Source) -> None:
    """Make the roles that are not there yet; those that are stay as they are, with their passwords."""
    text = b"".join(source.read(GLOBALS)).decode("utf-8", "surrogateescape")
    kept = [
        line
        for line in map(_in_place if place.is_scratch else str, text.splitlines(keepends=True))
        if not _is_there(line, place.roles) and (place.is_scratch or not _SPACE.match(line))
    ]
    command = [str(place.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]
    try:
        fed(command, ["".join(kept).encode("utf-8", "surrogateescape")], environment=place.environment(_MAINTENANCE))
    except ProgramFailed as error:
        raise explained(error) from error


def _in_place(line: str) -> str:
    """Make a tablespace within the scratch server's own folder, never where the live server has it."""
    return _LOCATION.sub(r"\1 LOCATION '';", line)


def _is_there(line: str, roles: frozenset[str]) -> bool:
    match = _ROLE.match(line)
    return match is not None and match[2] in roles


def _database(place: _Place, source: Source, order: Order, name: str, part: str, meter: _Meter, *, pour: bool) -> None:
    target = place.names[name]
    if target != name and target not in place.databases:
        raise ConfigError(f"there is no database {target!r} there", hint=f"createdb {target}")
    program = str(place.programs / "pg_restore")
    command = [program, "--exit-on-error", *([] if place.is_scratch else ["--no-tablespaces"])]
    filling = [*command, "--dbname", conninfo.make_conninfo("", dbname=target)]
    making = [*command, "--create", "--dbname", _MAINTENANCE] if target not in place.databases else filling
    given = place.environment(target if target in place.databases else _MAINTENANCE)
    try:
        if not pour:
            fed(making, meter.read(source.read(part)), environment=given)
            return
        programs = pouring.Programs(
            define=lambda more: fed([*making, *more], (), environment=given),
            run=lambda more: fed([*filling, *more], (), environment=place.environment(target)),
            lists=lambda more: fed([program, *more], (), environment={}).output,
            connect=lambda: psycopg.connect(
                place.dsn, dbname=target, connect_timeout=30, application_name="watchkeeper restore"
            ),
            jobs=order.jobs,
        )
        with TemporaryDirectory(dir=order.folder, prefix="poured-") as folder:
            pouring.restore(meter.read(source.read(part)), Path(folder), programs)
    except ProgramFailed as error:
        raise explained(error) from error


class _Meter:
    """Tells how much of all databases was read; stops what is under way where one of them failed."""

    def __init__(self, order: Order, total: int) -> None:
        self._order, self._total, self._done = order, total, 0
        self._lock, self._stopped = threading.Lock(), False

    def stop(self) -> None:
        """Let what is being read end with an exception."""
        self._stopped = True

    def read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks, and tell of them."""
        for chunk in chunks:
            if self._stopped:
                raise ConfigError("another database could not be restored")
            yield chunk
            with self._lock:
                self._done += len(chunk)
                done = self._done
            self._order.progress(done, self._total)


def _restored(
    place: _Place, address: str, source: Source, order: Order, databases: dict[str, str], wanted: str | None
) -> Restored:
    counts: dict[str, int] = {}
    with order.phase(Phase.VERIFY):
        for name in databases:
            with _connected(place.dsn, place.names[name]) as connection:
                counts |= count_rows(connection, name)
    return Restored(
        address=conninfo.make_conninfo(address, dbname=shown(place.names, wanted)),
        recovered_to=source.manifest.consistent_as_of,
        server_version=place.version,
        counts=counts,
        details={
            "databases": place.names,
            "restore_point": source.manifest.consistent_as_of.isoformat(),
            "scratch": place.is_scratch,
        },
    )


def shown(names: dict[str, str], wanted: str | None) -> str:
    """Return the database that the restored address names: the one that is wanted, else the first of somebody's own."""
    if wanted in names:
        return names[str(wanted)]
    return next((there for name, there in names.items() if name != _MAINTENANCE), _MAINTENANCE)
