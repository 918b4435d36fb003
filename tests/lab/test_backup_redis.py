"""A real Valkey is read as a replica reads it, loaded into a fresh one, and compared by its own digest."""

import os
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from deployments.lab.servers import free_ports, running, valkey
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Taken
from tasks.core.errors import ConfigError, Denied, Garbled, Unreachable
from tasks.core.system import Access
from tasks.systems.redis import backup as backing
from tasks.systems.redis.rdb import Check, crc64
from tasks.systems.redis.replication import Replication
from tasks.systems.redis.spec import Spec
from tasks.systems.redis.values import checksum
from tests.lab.waiting import eventually
from tests.sinks import MemorySink, follow

GRANT = Path(backing.__file__).with_name("grant-backup.acl").read_text(encoding="utf-8").split()
SECRET = "b4ckup-s3cret"
AT_ONCE = {"repl-diskless-sync-delay": "0"}
CLUSTER = AT_ONCE | {"cluster-enabled": "yes"}
OLD_RDB = b"REDIS0011\xfa\x05ctime\xc2\x00\x00\x00\x01\xff" + bytes(8)


def wait_for(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"repl-diskless-sync-delay": "0", "enable-debug-command": "yes"}
    with running(valkey.server(tmp_path_factory.mktemp("source"), free_ports(1)[0], settings=settings)) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def admin(server):
    with redis.Redis.from_url(server.address) as client:
        pipeline = client.pipeline()
        for number in range(3000):
            pipeline.set(f"key:{number}", os.urandom(100))
        pipeline.execute()
        client.hset("hash", mapping={f"f{n}": n for n in range(300)})
        client.execute_command("HEXPIRE", "hash", "9999", "FIELDS", "1", "f1")
        client.xadd("stream", {"a": "b"})
        client.zadd("sorted", {"x": 1.5})
        client.set("passing", "soon", ex=9999)
        with redis.Redis.from_url(server.address.replace("/0", "/3")) as other:
            other.set("elsewhere", "there")
        yield client


def taken_from(url, sink=None, **plan):
    sink = sink or MemorySink()
    access = Access(resolver=SecretResolver({"URL": url}), now=lambda: datetime.now(UTC))
    spec = Spec(kind="redis", url={"env": "URL"}, backup={"to": ["store"], **plan})
    return backing.backup(spec, access, sink, Order("rdb")), sink


@pytest.mark.parametrize("diskless", ["yes", "no"])
async def test_what_was_read_is_the_same_again_on_a_fresh_server(server, admin, tmp_path, diskless):
    admin.config_set("repl-diskless-sync", diskless)
    taken, sink = taken_from(server.address)
    assert taken.counts == {"keys/db0": 3004, "keys/db3": 1}
    with redis.Redis.from_url(server.address) as client:
        values = checksum(client)
    assert taken.details == {"server": "valkey", "counts_are_exact": True, "changes": 0, "values": values}
    assert abs(taken.consistent_as_of - datetime.now(UTC)) < timedelta(minutes=1)
    assert taken.warnings == ()
    text = backing.recovery(Taken.model_validate_json(taken.model_dump_json()), list(sink.parts))
    port = free_ports(1)[0]
    path = f"{valkey.binary().parent}:{os.environ['PATH']}"
    text = text.replace("--daemonize yes", "--daemonize yes --enable-debug-command local")
    follow(text, sink, tmp_path, {"PATH": path, "PORT": str(port)})
    with redis.Redis(port=port, retry=None) as restored:
        try:
            await eventually(lambda: _loaded(restored))
            assert restored.execute_command("DEBUG", "DIGEST") == admin.execute_command("DEBUG", "DIGEST")
        finally:
            restored.shutdown(nosave=True)


