"""A real PostgreSQL is copied file by file, whole and in differences, and made a server again by RECOVERY.md alone."""

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deployments.lab.servers import free_ports, postgres, running
from tasks.clients.blobs import open_store
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Parent
from tasks.core.errors import ConfigError, Garbled, TransientError
from tasks.core.system import Access
from tasks.systems.postgres import backup, physical
from tasks.systems.postgres.spec import Plan, Spec
from tasks.systems.postgres.wal import base_of, reaches
from tasks.vault.archive import Archive
from tasks.vault.vault import Vault
from tests.sinks import MemorySink

GRANT = Path(backup.__file__).with_name("grant-backup.sql").read_text(encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def programs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_BIN", str(postgres.binaries()))
        yield


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def server(tmp_path_factory, archive):
    folder = tmp_path_factory.mktemp("source")
    settings = {
        "archive_mode": "on",
        "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/.%f && mv {archive}/.%f {archive}/%f",
    }
    with running(postgres.server(folder / "server", free_ports(1)[0], settings)) as server:
        (folder / "space").mkdir()
        with connected(server.address) as admin:
            admin.execute(f"CREATE TABLESPACE extra LOCATION '{folder}/space'")
            admin.execute("CREATE TABLE orders AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
            admin.execute("CREATE TABLE far TABLESPACE extra AS SELECT i FROM generate_series(1, 1000) i")
        yield server


@pytest.fixture(scope="module")
def earlier(server):
    """A whole copy that others may build on."""
    sink = MemorySink()
    return taken_from(server.address, sink), sink


def connected(address):
    return psycopg.connect(address, autocommit=True)


def spec_of(wal="continuous", full_every=3):
    plan = Plan.model_validate({"to": ["local"], "physical": {"wal": wal, "full_every": full_every}})
    return Spec(kind="postgres", dsn={"env": "DSN"}, backup=plan)


def taken_from(dsn, sink, parent=None, **plan):
    access = Access(resolver=SecretResolver({"DSN": dsn}), now=lambda: datetime.now(UTC))
    return backup.backup(spec_of(**plan), access, sink, Order("physical", parent))


def parent_of(taken, sink, chain=()):
    return Parent("earlier", taken, chain, lambda name: iter([sink.parts[name]]))


@contextmanager
def by_hand(page, folder, environment):
    """Run the commands of RECOVERY.md's last section word for word as a user who is not root, and end the server."""
    section = page.split("## 4. Restore")[1]
    commands = "\n".join(line.removeprefix("    ") for line in section.splitlines() if line.startswith("    "))
    port = free_ports(1)[0]
    path = f"{postgres.binaries()}:{os.environ['PATH']}"
    whole = {"PATH": path, "LC_ALL": "C", "TO": str(folder / "again"), "PGPORT": str(port), **environment}
    command = [*postgres.user_namespace(), "/bin/bash", "-o", "pipefail", "-e", "-c", commands]
    try:
        ran = subprocess.run(command, check=False, cwd=folder, env=whole, capture_output=True, text=True, timeout=100)  # noqa: S603 - what is tried
        log = folder / "again" / "log"
        assert ran.returncode == 0, f"{ran.stderr}\n{log.read_text() if log.exists() else ''}"
        yield port
    finally:
        stop = ["pg_ctl", "-D", str(folder / "again" / "data"), "-m", "immediate", "stop"]
        subprocess.run([*postgres.user_namespace(), *stop], check=False, env=whole, capture_output=True, timeout=60)  # noqa: S603 - our own


def rows(address):
    query = "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t"
    with connected(address) as admin:
        return {
            table: admin.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone() for table in ("orders", "far")
        }


def names_in(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return opened.getnames()


def in_vault(server, vault, parent=None, **plan):
    """Take a copy into a real vault, and return its manifest with the parent that it makes."""
    with vault.begin("shop", "database", "postgres") as begun:
        taken = taken_from(server.address, begun, parent, **plan)
        manifest = begun.commit(taken, backup.recovery)
    return manifest, Parent(manifest.id, manifest, manifest.parents, lambda name: vault.read(manifest, name))


def test_differences_are_put_together_again_by_the_commands_of_their_page_to_a_moment_of_the_archive(
    server, archive, tmp_path
):
    vault = Vault("here", open_store(str(tmp_path / "vault")), encrypted=False)
    whole, parent = in_vault(server, vault)
    with connected(server.address) as admin:
        admin.execute("INSERT INTO orders VALUES (-1, 'one')")
    first, parent = in_vault(server, vault, parent)
    with connected(server.address) as admin:
        admin.execute("INSERT INTO far VALUES (-2)")
    second, parent = in_vault(server, vault, parent)
    third, _ = in_vault(server, vault, parent)

    assert (whole.parents, first.parents, second.parents) == ((), (whole.id,), (whole.id, first.id))
    assert third.parents == ()
    assert third.details["whole_because"] == "each 3. is to be whole"
    assert second.plain_bytes < whole.plain_bytes / 2
    assert all(not manifest.warnings for manifest in (whole, first, second, third))

    expected = rows(server.address)
    with connected(server.address) as admin:
        until = admin.execute("SELECT clock_timestamp()::text").fetchone()[0]
        admin.execute("DROP TABLE far")
        admin.execute("CREATE TABLE far TABLESPACE extra AS SELECT 1 AS i")
        last = admin.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
    wait_for((archive / last).exists)
    folder = tmp_path / "vault" / second.folder
    page = (folder / "RECOVERY.md").read_text(encoding="utf-8")
    archived = Archive(vault, "shop", "database")
    for path in archive.iterdir():
        archived.put(path.name, [path.read_bytes()])
    with by_hand(page, folder, {"UNTIL": until}) as port:
        assert restored_rows(server.address, port) == expected


def restored_rows(address, port):
    """Wait until the server lets clients in, which is a moment after it says that it is in production."""
    again = psycopg.conninfo.make_conninfo(address, port=port)
    wait_for(lambda: answers(again))
    return rows(again)


def answers(address):
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_copy_with_its_own_log_comes_up_by_the_commands_of_its_page(server, tmp_path):
    vault = Vault("here", open_store(str(tmp_path / "vault")), encrypted=False)
    manifest, _ = in_vault(server, vault, wal="included", full_every=1)
    folder = tmp_path / "vault" / manifest.folder
    expected = rows(server.address)
    with by_hand((folder / "RECOVERY.md").read_text(encoding="utf-8"), folder, {"UNTIL": ""}) as port:
        assert restored_rows(server.address, port) == expected


def test_it_says_where_in_the_log_it_lies_and_that_its_log_is_archived_when_it_ends(server, archive):
    sink = MemorySink()
    before = datetime.now(UTC)
    taken = taken_from(server.address, sink)
    assert before <= taken.consistent_as_of <= datetime.now(UTC)
    assert sink.open_parts == {"backup_manifest"}
    (space,) = taken.details["tablespaces"]
    assert set(sink.parts) == {"base.tar", f"tablespaces/{space}.tar", "backup_manifest"}
    assert json.loads(sink.parts["backup_manifest"])["WAL-Ranges"][0]["End-LSN"] == taken.position["lsn"]
    reach = reaches([path.name for path in archive.iterdir()], [base_of("it", taken)])[0]
    assert reach.consistent
    assert reach.missing == ()
    names = names_in(sink.parts["base.tar"])
    assert "global/pg_control" in names
    assert not [name for name in names if name.startswith("pg_wal/0")]


def test_the_user_of_the_grant_may_copy_and_one_without_replication_is_told_what_is_missing(server):
    with connected(server.address) as admin:
        admin.execute(GRANT)
        admin.execute("ALTER ROLE watchkeeper_backup PASSWORD 'b4ckup'")
        admin.execute("CREATE ROLE nobody LOGIN PASSWORD 'n0body'")
    make = psycopg.conninfo.make_conninfo
    taken = taken_from(make(server.address, user="watchkeeper_backup", password="b4ckup"), MemorySink())
    assert taken.details["superuser"] == "postgres"
    with pytest.raises(ConfigError, match="may not replicate"):
        taken_from(make(server.address, user="nobody", password="n0body"), MemorySink())


def damaged(_name):
    yield b"{"
    raise Garbled("its bytes were changed")


def changed(sink, before, after):
    """Return a reader of a manifest in which something is another, and its own checksum right again."""

    def read(name):
        body = sink.parts[name].replace(before, after).split(b'"Manifest-Checksum"')[0]
        yield body + b'"Manifest-Checksum": "' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'

    return read


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda _: damaged, "earlier cannot be read: its bytes were changed"),
        (lambda sink: changed(sink, b'"System-Identifier": ', b'"System-Identifier": 1'), "system identifier"),
        (lambda sink: changed(sink, b'"Timeline": 1', b'"Timeline": 7'), "timeline 7"),
        (lambda sink: changed(sink, sink.lsn, b"0/100"), "summaries"),
    ],
    ids=["damaged", "of another server", "of a timeline that is not ours", "older than the summaries"],
)
def test_where_the_copy_before_does_not_fit_a_whole_one_is_taken_and_says_why(server, earlier, change, why):
    taken, first = earlier
    first.lsn = re.search(rb'"Start-LSN": "([^"]+)"', first.parts["backup_manifest"])[1]
    sink = MemorySink()
    again = taken_from(server.address, sink, Parent("earlier", taken, (), change(first)))
    assert again.parents == ()
    assert len(again.warnings) == 1
    assert why in again.warnings[0]
    assert len(sink.parts["base.tar"]) > len(first.parts["base.tar"]) / 2


