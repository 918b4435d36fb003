"""A real PostgreSQL with a writer is restored: dumps, and copies of its files to any moment of the archived log."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyrage
import pytest

from deployments.lab.servers import free_ports, postgres, running
from tasks.clients.secrets import SecretResolver
from tasks.core import backup as backing
from tasks.core.errors import ConfigError, Garbled, TransientError, WatchkeeperError
from tasks.core.restore import Order, Phase
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.postgres import backup, load, pouring, scratch, verify
from tasks.systems.postgres.restore import endpoints, restore
from tasks.systems.postgres.spec import Plan, Spec
from tests.sinks import MemorySink
from tests.sources import MemorySource, order


@dataclasses.dataclass
class ArchiveSource(MemorySource):
    """A backup in memory, with an archive in a folder."""

    archive: Path = Path()
    without: frozenset[str] = frozenset()

    def archived(self):
        return sorted({path.name for path in self.archive.iterdir()} - self.without)

    def read_archived(self, name):
        data = (self.archive / name).read_bytes()
        for at in range(0, len(data), 1 << 20):
            yield data[at : at + (1 << 20)]


class Writer(threading.Thread):
    """Writes a row every few milliseconds, and knows which were committed, and when."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self._address, self._stop_now = address, threading.Event()
        self.committed = []

    def run(self):
        with psycopg.connect(self._address, autocommit=True) as connection:
            while not self._stop_now.wait(0.01):
                number = len(self.committed)
                row = connection.execute(
                    "INSERT INTO journal VALUES (%s, clock_timestamp()) RETURNING at", (number,)
                ).fetchone()
                self.committed.append(row[0])

    def stop(self):
        self._stop_now.set()
        self.join(30)

    def wait_for_more(self, count=5):
        wanted = len(self.committed) + count
        wait_for(lambda: len(self.committed) >= wanted)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def connected(address, database=None):
    more = {"dbname": database} if database else {}
    return psycopg.connect(address, autocommit=True, **more)


def rows(address, query, database=None):
    with connected(address, database) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module", autouse=True)
def programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", str(postgres.binaries()))
        yield


@dataclasses.dataclass
class History:
    """What happened on the source, and what was taken of it."""

    address: str
    archive: Path
    whole: ArchiveSource
    difference: ArchiveSource
    dumps: MemorySource
    writer: Writer
    before_drop: datetime
    lsn: str
    committed_before_drop: int


def access_to(dsn):
    return Access(resolver=SecretResolver({"DSN": dsn}), now=lambda: datetime.now(UTC))


ELSEWHERE = "host=192.0.2.1 dbname=shop"
"""A live server that is not this one, so that the one at hand may be restored into."""


def spec_of():
    plan = Plan.model_validate({"to": ["local"], "physical": {"wal": "continuous", "full_every": 7}})
    return Spec(kind="postgres", dsn={"env": "DSN"}, backup=plan)


def took(address, archive, method, identifier, parent=None):
    sink = MemorySink()
    earlier = parent.as_parent() if parent is not None else None
    taken = backup.backup(spec_of(), access_to(address), sink, backing.Order(method, earlier))
    others = {parent.id: parent} if parent is not None else {}
    return ArchiveSource(taken, sink, id=identifier, kind="postgres", others=others, archive=archive)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    archive = folder / "archive"
    archive.mkdir()
    (folder / "space").mkdir()
    command = f"test ! -f {archive}/%f && cp %p {archive}/.%f && mv {archive}/.%f {archive}/%f"
    settings = {"archive_mode": "on", "archive_command": command}
    with running(postgres.server(folder / "server", free_ports(1)[0], settings)) as server:
        with connected(server.address) as admin:
            admin.execute("CREATE ROLE clerk LOGIN PASSWORD 'cl3rk'")
            admin.execute(f"CREATE TABLESPACE extra LOCATION '{folder}/space'")
            admin.execute("CREATE DATABASE shop OWNER clerk")
            admin.execute("CREATE DATABASE other TABLESPACE extra")
        shop = psycopg.conninfo.make_conninfo(server.address, dbname="shop")
        with connected(shop) as admin:
            admin.execute("CREATE TABLE journal (number int PRIMARY KEY, at timestamptz)")
            admin.execute(
                "CREATE TABLE orders TABLESPACE extra AS SELECT i, md5(i::text) FROM generate_series(1, 5000) i"
            )
            admin.execute("CREATE TABLE stale AS SELECT timestamptz '2020-01-01 00:00Z' AS at")
        writer = Writer(shop)
        writer.start()
        writer.wait_for_more()
        whole = took(shop, archive, "physical", "20261126T040000Z-00000001")
        writer.wait_for_more()
        difference = took(shop, archive, "physical", "20261126T040000Z-00000002", whole)
        dumps = took(shop, archive, "logical", "20261126T040000Z-00000003")
        writer.wait_for_more()
        with connected(shop) as admin:
            admin.execute("SELECT pg_create_restore_point('before the migration')")
            lsn = admin.execute("SELECT pg_current_wal_lsn()::text").fetchone()[0]
            before_drop = admin.execute("SELECT clock_timestamp()").fetchone()[0]
            committed = len(writer.committed)
            writer.wait_for_more(2)
            admin.execute("DROP TABLE orders")
            for _ in range(2):
                writer.wait_for_more()
                admin.execute("SELECT pg_switch_wal()")
        writer.stop()
        with connected(shop) as admin:
            admin.execute("SELECT pg_create_restore_point('the end')")  # else there may be nothing to switch from
            last = admin.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
        wait_for((archive / last).exists)
        yield History(shop, archive, whole, difference, dumps, writer, before_drop, lsn, committed)