async def _loaded(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


def test_the_grant_suffices_and_less_is_refused_with_the_cure(server, admin):
    admin.execute_command("ACL", "SETUSER", *GRANT[1:], f">{SECRET}")
    taken, _ = taken_from(f"redis://{GRANT[1]}:{SECRET}@127.0.0.1:{server.port}/0")
    assert taken.counts["keys/db0"] == 3004
    assert "values" not in taken.details  # it may not read keys
    admin.execute_command("ACL", "SETUSER", "less", "on", f">{SECRET}", "-@all", "+info", "+select", "+ping")
    with pytest.raises(Denied) as caught:
        taken_from(f"redis://less:{SECRET}@127.0.0.1:{server.port}/0")
    assert "+psync" in caught.value.hint


def who_may_save(admin, server):
    admin.execute_command("ACL", "SETUSER", "saver", "on", f">{SECRET}", "-@all", "+info", "+ping", "+bgsave", "+time")
    return f"redis://saver:{SECRET}@127.0.0.1:{server.port}/0"


def test_where_nobody_may_replicate_the_servers_own_file_is_read(server, admin):
    taken, sink = taken_from(who_may_save(admin, server), rdb_file=str(server.folder / "dump.rdb"))
    assert taken.counts == {"keys/db0": 3004, "keys/db3": 1}
    assert taken.position == {}
    assert abs(taken.consistent_as_of - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(sink.parts[backing.PART]) > 300_000


@pytest.mark.parametrize("content", [None, OLD_RDB])
def test_a_file_that_the_server_did_not_save_is_no_backup(server, admin, tmp_path, content):
    if content is not None:
        (tmp_path / "other.rdb").write_bytes(content)
    sink = MemorySink()
    with pytest.raises(ConfigError) as caught:
        taken_from(who_may_save(admin, server), sink, rdb_file=str(tmp_path / "other.rdb"))
    assert "rdb_file" in caught.value.hint
    assert sink.parts == {}


def test_a_replica_is_copied_and_said_to_be_one(server, tmp_path):
    settings = AT_ONCE | {
        "replicaof": f"127.0.0.1 {server.port}",
        "masterauth": server.address.split(":")[2].split("@")[0],
    }
    with running(valkey.server(tmp_path, free_ports(1)[0], settings=settings)) as replica:
        with redis.Redis.from_url(replica.address) as client:
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        taken, _ = taken_from(replica.address)
    assert taken.counts == {"keys/db0": 3004, "keys/db3": 1}
    assert "taken from a replica" in taken.warnings[0]


def test_a_node_of_a_cluster_is_said_to_have_its_share_only(tmp_path):
    with running(valkey.server(tmp_path, free_ports(1)[0], settings=CLUSTER)) as node:
        taken, _ = taken_from(node.address)
    assert taken.counts == {}
    assert "one node's share" in taken.warnings[0]


def test_what_others_do_meanwhile_is_counted(server, admin, monkeypatch):
    reading = backing._rdb

    def busy(*arguments):
        for number in range(50):
            admin.set(f"passing:{number}", "x")
            admin.delete(f"passing:{number}")
        return reading(*arguments)

    monkeypatch.setattr(backing, "_rdb", busy)
    taken, _ = taken_from(server.address)
    assert taken.details["changes"] >= 100
    assert not taken.details["counts_are_exact"]


@pytest.mark.parametrize("at", [100, 2000, -9, -1])
def test_a_flipped_bit_is_found(server, at):
    _, sink = taken_from(server.address)
    data = bytearray(sink.parts[backing.PART])
    data[at] ^= 4
    check = Check()
    check.take(bytes(data))
    with pytest.raises(Garbled):
        check.finish()


def test_chunks_of_any_size_give_the_same_checksum(server):
    _, sink = taken_from(server.address)
    data = sink.parts[backing.PART]
    for size in (100, 1000, 65_536):
        check = Check()
        for start in range(0, len(data), size):
            check.take(data[start : start + size])
        assert check.finish()


def test_the_checksum_is_the_documented_one():
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


def answering(*answers):
    """Connect to something that says these bytes, however it is asked, and hangs up."""
    ours, theirs = socket.socketpair()

    def answer():
        with theirs:
            for said in answers:
                theirs.recv(65_536)
                theirs.sendall(said)

    threading.Thread(target=answer, daemon=True).start()
    return ours


@pytest.mark.parametrize("head", [b"$100\r\nREDIS0011", b"$EOF:" + b"m" * 40 + b"\r\nREDIS0011" + b"m" * 39])
def test_a_connection_that_ends_in_the_middle_is_never_the_end_of_the_data(head):
    with answering(b"+OK\r\n", b"+OK\r\n", b"\n\n+FULLRESYNC abc 1\r\n" + head) as ours:
        replication = Replication(ours, 5)
        assert replication.begin().offset == 1
        with pytest.raises(Unreachable, match="middle of the data"):
            list(replication.chunks())


def test_a_replica_without_its_primary_is_unreachable():
    refusing = answering(b"+OK\r\n", b"+OK\r\n", b"-NOMASTERLINK Can't SYNC while not connected\r\n")
    with refusing as ours, pytest.raises(Unreachable, match="link to the primary"):
        Replication(ours, 5).begin()


def test_a_server_that_is_not_there_is_unreachable():
    with pytest.raises(Unreachable):
        taken_from(f"redis://:s3cret@127.0.0.1:{free_ports(1)[0]}/0")


def test_what_is_no_rdb_is_refused_at_once():
    with pytest.raises(Garbled, match="no RDB"):
        Check().take(struct.pack("<QQ", 1, 2))