def test_without_summaries_of_the_log_a_whole_one_is_taken_and_says_why(server, earlier):
    taken, first = earlier
    with pytest.MonkeyPatch.context() as patch:  # the setting is of the lab's command line and stands
        patch.setattr(physical, "_SUMMARIES", "SELECT 'off' AS setting")
        again = taken_from(server.address, MemorySink(), parent_of(taken, first))
    assert again.parents == ()
    assert again.warnings == ("a mere difference to the copy before, though one is wanted: summarize_wal is off",)


@pytest.mark.parametrize(
    ("number", "chain", "full_every", "why", "surprising"),
    [
        (160_004, (), 7, "PostgreSQL 16.4 has no incremental copies", True),
        (180_000, ("a", "b"), 3, "each 3. is to be whole", False),
        (180_000, (), 1, "all are to be whole", False),
    ],
)
def test_a_whole_copy_says_why_it_is_one(earlier, number, chain, full_every, why, surprising):
    server = physical.Server("16.4", number, datetime.now(UTC), True, 16 << 20, "postgres", (), "7")  # noqa: FBT003
    plan = spec_of(full_every=full_every).backup.physical
    chosen = physical.choose(None, server, plan, parent_of(*earlier, chain))
    assert chosen == (None, why, surprising)


def test_a_store_that_fails_ends_the_copy(server):
    sink = MemorySink(fails_after=200_000)
    with pytest.raises(TransientError, match="the store is full"):
        taken_from(server.address, sink)
    assert "base.tar" not in sink.parts


def test_a_server_that_dies_in_the_middle_leaves_no_copy(tmp_path):
    with running(postgres.server(tmp_path / "server", free_ports(1)[0])) as server, connected(server.address) as admin:
        sink = MemorySink()
        real = MemorySink.progress

        def killing(self, done, total=None):
            real(self, done, total)
            if done > 1_000_000 and not admin.closed:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
                admin.close()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemorySink, "progress", killing)
            with pytest.raises(TransientError):
                taken_from(server.address, sink)
    assert "backup_manifest" not in sink.parts


def test_without_an_archive_the_copy_holds_its_own_log_and_says_what_cannot_be_had(tmp_path):
    with running(postgres.server(tmp_path / "server", free_ports(1)[0])) as server:
        sink = MemorySink()
        taken = taken_from(server.address, sink)
    assert taken.details["wal"]["included"]
    assert len(taken.warnings) == 1
    assert "archive_mode is off" in taken.warnings[0]
    names = names_in(sink.parts["base.tar"])
    assert f"pg_wal/{taken.details['wal']['first']}" in names