@contextmanager
def restored(history, source, folder, *, live=None, **fields):
    with restore(spec_of(), access_to(live or history.address), source, order(folder, **fields)) as found:
        yield found


def refused(history, source, folder, **fields):
    """Return why a restore is refused."""
    with pytest.raises(WatchkeeperError) as caught, restored(history, source, folder, **fields):
        pass
    return caught.value


def journal(address):
    return [number for (number,) in rows(address, "SELECT number FROM journal ORDER BY number")]


def test_a_dropped_table_is_back_as_of_the_moment_before_from_copies_put_together(history, tmp_path):
    with restored(history, history.difference, tmp_path / "it", until=history.before_drop) as found:
        assert rows(found.address, "SELECT count(*) FROM orders") == [(5000,)]
        there = journal(found.address)
        assert there == list(range(len(there)))
        assert history.committed_before_drop <= len(there) <= history.committed_before_drop + 1
        newest = rows(found.address, "SELECT max(at) FROM journal")[0][0]
        assert newest <= history.before_drop
        assert found.recovered_to - newest < timedelta(seconds=5)
        assert found.details["databases"].keys() == {"postgres", "shop", "other"}
        assert found.details["log_files"] > 0
        address = found.address
    assert not answers(address)
    assert nothing_runs_in(tmp_path)


def answers(address):
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


