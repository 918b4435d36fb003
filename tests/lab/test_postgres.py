"""A real PostgreSQL, measured by a user with the documented grant, and made sick in the ways the runbooks fear."""

import asyncio
import dataclasses
import subprocess
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import psycopg
import pytest

from deployments.lab.servers import free_ports, postgres, running
from tasks.core.results import Outcome
from tasks.systems.postgres import spec as kind
from tests.hostile import check, finding, measured, serving
from tests.lab.waiting import eventually

GRANT = Path(kind.__file__).with_name("grant.sql").read_text(encoding="utf-8")
PASSWORD = "wk-s3cret-word"


def as_user(address, user, password=PASSWORD, database="postgres"):
    parts = urlsplit(address)
    return f"postgresql://{user}:{password}@{parts.hostname}:{parts.port}/{database}"


@pytest.fixture(scope="module")
def admin(postgres_server):
    with psycopg.connect(postgres_server.address, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def granted(postgres_server, admin):
    """The dsn of a user with nothing but grant.sql, on a database with a table and a slow query."""
    admin.execute(GRANT)
    admin.execute(f"ALTER ROLE watchkeeper PASSWORD '{PASSWORD}'")
    admin.execute("CREATE TABLE orders AS SELECT generate_series(1, 20000) AS id")
    for _ in range(6):
        admin.execute("SELECT count(*) FROM orders WHERE id <> 77").fetchall()
    return as_user(postgres_server.address, "watchkeeper")


async def checked(dsn, **fields):
    return await check({"kind": "postgres", "dsn": {"env": "IT_DSN"}, **fields}, {"IT_DSN": dsn})


def gaps(report):
    return {f.measurement: f for f in report.findings if f.outcome in (Outcome.ERRORED, Outcome.NOT_CHECKED)}


async def test_a_user_with_just_the_grant_can_take_every_measurement(granted):
    report = await checked(granted)
    assert gaps(report) == {}
    here = {"query_time", "connections_used", "connections", "max_connections", "idle_connections", "longest_query"}
    here |= {"longest_transaction", "longest_idle_transaction", "blocked_queries", "standbys", "transaction_ids_used"}
    here |= {
        "dead_rows",
        "database_size",
        "largest_table",
        "table_size",
        "cache_hit_ratio",
        "slowest_query",
        "deadlocks",
    }
    assert {m.name for m in report.measurements} == here | {"reachable"}
    assert measured(report, "largest_table").note == "public.orders"
    assert measured(report, "max_connections").value == 40
    assert finding(report, "connections_used").outcome is Outcome.PASSED


async def test_the_slowest_query_is_shown_without_its_values(granted):
    slowest = measured(await checked(granted), "slowest_query")
    assert "calls of" in slowest.note
    assert "77" not in slowest.note
    assert 0 < slowest.value < 5


async def test_a_user_without_the_grant_is_errored_for_what_it_may_not_see_and_the_rest_goes_on(
    postgres_server, admin, granted
):
    admin.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    report = await checked(as_user(postgres_server.address, "plain"))
    assert gaps(report)["longest_query"].outcome is Outcome.ERRORED
    assert "pg_monitor" in gaps(report)["longest_query"].remedy
    assert finding(report, "connections_used").outcome is Outcome.PASSED
    assert measured(report, "database_size").value > 0
    assert granted


async def test_a_blocked_query_and_a_forgotten_transaction_are_seen(postgres_server, granted):
    async with (
        await psycopg.AsyncConnection.connect(postgres_server.address) as forgetful,
        await psycopg.AsyncConnection.connect(postgres_server.address) as blocked,
    ):
        await forgetful.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        waiting = asyncio.ensure_future(blocked.execute("SELECT count(*) FROM orders"))

        async def is_blocked():
            return measured(await checked(granted), "blocked_queries").value

        await eventually(is_blocked)
        report = await checked(granted, limits={"longest_idle_transaction": {"critical": "1us"}})
        await forgetful.rollback()
        await waiting
    assert measured(report, "blocked_queries").value == 1
    assert "waits for a lock" in measured(report, "longest_query").note
    assert finding(report, "longest_idle_transaction").outcome is Outcome.FAILED
    locked = finding(report, "table_size", "public.orders")
    assert (locked.outcome, locked.note) == (Outcome.NOT_CHECKED, "the table is locked now")


async def test_connections_that_are_idle_for_too_long_are_counted(postgres_server, granted):
    async with await psycopg.AsyncConnection.connect(postgres_server.address, autocommit=True) as idle:
        await idle.execute("SELECT 1")
        report = await checked(granted, idle_after="1us", limits={"idle_connections": {"warn": 0}})
    assert finding(report, "idle_connections").outcome is Outcome.WARNED
    assert measured(report, "connections", "idle").value >= 1


async def test_dead_rows_that_nobody_vacuums_are_told_with_their_table_until_it_was(admin, granted):
    admin.execute("CREATE TABLE bloated (id int) WITH (autovacuum_enabled = off)")
    admin.execute("INSERT INTO bloated SELECT generate_series(1, 4000)")
    admin.execute("DELETE FROM bloated WHERE id > 1000")
    admin.execute("SELECT pg_stat_force_next_flush()")
    limits = {"dead_rows": {"warn": "20%"}}
    bloated = await checked(granted, limits=limits)
    admin.execute("VACUUM bloated")
    admin.execute("SELECT pg_stat_force_next_flush()")
    vacuumed = await checked(granted, limits=limits)
    admin.execute("DROP TABLE bloated")
    assert finding(bloated, "dead_rows").outcome is Outcome.WARNED
    assert finding(bloated, "dead_rows").value == 0.75
    assert finding(bloated, "dead_rows").note == "public.bloated: 3,000 dead rows, never vacuumed"
    assert finding(vacuumed, "dead_rows").outcome is Outcome.PASSED


async def test_a_slot_that_nobody_reads_from_keeps_log_until_it_is_dropped(admin, granted):
    admin.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    admin.execute("SELECT pg_switch_wal()")
    limits = {"slot_retained": {"warn": "1MiB"}}
    kept = await checked(granted, limits=limits)
    admin.execute("SELECT pg_drop_replication_slot('forgotten')")
    dropped = await checked(granted)
    assert finding(kept, "slot_retained", "forgotten").outcome is Outcome.WARNED
    assert finding(kept, "slot_retained", "forgotten").note == "nobody reads from it"
    assert not [m for m in dropped.measurements if m.name == "slot_retained"]


async def test_a_table_that_is_not_in_memory_lowers_the_share_of_cache_hits(admin, granted):
    admin.execute("SELECT pg_stat_reset()")
    limits = {"cache_hit_ratio": {"warn": "< 100%"}}
    admin.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
    admin.execute("SELECT pg_buffercache_evict(bufferid) FROM pg_buffercache WHERE relfilenode IS NOT NULL")
    admin.execute("SELECT count(*) FROM orders")
    admin.execute("SELECT pg_stat_force_next_flush()")
    missed = await checked(granted, limits=limits)
    assert finding(missed, "cache_hit_ratio").outcome is Outcome.WARNED
    assert 0 < finding(missed, "cache_hit_ratio").value < 1


async def test_slow_queries_are_not_checked_where_nothing_records_them(postgres_server, admin, granted):
    admin.execute("CREATE DATABASE bare")
    report = await checked(as_user(postgres_server.address, "watchkeeper", database="bare"))
    gap = finding(report, "slowest_query")
    assert (gap.outcome, gap.remedy) == (Outcome.NOT_CHECKED, "CREATE EXTENSION pg_stat_statements")
    assert granted


async def test_a_wrong_password_is_errored_and_shows_no_secret(postgres_server, granted):
    report = await checked(as_user(postgres_server.address, "watchkeeper", "wr0ng-s3cret"))
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "password authentication failed" in finding(report, "check").note
    assert "wr0ng-s3cret" not in report.model_dump_json()
    assert granted


async def test_a_dropped_database_is_a_failed_system(postgres_server, granted):
    report = await checked(as_user(postgres_server.address, "watchkeeper", database="dropped"))
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note == 'database "dropped" does not exist'
    assert granted


async def test_a_server_without_a_free_connection_is_a_failed_system(postgres_server, admin, granted):
    admin.execute(f"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '{PASSWORD}'")
    report = await checked(as_user(postgres_server.address, "crowded"))
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert "too many connections" in finding(report, "reachable").note
    assert granted


async def test_a_server_without_the_tls_that_the_dsn_requires_is_a_failed_system(granted):
    report = await checked(f"{granted}?sslmode=require")
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert "does not support SSL" in finding(report, "reachable").note


@pytest.mark.parametrize("dsn", ["host=x passwrd=wr0ng-s3cret", "postgresql://user:wr0ng-s3cret@[broken"])
async def test_a_dsn_that_is_none_is_errored_and_not_shown(dsn):
    report = await checked(dsn)
    assert finding(report, "check").note == "the dsn is no PostgreSQL address"
    assert "wr0ng-s3cret" not in report.model_dump_json()


async def test_a_server_that_falls_silent_in_the_middle_keeps_what_came_before_and_does_not_outlast_the_time_out(
    postgres_server, granted
):
    async def relay(reader, writer):
        """Pass everything on until the probe asks for the sessions, then say nothing more."""
        upstream, downstream = await asyncio.open_connection("127.0.0.1", postgres_server.port)

        async def answers():
            while chunk := await upstream.read(65536):
                writer.write(chunk)
                await writer.drain()

        answering = asyncio.ensure_future(answers())
        try:
            while chunk := await reader.read(65536):
                if b"query_start" in chunk:
                    await asyncio.Event().wait()
                downstream.write(chunk)
                await downstream.drain()
        finally:
            answering.cancel()
            downstream.close()

    async with serving(relay) as port:
        began = perf_counter()
        report = await checked(granted.replace(f":{postgres_server.port}/", f":{port}/"), timeout="2s")
        assert perf_counter() - began < 30
    assert finding(report, "connections_used").outcome is Outcome.PASSED
    assert finding(report, "check").note == "the check was not finished within 2 s"


@pytest.fixture(scope="module")
def primary(tmp_path_factory):
    """A server of its own whose archive_command always fails."""
    settings = {"archive_mode": "on", "archive_command": "false", "summarize_wal": "off", "max_wal_size": "64MB"}
    server = postgres.server(tmp_path_factory.mktemp("primary"), free_ports(1)[0], settings)
    with running(server):
        yield server


async def test_an_archive_command_that_fails_is_a_failed_archiver(primary):
    with psycopg.connect(primary.address, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS written (id int)")
        connection.execute("INSERT INTO written VALUES (1)")
        connection.execute("SELECT pg_switch_wal()")

        async def failures():
            return connection.execute("SELECT failed_count FROM pg_stat_archiver").fetchone()[0]

        await eventually(failures)
    report = await checked(primary.address)
    assert finding(report, "archiver_ok").outcome is Outcome.FAILED
    assert "failed" in finding(report, "archiver_ok").note
    assert measured(report, "archive_age").note == "nothing has been archived yet"


async def test_a_primary_knows_its_standby_and_a_standby_its_own_lag(primary, tmp_path):
    port = free_ports(1)[0]
    copy = [*postgres.user_namespace(), str(postgres.binaries() / "pg_basebackup"), "-D", str(tmp_path / "data"), "-R"]
    copy += ["-d", f"{primary.address}?application_name=second", "--checkpoint=fast", "-C", "-S", "second"]
    await asyncio.to_thread(subprocess.run, copy, check=True, timeout=60, capture_output=True)
    command = tuple(
        part.replace(f"port={primary.port}", f"port={port}").replace(str(primary.folder), str(tmp_path))
        for part in primary.command
    )
    address = primary.address.replace(f":{primary.port}/", f":{port}/")
    standby = dataclasses.replace(
        primary,
        folder=tmp_path,
        port=port,
        address=address,
        command=command,
        ready=lambda: psycopg.connect(address).close(),
    )
    with running(standby):

        async def seen():
            report = await checked(primary.address)
            return report if measured(report, "standbys").value else None

        report = await eventually(seen)
        own = await checked(address)
    assert measured(report, "replication_lag", "second").value < 20
    assert measured(report, "slot_retained", "second").value >= 0
    assert measured(own, "replication_lag").value < 20
    assert not [f for f in own.findings if f.outcome is Outcome.ERRORED]
