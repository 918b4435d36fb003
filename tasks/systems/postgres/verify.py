"""Checks a PostgreSQL backup, and holds a restored copy against what was counted and what the spec asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import dict_row

from tasks.clients.process import ProgramFailed, fed
from tasks.core.errors import Garbled, NotOffered, WatchkeeperError
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.core.tars import members
from tasks.core.units import format_duration
from tasks.systems.postgres.connection import translated
from tasks.systems.postgres.counting import count_rows
from tasks.systems.postgres.logical import GLOBALS
from tasks.systems.postgres.physical import BASE, MANIFEST
from tasks.systems.postgres.places import database_of
from tasks.systems.postgres.spec import Check, CountCheck, NewestCheck, QueryCheck, Spec
from tasks.systems.postgres.tools import environment, server_programs

_NAMED = 3
_LONGEST = 80
_OPTIONS = "-c statement_timeout=600s -c row_security=off"
_READ_ONLY = "-c default_transaction_read_only=on"
_GONE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InvalidCatalogName,
)
_END_OF_GLOBALS = b"PostgreSQL database cluster dump complete"
_ADDED = {"backup_manifest", "tablespace_map", "backup_label"}
_DATABASES = "SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate"
_Connection = psycopg.Connection[dict[str, Any]]


def parse(source: Source) -> Iterator[Assertion]:
    """See that each dump lists its tables, or that each tar holds the files of the manifest of hashes. Level 2.

    Every part is read to its end, so its hash is held as well. See `tasks.core.restore.Parse`.
    """
    if source.manifest.method == "physical":
        yield _tars(source)
        return
    text = b"".join(source.read(GLOBALS))
    yield _told("roles and tablespaces", 2, "written to the end", "cut off", ok=_END_OF_GLOBALS in text)
    databases: dict[str, str] = source.manifest.details["databases"]
    for name, part in databases.items():
        yield _dump(source, name, part)


def compare(spec: Spec, source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold a restored copy against its counts or hashes, then against the spec. See `tasks.core.restore.Compare`."""
    try:
        if source.manifest.method == "physical":
            yield from _files(source, restored)
        else:
            yield _rows(source, restored)
    except (WatchkeeperError, psycopg.Error) as error:
        yield Assertion(name="the restored server", level=3, outcome=Outcome.ERRORED, note=_reason(error))
    for check in spec.verify:
        yield _checked(check, restored)