def nothing_runs_in(folder):
    """Tell whether no process has the folder on its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command:
                return False
    return True


@pytest.mark.parametrize("where", ["a named point", "an LSN"])
def test_a_position_restores_what_was_committed_before_it(history, tmp_path, where):
    position = "before the migration" if where == "a named point" else history.lsn
    with restored(history, history.whole, tmp_path / "it", position=position) as found:
        assert rows(found.address, "SELECT count(*) FROM orders") == [(5000,)]
        assert len(journal(found.address)) <= history.committed_before_drop


def test_the_latest_is_all_that_was_archived(history, tmp_path):
    with restored(history, history.whole, tmp_path / "it", latest=True) as found:
        assert journal(found.address) == list(range(len(history.writer.committed)))
        assert rows(found.address, "SELECT to_regclass('orders') IS NULL") == [(True,)]
        assert abs(found.recovered_to - history.writer.committed[-1]) < timedelta(seconds=5)


def test_the_log_is_fetched_while_the_copy_is_unpacked_before_the_server_asks_for_it(history, tmp_path):
    first, fetched, seen = history.whole.taken.details["wal"]["first"], threading.Event(), []

    class Waiting(ArchiveSource):
        def read(self, part):
            if part == "base.tar":
                seen.append(fetched.wait(60))
            yield from super().read(part)

        def read_archived(self, name):
            yield from super().read_archived(name)
            if name == first:
                fetched.set()

    fields = {field.name: getattr(history.whole, field.name) for field in dataclasses.fields(history.whole)}
    with restored(history, Waiting(**fields), tmp_path / "it", until=history.before_drop) as found:
        assert rows(found.address, "SELECT count(*) FROM orders") == [(5000,)]
    assert seen == [True]


def test_without_a_time_it_shows_the_moment_of_the_copy(history, tmp_path):
    with restored(history, history.whole, tmp_path / "it") as found:
        newest = rows(found.address, "SELECT max(at) FROM journal")[0][0]
        after = history.writer.committed[len(journal(found.address))]
        assert newest < after
        assert history.whole.taken.consistent_as_of <= after


def test_a_time_behind_the_log_is_refused_with_the_newest_that_can_be_had(history, tmp_path):
    error = refused(history, history.whole, tmp_path / "it", until=datetime.now(UTC) + timedelta(hours=1))
    assert isinstance(error, ConfigError)
    told = datetime.fromisoformat(re.search(r"can be had is (\S+ \S+) UTC", error.hint)[1]).replace(tzinfo=UTC)
    assert timedelta(0) <= told - history.writer.committed[-1] + timedelta(milliseconds=1) < timedelta(seconds=5)
    assert "is not in the archived log" in error.message
    assert nothing_runs_in(tmp_path)


def test_what_lies_before_the_copy_was_complete_is_refused_at_once(history, tmp_path):
    early = history.whole.taken.consistent_as_of - timedelta(seconds=1)
    assert "restore an older backup" in refused(history, history.whole, tmp_path / "a", until=early).hint
    error = refused(history, history.whole, tmp_path / "b", position=history.whole.taken.position["start_lsn"])
    assert "was complete" in error.message
    assert list((tmp_path / "b").iterdir()) == []


def test_an_ambiguous_time_and_two_wishes_at_once_are_refused(history, tmp_path):
    naive = history.before_drop.replace(tzinfo=None)
    assert "ambiguous" in refused(history, history.whole, tmp_path / "a", until=naive).message
    both = refused(history, history.whole, tmp_path / "b", until=history.before_drop, position=history.lsn)
    assert "more than one" in both.message


def test_a_gap_in_the_log_is_named_with_the_newest_that_can_be_had(history, tmp_path):
    segments = [name for name in history.whole.archived() if name > history.whole.taken.details["wal"]["last"]]
    segments = [name for name in segments if len(name) == 24]
    missing = segments[-2]
    source = dataclasses.replace(history.whole, without=frozenset({missing}))
    late = history.writer.committed[-1]
    error = refused(history, source, tmp_path / "it", until=late)
    assert missing in error.message
    assert "the newest that can be had is" in error.hint
    behind = refused(history, source, tmp_path / "b", position="7FFF/0")
    assert missing in behind.message


def test_a_copy_whose_own_log_is_not_archived_is_damaged(history, tmp_path):
    first = history.whole.taken.details["wal"]["first"]
    source = dataclasses.replace(history.whole, without=frozenset({first}))
    error = refused(history, source, tmp_path / "it")
    assert isinstance(error, Garbled)
    assert first in error.message


def test_a_missing_parent_is_named(history, tmp_path):
    source = dataclasses.replace(history.difference, others={})
    error = refused(history, source, tmp_path / "it")
    assert isinstance(error, Garbled)
    assert history.whole.id in error.message


def test_a_damaged_part_is_no_restore(history, tmp_path):
    sink = MemorySink()
    sink.parts = dict(history.whole.sink.parts)
    with tarfile.open(fileobj=io.BytesIO(sink.parts["base.tar"])) as tar:
        at = max(tar.getmembers(), key=lambda member: member.size).offset_data + 1000
    sink.parts["base.tar"] = sink.parts["base.tar"][:at] + b"damage" + sink.parts["base.tar"][at + 6 :]
    error = refused(history, dataclasses.replace(history.whole, sink=sink), tmp_path / "a")
    assert isinstance(error, Garbled)
    assert "damaged" in error.message
    sink.parts["base.tar"] = sink.parts["base.tar"][:at]
    assert isinstance(refused(history, dataclasses.replace(history.whole, sink=sink), tmp_path / "b"), Garbled)
    assert nothing_runs_in(tmp_path)


def test_log_that_cannot_be_read_ends_the_recovery_and_says_why(history, tmp_path):
    class Failing(ArchiveSource):
        def read_archived(self, name):
            yield b"x"
            raise Garbled(f"{name} was changed")

    fields = {field.name: getattr(history.whole, field.name) for field in dataclasses.fields(history.whole)}
    error = refused(history, Failing(**fields), tmp_path / "it", until=history.before_drop)
    assert isinstance(error, Garbled)
    assert "was changed" in error.message
    assert nothing_runs_in(tmp_path)


def test_a_scratch_server_that_dies_is_told_and_leaves_nothing(history, tmp_path):
    with restored(history, history.dumps, tmp_path / "it") as found:
        os.kill(int((tmp_path / "it" / "data" / "postmaster.pid").read_text().splitlines()[0]), 9)
        wait_for(lambda: not answers(found.address))
    assert nothing_runs_in(tmp_path)


class Cancelled(BaseException):
    """As a flow that is cancelled raises in the middle."""


@pytest.mark.parametrize("at", [Phase.PROVISION, Phase.FETCH, Phase.RESTORE, Phase.VERIFY, Phase.RECOVER])
def test_a_cancel_in_any_phase_leaves_nothing_behind(history, tmp_path, at):
    @contextmanager
    def phase(which):
        yield
        if which is at:
            raise Cancelled

    folder = tmp_path / "it"
    folder.mkdir()
    asked = Order(folder=folder, phase=phase)
    source = history.dumps if at is Phase.VERIFY else history.whole
    with pytest.raises(Cancelled), restore(spec_of(), access_to(history.address), source, asked):
        pass
    wait_for(lambda: nothing_runs_in(tmp_path))


def test_dumps_become_databases_of_a_scratch_server_with_their_roles_and_counts(history, tmp_path):
    with restored(history, history.dumps, tmp_path / "it") as found:
        assert found.counts == history.dumps.taken.counts
        assert found.counts["databases/shop/public.orders"] == 5000
        assert rows(found.address, "SELECT current_database()") == [("shop",)]
        assert rows(found.address, "SELECT tableowner FROM pg_tables WHERE tablename = 'journal'") == [("postgres",)]
        assert rows(found.address, "SELECT rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname = 'clerk'") == [
            (True,)
        ]
        assert rows(found.address, "SELECT datname FROM pg_database WHERE datname = 'other'") == [("other",)]
        assert "password" not in repr(found)


def test_one_database_alone_is_restored_with_parallel_jobs(history, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.systems.postgres.load._POUR_FROM", 0)
    with restored(history, history.dumps, tmp_path / "it", only=("shop",), jobs=2) as found:
        assert rows(found.address, "SELECT count(*) FROM orders") == [(5000,)]
        assert rows(found.address, "SELECT datname FROM pg_database WHERE datname = 'other'") == []
    error = refused(history, history.dumps, tmp_path / "b", only=("shoo",))
    assert "'shoo'" in error.message
    assert "shop" in error.hint


def in_pieces(source, size=4096, then=lambda _sent: None):
    """Return the backup as it comes slowly: in small pieces, and `then` after each."""

    class Slow(ArchiveSource):
        def read(self, part):
            sent = 0
            for chunk in super().read(part):
                for at in range(0, len(chunk), size):
                    yield chunk[at : at + size]
                    sent += size
                    then(sent)

    return Slow(**{field.name: getattr(source, field.name) for field in dataclasses.fields(source)})


@pytest.fixture(scope="module")
def odd(history):
    """A dump of what is unusual: odd names, no rows, large objects, sequences, what only looks like an end."""
    name = 'odd "name"\n-- TOC entry 1 (class 0 OID 0)\n--\n\nCOPY x FROM stdin;'
    with connected(history.address, "postgres") as admin:
        admin.execute("CREATE DATABASE odd")
    with connected(history.address, "odd") as admin:
        table = psycopg.sql.Identifier(name)
        admin.execute(psycopg.sql.SQL("CREATE TABLE {} (a text, b bytea)").format(table))
        rows = psycopg.sql.SQL(
            "INSERT INTO {} SELECT repeat(E'\\\\.\\n', i % 50), '\\x00' FROM generate_series(1, 3000) i"
        )
        admin.execute(rows.format(table))
        admin.execute("CREATE TABLE nothing (a int)")
        admin.execute("CREATE TABLE counted (n serial PRIMARY KEY, long text)")
        admin.execute("INSERT INTO counted (long) SELECT repeat('x', 200000) FROM generate_series(1, 5)")
        admin.execute("CREATE TABLE refers (n int REFERENCES counted)")
        admin.execute("INSERT INTO refers SELECT 1 + i % 5 FROM generate_series(1, 20000) i")
        admin.execute("SELECT lo_from_bytea(0, 'large')")
    dump = took(history.address, history.archive, "logical", "20261126T040000Z-00000009")
    with connected(history.address, "postgres") as admin:
        admin.execute("DROP DATABASE odd WITH (FORCE)")
    return dump


def test_a_large_dump_is_poured_in_while_it_is_coming_with_all_that_is_unusual_in_it(
    odd, history, tmp_path, monkeypatch
):
    monkeypatch.setattr("tasks.systems.postgres.load._POUR_FROM", 0)
    filled = []
    real = pouring._Pool._fill
    monkeypatch.setattr(pouring._Pool, "_fill", lambda self, *more: filled.append(self) or real(self, *more))
    early = []
    source = in_pieces(odd, then=lambda sent: early.append(len(filled)) if sent > 1 << 16 else None)
    with restored(history, source, tmp_path / "it", jobs=3) as found:
        assert found.counts == odd.taken.counts
        held = list(verify.compare(spec_of(), odd, found))
        assert [one.name for one in held if one.outcome is not Outcome.PASSED] == []
        assert rows(found.address, "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata", "odd") == [
            ("large",)
        ]
        assert rows(found.address, "SELECT nextval('counted_n_seq')", "odd") == [(6,)]
        keys = (
            "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'f') AND connamespace = 'public'::regnamespace"
        )
        assert rows(found.address, keys, "odd") == [(2,)]
    assert any(b"odd " in statement for pool in filled for statement in pool.contents.tables.values())
    assert any(early), "no row was poured before the whole dump was there"
    assert nothing_runs_in(tmp_path)


def test_a_dump_that_proves_damaged_at_its_end_leaves_no_row_in_a_named_place_and_says_what_is_left(
    history, odd, tmp_path, monkeypatch
):
    monkeypatch.setattr("tasks.systems.postgres.load._POUR_FROM", 0)

    class Damaged(ArchiveSource):
        def read(self, part):
            yield from super().read(part)
            if part != "globals.sql":
                raise Garbled("its bytes were changed")

    source = Damaged(**{field.name: getattr(odd, field.name) for field in dataclasses.fields(odd)})
    into = psycopg.conninfo.make_conninfo(history.address, dbname="half")
    with connected(history.address, "postgres") as admin:
        admin.execute("CREATE DATABASE half")
        try:
            error = refused(history, source, tmp_path / "it", live=ELSEWHERE, into=into, only=("odd",))
            assert "its bytes were changed" in error.message
            assert re.search(r"\d tables.* in 'half' .*DROP DATABASE \"half\"; CREATE DATABASE \"half\"", error.hint)
            assert rows(into, "SELECT count(*) FROM counted") == [(0,)]
            admin.execute("DROP DATABASE half")
            admin.execute("CREATE DATABASE half")
            with restored(history, odd, tmp_path / "b", live=ELSEWHERE, into=into, only=("odd",)):
                assert rows(into, "SELECT count(*) FROM counted") == [(5,)]
        finally:
            admin.execute("DROP DATABASE half WITH (FORCE)")


def test_a_server_that_refuses_a_row_ends_the_restore_with_its_own_words(history, odd, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.systems.postgres.load._POUR_FROM", 0)
    real = pouring.Blocks.take

    def spoilt(self, data):
        for found in real(self, data):
            yield found._replace(data=found.data.replace(b"\n", b"\tmore\n", 1))

    monkeypatch.setattr(pouring.Blocks, "take", spoilt)
    assert "extra data after last expected column" in refused(history, odd, tmp_path / "it").message
    assert nothing_runs_in(tmp_path)


def test_a_named_place_must_be_empty_and_is_never_the_live_one(history, tmp_path):
    with connected(history.address, "postgres") as admin:
        admin.execute("CREATE DATABASE staging")
    try:
        into = psycopg.conninfo.make_conninfo(history.address, dbname="staging")
        for address in (history.address, into):  # another database of the live server shares all but its name with it
            live = refused(history, history.dumps, tmp_path / "a", into=address, only=("shop",))
            assert "live" in live.message
        with restored(history, history.dumps, tmp_path / "b", live=ELSEWHERE, into=into, only=("shop",)) as found:
            assert rows(found.address, "SELECT current_database(), count(*) FROM orders") == [("staging", 5000)]
        given = {"live": ELSEWHERE, "into": into, "only": ("shop",)}
        assert "not empty" in refused(history, history.dumps, tmp_path / "c", **given).message
        every = psycopg.conninfo.make_conninfo(history.address, dbname="postgres")
        assert "not empty" in refused(history, history.dumps, tmp_path / "d", live=ELSEWHERE, into=every).message
    finally:
        with connected(history.address, "postgres") as admin:
            admin.execute("DROP DATABASE staging WITH (FORCE)")


def test_a_place_that_is_older_than_the_backup_is_refused_by_name_before_anything_is_written(
    history, tmp_path, monkeypatch
):
    monkeypatch.setattr(load, "server_programs", lambda _major, newer: postgres.binaries())  # noqa: ARG005
    newer = dataclasses.replace(history.dumps, taken=history.dumps.taken.model_copy(update={"server_version": "99.1"}))
    every = psycopg.conninfo.make_conninfo(history.address, dbname="postgres")
    before = rows(history.address, "SELECT array_agg(rolname::text ORDER BY 1) FROM pg_roles")
    with connected(history.address) as admin:
        admin.execute("ALTER ROLE clerk RENAME TO scribe")
    error = refused(history, newer, tmp_path / "it", live=ELSEWHERE, into=every)
    with connected(history.address) as admin:
        admin.execute("ALTER ROLE scribe RENAME TO clerk")
    version = rows(history.address, "SELECT current_setting('server_version')")[0][0]
    assert f"the place is PostgreSQL {version}, which is older than the backup" in error.message
    assert "PostgreSQL 99.1" in error.message
    assert rows(history.address, "SELECT array_agg(rolname::text ORDER BY 1) FROM pg_roles") == before


def test_scratch_never_subscribes_to_what_production_publishes(history, tmp_path):
    shop = history.address
    with connected(shop) as admin:
        admin.execute("CREATE SUBSCRIPTION feed CONNECTION 'host=192.0.2.1' PUBLICATION all_of_it WITH (connect=false)")
        try:
            admin.execute("ALTER SUBSCRIPTION feed SET (slot_name = 'feed')")
            admin.execute("ALTER SUBSCRIPTION feed ENABLE")
            copy = took(shop, history.archive, "physical", "20261126T040000Z-00000009")
        finally:
            admin.execute("ALTER SUBSCRIPTION feed DISABLE")
            admin.execute("ALTER SUBSCRIPTION feed SET (slot_name = NONE)")
            admin.execute("DROP SUBSCRIPTION feed")
    with restored(history, copy, tmp_path / "it") as found:
        assert rows(found.address, "SELECT subname, subenabled FROM pg_subscription") == [("feed", True)]
        assert rows(found.address, "SHOW max_logical_replication_workers") == [("0",)]
        running = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'"
        assert rows(found.address, running) == [(0,)]


def test_what_a_dump_cannot_do_is_said(history, tmp_path):
    assert "one moment" in refused(history, history.dumps, tmp_path / "a", until=history.before_drop).message
    into = psycopg.conninfo.make_conninfo(history.address, dbname="staging")
    assert "server of its own" in refused(history, history.whole, tmp_path / "b", live=ELSEWHERE, into=into).message


def test_a_damaged_dump_is_no_restore(history, tmp_path):
    class Damaged(ArchiveSource):
        def read(self, part):
            yield from super().read(part)
            if part != "globals.sql":
                raise Garbled("its bytes were changed")

    fields = {field.name: getattr(history.dumps, field.name) for field in dataclasses.fields(history.dumps)}
    error = refused(history, Damaged(**fields), tmp_path / "it")
    assert "its bytes were changed" in error.message
    assert nothing_runs_in(tmp_path)


def test_two_names_of_one_place_are_the_same_place():
    same = [
        "postgresql://a:b@localhost:5433/shop",
        "host=127.0.0.1 port=5433 dbname=shop",
        "host=/tmp port=5433 dbname=shop",
    ]
    found = [endpoints(address) for address in same]
    assert found[0] & found[1] & found[2] == {"127.0.0.1:5433"}
    assert endpoints("postgresql://a@localhost:5434/shop").isdisjoint(found[0])
    assert endpoints("postgresql://a@localhost:5433/staging") == found[0]
    assert endpoints("postgresql://a@no-such-host.invalid/shop") == {"no-such-host.invalid:5432"}
    assert endpoints("dbname=shop") == endpoints("postgresql://a@localhost:5432/other")
    assert len(endpoints("host=10.0.0.1,10.0.0.2 dbname=shop")) == 2
    with pytest.raises(ConfigError):
        endpoints("mysql://nonsense here")


def test_a_transient_error_is_never_taken_for_a_restore(history, tmp_path):
    class Silent(ArchiveSource):
        def read(self, part):  # noqa: ARG002
            raise TransientError("the vault does not answer")

    fields = {field.name: getattr(history.whole, field.name) for field in dataclasses.fields(history.whole)}
    assert isinstance(refused(history, Silent(**fields), tmp_path / "it"), TransientError)


def checks(*entries):
    return spec_of().model_copy(
        update={
            "verify": Spec.model_validate({"kind": "postgres", "dsn": {"env": "DSN"}, "verify": list(entries)}).verify
        }
    )


def outcomes(assertions):
    return {one.name: one.outcome for one in assertions}


def test_dumps_and_tars_are_read_to_their_end_and_hold_what_they_should(history):
    for source in (history.dumps, history.whole, history.difference):
        found = list(verify.parse(source))
        assert found
        assert {one.outcome for one in found} == {Outcome.PASSED}, found
        assert {one.level for one in found} == {2}


def test_parts_that_do_not_hold_what_they_should_are_red(history):
    def spoilt(source, part, change):
        sink = MemorySink()
        sink.parts = {**source.sink.parts, part: change(source.sink.parts[part])}
        return list(verify.parse(dataclasses.replace(source, sink=sink)))

    shop = history.dumps.taken.details["databases"]["shop"]
    other = history.dumps.sink.parts[history.dumps.taken.details["databases"]["other"]]
    for source, part, change in [
        (history.dumps, shop, lambda data: data[:200]),
        (history.dumps, shop, lambda _: other),
        (history.dumps, "globals.sql", lambda data: data[: len(data) // 2]),
        (history.whole, "base.tar", lambda data: data[: len(data) // 2]),
        (history.whole, "backup_manifest", lambda data: data.replace(b'"Size": 8192', b'"Size": 8193')),
        (history.difference, "base.tar", lambda _: history.whole.sink.parts["base.tar"]),
    ]:
        assert Outcome.FAILED in {one.outcome for one in spoilt(source, part, change)}, part


def test_a_restored_copy_is_held_against_its_counts_and_the_spec_and_a_spoilt_one_is_red(history, tmp_path):
    spec = checks(
        {"count": "orders", "at_least": 5000},
        {"newest": "journal.at", "within": "1m of the restore point"},
        {"sql": "SELECT count(*) FROM public.orders WHERE i > 4990", "equals": 10},
    )
    with restore(spec, access_to(history.address), history.dumps, order(tmp_path / "it")) as found:
        held = list(verify.compare(spec, history.dumps, found))
        assert set(outcomes(held).values()) == {Outcome.PASSED}, held
        assert found.recovered_to in history.writer.committed
        assert verify.spoil(spec, found) == "dropped the table orders of shop"
        spoilt = outcomes(verify.compare(spec, history.dumps, found))
    assert spoilt["rows of every table are those that were counted"] is Outcome.FAILED
    assert spoilt["rows of orders"] is Outcome.FAILED
    assert spoilt["SELECT count(*) FROM public.orders WHERE i > 4990"] is Outcome.ERRORED
    assert spoilt["newest journal.at"] is Outcome.PASSED


def test_an_assertion_that_fails_is_not_one_that_errors(history, tmp_path):
    spec = checks(
        {"count": "orders", "at_least": 5001},
        {"count": "no_such_table", "at_least": 1},
        {"newest": "stale.at", "within": "1h"},
        {"newest": "journal.number", "within": "1h"},
        {"sql": "SELECT 1/0", "equals": 1},
        {"sql": "SELECT 'many'", "at_least": 1},
        {"sql": "SELECT 2", "at_least": 3},
        {"sql": "DELETE FROM orders RETURNING 1", "equals": 1},
        {"sql": "SELECT current_database()", "equals": "other", "database": "other"},
    )
    with restore(spec, access_to(history.address), history.dumps, order(tmp_path / "it")) as found:
        held = list(verify.compare(spec, history.dumps, found))
        assert rows(found.address, "SELECT count(*) FROM orders") == [(5000,)]
    assert [one.outcome for one in held[1:]] == [
        Outcome.FAILED,
        Outcome.FAILED,
        Outcome.FAILED,
        Outcome.ERRORED,
        Outcome.ERRORED,
        Outcome.ERRORED,
        Outcome.FAILED,
        Outcome.ERRORED,
        Outcome.PASSED,
    ]


def test_a_copy_of_files_is_held_against_its_hashes_and_structure_and_a_spoilt_one_is_red(history, tmp_path):
    spec = checks({"newest": "journal.at", "within": "15m"})
    with restore(spec, access_to(history.address), history.difference, order(tmp_path / "it", latest=True)) as found:
        assert found.recovered_to == history.writer.committed[-1]
        held = outcomes(verify.compare(spec, history.difference, found))
        assert held == dict.fromkeys(
            ["pg_verifybackup", "databases", "pg_amcheck", "newest journal.at"], Outcome.PASSED
        )
        assert verify.spoil(spec_of(), found) == "dropped the database other"
        assert outcomes(verify.compare(spec, history.difference, found))["databases"] is Outcome.FAILED
        with connected(found.address) as admin:
            path = admin.execute("SELECT pg_relation_filepath('journal_pkey')").fetchone()[0]
            admin.execute("CHECKPOINT")
            with (tmp_path / "it" / "data" / path).open("r+b") as index:
                index.seek(8192 + 4000)
                index.write(b"damage" * 500)
            admin.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
            admin.execute("SELECT pg_buffercache_evict_all()")
        (seen,) = [one for one in verify.compare(spec, history.difference, found) if one.name == "pg_amcheck"]
        assert seen.outcome is Outcome.FAILED, seen.note


def test_a_server_archives_and_recovers_by_the_commands_themselves(tmp_path):
    command = f"{Path(sys.executable).with_name('watchkeeper')} {{}} {tmp_path}/shop.yaml/database"
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    spec = {
        "platform": "shop",
        "vaults": {"here": {"kind": "folder", "path": str(tmp_path / "vault"), "keep": {"last": 1}}},
        "encryption": {"recipients": [str(identity.to_public())], "identity": {"file": str(tmp_path / "key")}},
        "systems": {"database": {"backup": {"to": ["here"]}}},
    }
    (tmp_path / "shop.yaml").write_text(json.dumps(spec))
    settings = {"archive_mode": "on", "archive_command": f"{command.format('wal-push')} %p"}
    with running(postgres.server(tmp_path / "server", free_ports(1)[0], settings)) as server:
        source = took(server.address, tmp_path, "physical", "20261126T040000Z-00000001")
        with connected(server.address) as admin:
            admin.execute("CREATE TABLE late AS SELECT generate_series(1, 7) AS i")
            last = admin.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
        sidecar = tmp_path / "vault" / "shop" / "database" / "wal" / f"{last}.json"
        wait_for(sidecar.exists)
    data = tmp_path / "again"
    data.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(source.sink.parts["base.tar"])) as tar:
        tar.extractall(data, filter="data")
    (data / "recovery.signal").touch()
    recovering = {"restore_command": f"{command.format('wal-fetch')} %f %p", "hot_standby": "off"}
    with scratch.running(postgres.binaries(), data, tmp_path / "logs", settings=recovering) as again:
        assert rows(again.inside(), "SELECT count(*) FROM late") == [(7,)]


def test_a_scratch_server_goes_with_the_process_that_started_it_even_where_that_is_killed(tmp_path):
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from tasks.systems.postgres import scratch\n"
        "programs, folder = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "scratch.make_cluster(programs, folder / 'data')\n"
        "with scratch.running(programs, folder / 'data', folder / 'server') as server:\n"
        "    print(server.port, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(postgres.binaries()), str(tmp_path)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)  # noqa: S603 - our own
    assert killed.returncode == -9, killed.stderr
    assert int(killed.stdout)
    wait_for(lambda: nothing_runs_in(tmp_path))
