"""A real PostgreSQL is dumped, restored into a fresh one with its own programs alone, and compared."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from deployments.lab.servers import free_ports, postgres, running
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Taken
from tasks.core.errors import ConfigError, NotOffered, TransientError, Unreachable, WatchkeeperError
from tasks.core.system import Access
from tasks.systems.postgres import backup, logical
from tasks.systems.postgres.spec import Spec
from tests.sinks import MemorySink, follow

GRANT = Path(backup.__file__).with_name("grant-backup.sql").read_text(encoding="utf-8")
ODD = 'Shöp "2"/../x'
SHOP = "databases/shop.dump"


def dsn_of(address, database="postgres", user=None, password=None):
    parts = urlsplit(address)
    user, password = user or parts.username, password or parts.password
    return psycopg.conninfo.make_conninfo(
        host=parts.hostname, port=parts.port, user=user, password=password, dbname=database
    )


def connected(address, database="postgres"):
    return psycopg.connect(dsn_of(address, database), autocommit=True)


@pytest.fixture(scope="module", autouse=True)
def programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", str(postgres.binaries()))
        yield


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = postgres.server(tmp_path_factory.mktemp("source"), free_ports(1)[0])
    with running(server):
        with connected(server.address) as admin:
            admin.execute("CREATE ROLE clerk LOGIN PASSWORD 'cl3rk'")
            for name in ("shop", "empty", ODD):
                admin.execute(sql.SQL("CREATE DATABASE {} OWNER clerk").format(sql.Identifier(name)))
            admin.execute(GRANT)
            admin.execute("ALTER ROLE watchkeeper_backup PASSWORD 'b4ckup'")
        with connected(server.address, "shop") as shop:
            shop.execute("CREATE TABLE orders (id bigint PRIMARY KEY, body jsonb, raw bytea)")
            shop.execute(
                "INSERT INTO orders SELECT i, jsonb_build_object('n', i, 't', md5(i::text)),"
                " decode(md5(i::text), 'hex') FROM generate_series(1, 2000) i"
            )
            shop.execute('CREATE TABLE "Odd Näme" (v text)')
            shop.execute("CREATE TABLE part (d int) PARTITION BY RANGE (d)")
            shop.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10)")
            shop.execute("INSERT INTO part VALUES (1), (2)")
            shop.execute("CREATE INDEX ON orders ((body ->> 't'))")
        yield server


def taken_from(dsn, sink=None):
    sink = sink or MemorySink()
    access = Access(resolver=SecretResolver({"DSN": dsn}), now=lambda: datetime.now(UTC))
    return backup.backup(Spec(kind="postgres", dsn={"env": "DSN"}), access, sink, Order("logical")), sink


def restored(text, sink, server, folder):
    """Run the commands of the recovery text, word for word, against a server."""
    parts = urlsplit(server.address)
    environment = {
        "PATH": f"{postgres.binaries()}:{os.environ['PATH']}",
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port),
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
    }
    follow(text, sink, folder, environment)


def content(address):
    """Say what a server holds: every table's rows by checksum, and its columns and indexes."""
    found = {}
    with connected(address) as admin:
        databases = [row[0] for row in admin.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")]
        found["clerk"] = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'clerk'").fetchone()
    for database in databases:
        with connected(address, database) as connection:
            for schema, name in connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 2"
            ).fetchall():
                query = sql.SQL("SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t")
                rows = connection.execute(query.format(sql.Identifier(schema, name))).fetchone()
                found[database, schema, name] = rows
            found[database, "indexes"] = connection.execute(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
            ).fetchall()
    return found


def test_what_was_dumped_is_the_same_again_on_a_fresh_server(server, tmp_path):
    taken, sink = taken_from(dsn_of(server.address))
    assert taken.counts["databases/shop/public.orders"] == 2000
    assert taken.counts["databases/shop/public.part_1"] == 2
    assert taken.counts["databases/shop/public.Odd Näme"] == 0
    assert set(taken.details["databases"]) == {"postgres", "shop", "empty", ODD}
    assert taken.server_version.startswith("18.")
    assert taken.warnings == ()
    assert sink.done > 100_000
    text = backup.recovery(Taken.model_validate_json(taken.model_dump_json()), list(sink.parts))
    with running(postgres.server(tmp_path / "scratch", free_ports(1)[0])) as scratch:
        restored(text, sink, scratch, tmp_path)
        assert content(scratch.address) == content(server.address)