def spoil(spec: Spec, restored: Restored) -> str:
    """Drop what `compare` must miss: a table of the spec or any other, else a whole database."""
    names: dict[str, str] = restored.details["databases"]
    for check in spec.verify:
        if isinstance(check, CountCheck | NewestCheck):
            database, table, _ = _place(check, restored)
            return _dropped(restored, database, table)
    for key in restored.counts:
        name, _, called = key.removeprefix("databases/").partition("/")
        return _dropped(restored, names[name], tuple(called.split(".", 1)))
    for database in names.values():
        if database not in ("postgres", database_of(restored.address)):
            with _connected(restored.address, "postgres", writes=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
            return f"dropped the database {database}"
    return ""


def newest_record(spec: Spec, restored: Restored) -> datetime | None:
    """Return the newest time in the columns that the spec names as `newest`, or None where it names none.

    Columns that cannot be read tell nothing here; `compare` says what is wrong with them.
    """
    found = []
    for check in spec.verify:
        if isinstance(check, NewestCheck):
            try:
                found.append(_newest(check, restored))
            except psycopg.Error:
                continue
    return max((at for at in found if at is not None), default=None)


def needed_log(source: Source) -> str | None:
    """Name the first segment of the archived log that a physical copy needs; None where it holds what it needs."""
    log: dict[str, Any] = source.manifest.details.get("wal", {})
    return None if log.get("included", True) else str(log["first"])


def values(_spec: Spec, restored: Restored, query: str) -> Iterator[str]:
    """Yield the first column of what a restored copy answers, as text; NULL is left out.

    Raises:
        WatchkeeperError: As the server says.
    """
    try:
        with _connected(restored.address, database_of(restored.address) or "postgres") as connection:
            for row in connection.execute(query.encode()):
                value = next(iter(row.values()), None)
                if value is not None:
                    yield str(value)
    except psycopg.Error as error:
        raise translated(error) from None


def _tars(source: Source) -> Assertion:
    name = "every file of the manifest is in its tar"
    try:
        expected = _listed(b"".join(source.read(MANIFEST)))
        there: dict[str, int] = {}
        for part in source.manifest.parts:
            if part.name.endswith(".tar"):
                space = part.name.removesuffix(".tar").removeprefix("tablespaces/")
                prefix = "" if part.name == BASE else f"pg_tblspc/{space}/"
                there |= {
                    prefix + m.info.name.removeprefix("./"): m.info.size
                    for m in members(source.read(part.name))
                    if m.info.isreg()
                }
    except Garbled as error:
        return Assertion(name=name, level=2, outcome=Outcome.FAILED, note=error.message)
    wrong = [path for path, size in expected.items() if there.get(path) != size]
    wrong += [path for path in there if path not in expected and path not in _ADDED and not path.startswith("pg_wal/")]
    return _told(name, 2, f"{len(expected)} files", _some(wrong), ok=not wrong)


def _listed(data: bytes) -> dict[str, int]:
    """Return the files of a manifest of hashes with their sizes, once its own checksum is right."""
    body, found, rest = data.rpartition(b'"Manifest-Checksum": "')
    if not found or hashlib.sha256(body).hexdigest().encode() != rest[:64]:
        raise Garbled("the manifest of hashes was changed or is cut off", operation=f"read {MANIFEST}")
    files: list[dict[str, Any]] = json.loads(data)["Files"]
    return {
        str(file.get("Path") or bytes.fromhex(file["Encoded-Path"]).decode("latin-1")): file["Size"] for file in files
    }


def _dump(source: Source, name: str, part: str) -> Assertion:
    """List a dump, and see that every table that was counted is in it."""
    label = f"the dump of {name} lists its tables"
    programs = server_programs(int(source.manifest.server_version.split(".")[0]), newer=True)
    try:
        listed = fed([str(programs / "pg_restore"), "--list"], source.read(part), environment={}).output
    except ProgramFailed as error:
        return Assertion(
            name=label, level=2, outcome=Outcome.FAILED, note=error.errors[-1] if error.errors else str(error)
        )
    start = f"databases/{name}/"
    tables = [key.removeprefix(start) for key in source.manifest.counts if key.startswith(start)]
    wrong = [table for table in tables if f" TABLE DATA {table.replace('.', ' ', 1)} " not in listed]
    return _told(label, 2, f"{len(tables)} tables", _some(wrong), ok=not wrong)


def _rows(source: Source, restored: Restored) -> Assertion:
    """Count the rows anew: what was counted while restoring is not what is there now."""
    counts: dict[str, int] = {}
    names: dict[str, str] = restored.details["databases"]
    gone = []
    for name, database in names.items():
        try:
            with _connected(restored.address, database) as connection:
                counts |= count_rows(connection, name)
        except psycopg.OperationalError:
            gone.append(f"the database {database}")
    starts = tuple(f"databases/{name}/" for name in names)
    expected = {key: count for key, count in source.manifest.counts.items() if key.startswith(starts)}
    wrong = gone + [
        f"{key.removeprefix('databases/')} has {counts.get(key, 'none')} instead of {count}"
        for key, count in expected.items()
        if counts.get(key) != count
    ]
    return _told(
        "rows of every table are those that were counted",
        3,
        f"{sum(expected.values())} rows in {len(expected)} tables",
        _some(wrong),
        ok=not wrong,
    )


def _files(source: Source, restored: Restored) -> Iterator[Assertion]:
    """Hold the server that a copy of the files became against its hashes, its databases, and its own structure."""
    yield _told("pg_verifybackup", 3, "every file has its hash", "", ok=bool(restored.details.get("pg_verifybackup")))
    with _connected(restored.address, "postgres") as connection:
        there = {row["name"] for row in connection.execute(_DATABASES)}
    gone = [name for name in restored.details["databases"] if name not in there]
    yield _told("databases", 3, f"{len(restored.details['databases'])} databases", _some(gone), ok=not gone)
    if restored.details.get("scratch"):
        yield _structure(source, restored)


def _structure(source: Source, restored: Restored) -> Assertion:
    """Let pg_amcheck look at every table and index."""
    name = "pg_amcheck"
    try:
        programs = server_programs(int(source.manifest.server_version.split(".")[0]), newer=False)
        command = [str(programs / name), "--all", "--install-missing", "--no-strict-names", "--rootdescend"]
        fed(command, (), environment=environment(restored.address))
    except NotOffered as error:
        return Assertion(name=name, level=3, outcome=Outcome.NOT_CHECKED, note=error.message)
    except ProgramFailed as error:
        lines = [line for line in (*error.output.splitlines(), *error.errors) if not line.startswith("NOTICE:")]
        missing = any('extension "amcheck" is not available' in line for line in lines)
        outcome = Outcome.NOT_CHECKED if missing else Outcome.FAILED
        return Assertion(name=name, level=3, outcome=outcome, note=lines[0] if lines else error.message)
    return Assertion(name=name, level=3, outcome=Outcome.PASSED, expected="tables and indexes are sound")


def _checked(check: Check, restored: Restored) -> Assertion:
    name = _name(check)
    try:
        if isinstance(check, CountCheck):
            return _count(check, restored, name)
        if isinstance(check, NewestCheck):
            return _age(check, restored, name)
        return _query(check, restored, name)
    except _GONE as error:
        outcome = Outcome.ERRORED if isinstance(check, QueryCheck) else Outcome.FAILED
        return Assertion(name=name, level=3, outcome=outcome, note=_reason(error))
    except psycopg.Error as error:
        return Assertion(name=name, level=3, outcome=Outcome.ERRORED, note=_reason(error))


def _name(check: Check) -> str:
    if isinstance(check, CountCheck):
        return f"rows of {check.count}"
    if isinstance(check, NewestCheck):
        return f"newest {check.newest}"
    text = " ".join(check.sql.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _count(check: CountCheck, restored: Restored, name: str) -> Assertion:
    database, table, _ = _place(check, restored)
    with _connected(restored.address, database) as connection:
        row = connection.execute(sql.SQL("SELECT count(*) AS rows FROM {}").format(sql.Identifier(*table))).fetchone()
    rows = 0 if row is None else row["rows"]
    return _told(name, 3, f"at least {check.at_least}", str(rows), ok=rows >= check.at_least, observed=str(rows))


def _age(check: NewestCheck, restored: Restored, name: str) -> Assertion:
    newest = _newest(check, restored)
    point = datetime.fromisoformat(restored.details["restore_point"])
    expected = f"within {format_duration(check.within.total_seconds())} of {point:%Y-%m-%d %H:%M:%S %Z}"
    if newest is None:
        return _told(name, 3, expected, "there are no rows", ok=False)
    age = max(point - newest, timedelta(0))
    observed = f"{newest:%Y-%m-%d %H:%M:%S %Z}, {format_duration(age.total_seconds())} before"
    told = _told(name, 3, expected, observed, ok=age <= check.within, observed=observed)
    return told.model_copy(update={"at": newest})


def _newest(check: NewestCheck, restored: Restored) -> datetime | None:
    database, table, column = _place(check, restored)
    query = sql.SQL("SELECT max({column})::timestamptz AS newest FROM {table}").format(
        column=sql.Identifier(column), table=sql.Identifier(*table)
    )
    with _connected(restored.address, database) as connection:
        row = connection.execute(query).fetchone()
    return None if row is None else row["newest"]


def _query(check: QueryCheck, restored: Restored, name: str) -> Assertion:
    with _connected(restored.address, _database(check, restored)) as connection:
        row = connection.execute(check.sql.encode()).fetchone()
    value = None if not row else next(iter(row.values()))
    if check.at_least is not None:
        try:
            ok = value is not None and float(value) >= check.at_least
        except (TypeError, ValueError):
            return Assertion(name=name, level=3, outcome=Outcome.ERRORED, note=f"{value!r} is no number")
        return _told(name, 3, f"at least {check.at_least:g}", str(value), ok=ok, observed=str(value))
    ok = value == check.equals or str(value) == str(check.equals)
    return _told(name, 3, str(check.equals), str(value), ok=ok, observed=str(value))


def _place(check: CountCheck | NewestCheck, restored: Restored) -> tuple[str, tuple[str, ...], str]:
    """Return the database, the table and the column that a check is of."""
    if isinstance(check, CountCheck):
        return _database(check, restored), tuple(check.count.split(".")), ""
    *table, column = check.newest.split(".")
    return _database(check, restored), tuple(table), column


def _database(check: Check, restored: Restored) -> str:
    names: dict[str, str] = restored.details["databases"]
    if check.database is not None:
        return names.get(check.database, check.database)
    return database_of(restored.address) or "postgres"


def _dropped(restored: Restored, database: str, table: tuple[str, ...]) -> str:
    with _connected(restored.address, database, writes=True) as connection:
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(*table)))
    return f"dropped the table {'.'.join(table)} of {database}"


@contextmanager
def _connected(address: str, database: str, *, writes: bool = False) -> Iterator[_Connection]:
    with psycopg.connect(
        conninfo.make_conninfo(address, dbname=database, options=_OPTIONS if writes else f"{_OPTIONS} {_READ_ONLY}"),
        connect_timeout=30,
        application_name="watchkeeper verify",
        row_factory=dict_row,
        autocommit=True,
    ) as connection:
        yield connection


def _told(name: str, level: int, expected: str, wrong: str, *, ok: bool, observed: str = "") -> Assertion:
    return Assertion(
        name=name,
        level=level,
        outcome=Outcome.PASSED if ok else Outcome.FAILED,
        expected=expected,
        observed=observed or (expected if ok else wrong),
    )


def _some(wrong: list[str]) -> str:
    more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return f"not right: {', '.join(wrong[:_NAMED])}{more}" if wrong else ""


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, WatchkeeperError) else translated(error).message