def test_the_rows_and_their_count_are_of_one_moment(server, monkeypatch):
    with connected(server.address, "shop") as shop:
        dump = logical._dump

        def writing_first(*arguments):
            shop.execute("INSERT INTO part VALUES (3)")
            return dump(*arguments)

        monkeypatch.setattr(logical, "_dump", writing_first)
        taken, sink = taken_from(dsn_of(server.address))
        shop.execute("DELETE FROM part WHERE d = 3")
    assert taken.counts["databases/shop/public.part_1"] == 2
    command = [postgres.binaries() / "pg_restore", "-f", "-", "-a", "-t", "part_1"]
    listed = subprocess.run(command, input=sink.parts[SHOP], capture_output=True, check=True)  # noqa: S603 - the lab's
    assert b"\n1\n2\n\\.\n" in listed.stdout


def test_the_user_of_the_grant_gets_everything_but_passwords(server):
    taken, sink = taken_from(dsn_of(server.address, user="watchkeeper_backup", password="b4ckup"))
    assert taken.counts["databases/shop/public.orders"] == 2000
    assert taken.warnings == ("the roles' passwords are not in it: only a superuser may read them",)
    assert b"CREATE ROLE clerk" in sink.parts[logical.GLOBALS]
    assert b"SCRAM" not in sink.parts[logical.GLOBALS]


def test_a_user_who_may_not_read_a_table_gets_no_backup(server):
    with connected(server.address) as admin:
        admin.execute("CREATE ROLE nobody LOGIN PASSWORD 'n0body'")
    with pytest.raises(WatchkeeperError, match="permission denied"):
        taken_from(dsn_of(server.address, user="nobody", password="n0body"))


def test_a_table_that_stays_locked_ends_the_backup(server, monkeypatch):
    monkeypatch.setattr(logical, "_LOCK_SECONDS", 0.1)
    monkeypatch.setattr(logical, "_OPTIONS", "-c row_security=off")
    with psycopg.connect(dsn_of(server.address, "shop")) as holder:
        holder.execute("LOCK TABLE orders")
        sink = MemorySink()
        with pytest.raises(TransientError, match="a table stayed locked"):
            taken_from(dsn_of(server.address), sink)
        holder.rollback()
    assert SHOP not in sink.parts


def test_a_database_that_is_dropped_by_force_in_the_middle_ends_the_backup(server, monkeypatch):
    with connected(server.address) as admin:
        admin.execute("CREATE DATABASE doomed")
        dump = logical._dump

        def dropping_first(*arguments):
            admin.execute("DROP DATABASE IF EXISTS doomed WITH (FORCE)")
            return dump(*arguments)

        monkeypatch.setattr(logical, "_dump", dropping_first)
        sink = MemorySink()
        with pytest.raises(WatchkeeperError):
            taken_from(dsn_of(server.address), sink)
    assert "databases/doomed.dump" not in sink.parts


def test_a_dump_that_is_killed_in_the_middle_is_no_backup(server, tmp_path, monkeypatch):
    script = "import os, signal, sys\nos.write(1, b'PGDMP' + bytes(5000))\nos.kill(os.getpid(), signal.SIGKILL)\n"
    folder = fake_programs(tmp_path, script)
    monkeypatch.setenv("PG_BIN", str(folder))
    sink = MemorySink()
    with pytest.raises(TransientError, match="signal 9"):
        taken_from(dsn_of(server.address), sink)
    assert set(sink.parts) == {logical.GLOBALS}


def fake_programs(folder, script, version="18.1"):
    """Put a program in pg_dump's place that writes a script's output, beside the real others."""
    program = folder / "pg_dump"
    telling = f"print('pg_dump (PostgreSQL) {version}'); sys.exit()" if version else "pass"
    program.write_text(f"#!{sys.executable}\nimport sys\nif '--version' in sys.argv:\n    {telling}\n{script}")
    program.chmod(0o755)
    for name in ("pg_dumpall",):
        (folder / name).write_text(f'#!/bin/sh\nexec {postgres.binaries() / name} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def test_programs_older_than_the_server_are_refused_before_anything_is_read(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(fake_programs(tmp_path, "", version="15.18 (Debian)")))
    sink = MemorySink()
    with pytest.raises(ConfigError, match=r"pg_dump 15\.18 is older than the server, which is 18\.") as caught:
        taken_from(dsn_of(server.address), sink)
    assert "PostgreSQL 18" in caught.value.hint
    assert sink.parts == {}


def test_without_the_programs_it_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(NotOffered, match="there is no"):
        taken_from(dsn_of(server.address))


def test_a_store_that_fails_ends_the_backup_and_its_programs(server):
    sink = MemorySink(fails_after=20_000)
    with pytest.raises(TransientError, match="the store is full"):
        taken_from(dsn_of(server.address), sink)
    assert SHOP not in sink.parts
    with connected(server.address) as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'watchkeeper%' AND state = 'active'"
        assert admin.execute(query).fetchone() == (0,)


def test_a_server_that_is_not_there_is_unreachable():
    with pytest.raises(Unreachable):
        taken_from(f"postgresql://it:s3cret@127.0.0.1:{free_ports(1)[0]}/it")
