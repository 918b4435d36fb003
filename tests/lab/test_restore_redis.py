"""An RDB is restored into a real scratch server and into a named one, and what is not as it was is seen."""

import contextlib
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from deployments.lab.servers import free_ports, running, valkey
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order as BackupOrder
from tasks.core.errors import ConfigError, Garbled, NotOffered, TransientError
from tasks.core.restore import Phase
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.redis import backup as backing
from tasks.systems.redis import restore as restoring
from tasks.systems.redis import scratch as scratching
from tasks.systems.redis.backup import PART, backup
from tasks.systems.redis.spec import Spec
from tasks.systems.redis.verify import compare, parse, spoil
from tests.sinks import MemorySink
from tests.sources import MemorySource, order

VERIFY = [{"keys": "key:*", "at_least": 10}]
PASSING = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"repl-diskless-sync-delay": "0"}
    with running(valkey.server(tmp_path_factory.mktemp("source"), free_ports(1)[0], settings=settings)) as server:
        yield server


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    with running(valkey.server(tmp_path_factory.mktemp("other"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture
def target(other):
    with redis.Redis.from_url(other.address) as client:
        client.flushall()
        yield other
        client.flushall()


@pytest.fixture(scope="module")
def given(server):
    """The spec and access of the live server."""
    access = Access(resolver=SecretResolver({"URL": server.address}), now=lambda: datetime.now(UTC))
    return Spec(kind="redis", url={"env": "URL"}, verify=VERIFY), access


@pytest.fixture(scope="module")
def source(server, given):
    with redis.Redis.from_url(server.address) as client:
        client.mset({f"key:{n}": os.urandom(50) for n in range(1000)})
        client.mset({f"other:{n}": n for n in range(50)})
        client.hset("hash", mapping={"a": 1})
        client.xadd("stream", {"a": "b"})
        client.zadd("ranks", {"a": 0.1, "b": 2})
        client.rpush("line", "a", "b")
        client.sadd("set", "a", "b", "3")
        for number in range(PASSING):
            client.set(f"passing:{number}", "soon gone", px=60_000)
        with redis.Redis.from_url(server.address.replace("/0", "/5")) as elsewhere:
            elsewhere.set("elsewhere", "there")
        sink = MemorySink()
        taken = backup(*given, sink, BackupOrder("rdb"))
        yield MemorySource(taken, sink)


@pytest.fixture(scope="module")
def stale(server, given, source):
    """A backup of which some keys have expired since."""
    assert source.taken.counts["keys/db0"] > PASSING
    with redis.Redis.from_url(server.address) as client:
        for number in range(PASSING):
            client.set(f"passing:{number}", "soon gone", px=3000)
        sink = MemorySink()
        taken = backup(*given, sink, BackupOrder("rdb"))
        while client.exists("passing:19"):
            pass
        yield MemorySource(taken, sink)


def failed(assertions):
    return [assertion.name for assertion in assertions if assertion.outcome is not Outcome.PASSED]


def test_everything_is_there_again_in_scratch_and_gone_afterwards(given, source, tmp_path):
    phases = []

    def phase(name):
        phases.append(name)
        return contextlib.nullcontext()

    with restoring.restore(*given, source, replace(order(tmp_path / "scratch"), phase=phase)) as restored:
        assert list(phases) == [Phase.PROVISION, Phase.FETCH, Phase.RESTORE]
        assert restored.counts == source.taken.counts
        assert abs(restored.recovered_to - source.manifest.consistent_as_of) < timedelta(minutes=5)
        found = list(compare(given[0], source, restored))
        assert failed(found) == []
        assert {assertion.name for assertion in found} == {
            "keys/db0",
            "keys/db5",
            "keys key:*",
            "checksum of what lasting keys hold",
            "digest of all keys",
        }
        with redis.Redis.from_url(restored.address) as client:
            assert client.hget("hash", "a") == b"1"
            client.set("written", "by a smoke test")
        address = restored.address
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(address.replace(address.split("@")[0], "redis://:wrong")).ping()
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(address).ping()


def test_the_password_of_scratch_is_on_no_command_line(given, source, tmp_path):
    with restoring.restore(*given, source, order(tmp_path / "scratch")) as restored:
        password = restored.address.split(":")[2].split("@")[0]
        lines = [path.read_bytes() for path in proc() if path.exists()]
        assert not [line for line in lines if password.encode() in line]
        assert (tmp_path / "scratch" / "server.conf").stat().st_mode & 0o77 == 0


def proc():
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]


def test_keys_whose_time_is_up_are_counted_and_not_given_out(given, stale, target, tmp_path):
    with restoring.restore(*given, stale, order(tmp_path / "scratch")) as restored:
        assert restored.counts == stale.taken.counts
        assert failed(compare(given[0], stale, restored)) == []
        with redis.Redis.from_url(restored.address) as client:
            assert client.get("passing:1") is None
    with restoring.restore(*given, stale, order(tmp_path / "again", into=target.address)) as restored:
        assert restored.details["expired"] == PASSING
        assert failed(compare(given[0], stale, restored)) == []


def test_a_copy_that_was_spoilt_is_seen(given, source, tmp_path):
    with restoring.restore(*given, source, order(tmp_path / "scratch")) as restored:
        assert spoil(given[0], restored) == "removed every key of db0"
        assert failed(compare(given[0], source, restored)) == [
            "keys/db0",
            "checksum of what lasting keys hold",
            "digest of all keys",
            "keys key:*",
        ]


CHANGES = [
    lambda client: client.set("key:7", "another"),
    lambda client: client.hset("hash", "a", 2),
    lambda client: client.zincrby("ranks", 1, "a"),
    lambda client: client.rpush("line", "c"),
    lambda client: client.srem("set", "b"),
    lambda client: client.xadd("stream", {"c": "d"}),
    lambda client: client.rename("other:1", "another:1"),
]


@pytest.fixture(scope="module")
def copy(given, source, tmp_path_factory):
    with restoring.restore(*given, source, order(tmp_path_factory.mktemp("copy") / "scratch")) as restored:
        yield restored


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_key_holds_is_compared_and_not_only_how_many_there_are(given, source, copy, change):
    with redis.Redis.from_url(copy.address) as client:
        kept = {key: client.dump(key) for key in client.keys("*") if client.ttl(key) < 0}
        change(client)
        found = failed(compare(given[0], source, copy))
        for key in client.keys("another:*"):
            client.delete(key)
        for key, value in kept.items():
            client.restore(key, 0, value, replace=True)
    assert found == ["checksum of what lasting keys hold", "digest of all keys"]
    assert failed(compare(given[0], source, copy)) == []


def test_where_others_write_no_checksum_is_recorded_and_what_was_loaded_is_held(given, monkeypatch, tmp_path):
    real = backing._look

    def look(client):
        client.incr("other:49")
        return real(client)

    monkeypatch.setattr(backing, "_look", look)
    sink = MemorySink()
    written = MemorySource(backup(*given, sink, BackupOrder("rdb")), sink)
    assert "values" not in written.manifest.details
    with restoring.restore(*given, written, order(tmp_path / "scratch")) as restored:
        (held,) = [one for one in compare(given[0], written, restored) if "digest" in one.name]
        assert (held.outcome, held.note.partition(":")[0]) == (Outcome.PASSED, "as they were loaded")
        with redis.Redis.from_url(restored.address) as client:
            client.set("key:7", "another")
        assert "digest of all keys" in failed(compare(given[0], written, restored))


def test_only_keys_with_a_prefix_come_back(given, source, target, tmp_path):
    with restoring.restore(*given, source, order(tmp_path / "scratch", only=("other:", "ha"))) as restored:
        assert restored.counts == {"keys/db0": 51}
    wanted = order(tmp_path / "into", into=target.address, only=("other:",))
    with restoring.restore(*given, source, wanted) as restored, redis.Redis.from_url(target.address) as client:
        assert restored.address == target.address
        assert client.get("other:7") == b"7"
        assert client.dbsize() == 50


def test_a_named_place_gets_every_key_with_its_time_to_live(given, source, target, tmp_path):
    with restoring.restore(*given, source, order(tmp_path / "scratch", into=target.address)) as restored:
        assert failed(compare(given[0], source, restored)) == []
    with redis.Redis.from_url(target.address) as client:
        assert client.type("stream") == b"stream"
        assert client.ttl("key:1") == -1
    with redis.Redis.from_url(target.address.replace("/0", "/5")) as elsewhere:
        assert elsewhere.get("elsewhere") == b"there"


def test_a_place_that_is_not_empty_is_refused(given, source, target, tmp_path):
    with redis.Redis.from_url(target.address) as client:
        client.set("precious", "x")
        with (
            pytest.raises(ConfigError, match="not empty: it has 1 keys"),
            restoring.restore(*given, source, order(tmp_path / "scratch", into=target.address)),
        ):
            pass
        assert client.dbsize() == 1


def of_version(source, version, **details):
    told = source.taken.details | details
    return replace(source, taken=source.taken.model_copy(update={"server_version": version, "details": told}))


@pytest.mark.parametrize(
    ("version", "details", "said"),
    [
        ("99.1.0", {"server": "valkey"}, r"is Valkey \S+, which is older than the backup.* of Valkey 99\.1\.0"),
        ("7.4.1", {"server": "redis"}, r"is Valkey \S+, which reads what Redis 7\.2 wrote.* Redis 7\.4\.1"),
    ],
)
def test_a_server_that_is_older_than_the_backup_is_refused_by_name_before_anything_is_written(
    given, source, target, tmp_path, monkeypatch, version, details, said
):
    newer = of_version(source, version, **details)
    with pytest.raises(ConfigError, match=said):
        restoring.ready(newer.manifest)
    with (
        pytest.raises(ConfigError, match=said),
        restoring.restore(*given, newer, order(tmp_path / "scratch")),
    ):
        pass
    monkeypatch.setattr(restoring, "ready", lambda _manifest: scratching.program("valkey"))  # a scratch that would do
    with (
        pytest.raises(ConfigError, match=said),
        restoring.restore(*given, newer, order(tmp_path / "into", into=target.address)),
    ):
        pass
    with redis.Redis.from_url(target.address) as client:
        assert client.dbsize() == 0


def test_what_a_redis_wrote_that_valkey_still_reads_is_taken(source):
    assert restoring.ready(of_version(source, "7.2.5", server="redis").manifest)
    assert restoring.ready(of_version(source, "", server="valkey").manifest)


def test_the_live_server_is_refused_by_its_address_whatever_it_is_called(given, source, server, tmp_path):
    renamed = server.address.replace("127.0.0.1", "localhost").replace("/0", "/7")
    with (
        pytest.raises(ConfigError, match="the live server"),
        restoring.restore(*given, source, order(tmp_path / "scratch", into=renamed)),
    ):
        pass


def test_another_moment_is_refused(given, source, tmp_path):
    early = order(tmp_path / "scratch", until=source.taken.consistent_as_of - timedelta(hours=1))
    with pytest.raises(ConfigError, match="shows"), restoring.restore(*given, source, early):
        pass


def damaged(source, change):
    data = bytearray(source.sink.parts[PART])
    sink = MemorySink()
    sink.parts = {PART: bytes(change(data))}
    return replace(source, sink=sink)


def flipped(data):
    data[len(data) // 2] ^= 8
    return data


def cut(data):
    return data[:-500]


def another(_data):
    return b"no RDB" * 100


def newer(_data):
    return b"REDIS0011\xfe\x00\xe6\x01k\x01v\xff" + bytes(8)


@pytest.mark.parametrize("change", [flipped, cut, another])
def test_a_damaged_backup_is_red_when_parsed_and_when_restored(given, source, tmp_path, change):
    broken = damaged(source, change)
    assert failed(parse(broken)) == [PART]
    with pytest.raises(Garbled), restoring.restore(*given, broken, order(tmp_path / "scratch")):
        pass


def test_a_sound_backup_parses(source):
    assert failed(parse(source)) == []


def test_an_rdb_that_the_server_does_not_read_is_said_to_be_so(given, source, tmp_path):
    unknown = damaged(source, newer)
    with (
        pytest.raises(Garbled, match="does not read the RDB"),
        restoring.restore(*given, unknown, order(tmp_path / "scratch")),
    ):
        pass


def test_a_scratch_server_that_dies_makes_the_comparison_an_error_and_leaves_nothing(given, source, tmp_path):
    with restoring.restore(*given, source, order(tmp_path / "scratch")) as restored:
        with redis.Redis.from_url(restored.address) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        found = []
        while not found or found[-1].outcome is Outcome.PASSED:
            found = list(compare(given[0], source, restored))
        assert found[-1].outcome is Outcome.ERRORED


def cancelled_in_the_middle(given, source, folder, seen):
    with (
        restoring.restore(*given, source, order(folder)) as restored,
        redis.Redis.from_url(restored.address) as client,
    ):
        seen.append(client.info("server")["process_id"])
        raise KeyboardInterrupt


def test_what_is_cancelled_in_the_middle_leaves_no_server(given, source, tmp_path):
    seen = []
    with pytest.raises(KeyboardInterrupt):
        cancelled_in_the_middle(given, source, tmp_path / "scratch", seen)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_without_a_server_to_restore_into_the_cure_is_told(given, source, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(scratching, "_of_wheel", lambda: None)
    with pytest.raises(NotOffered) as caught, restoring.restore(*given, source, order(tmp_path / "scratch")):
        pass
    assert "install valkey-server" in caught.value.hint


def test_an_empty_server_is_restored_empty(tmp_path, given):
    settings = {"repl-diskless-sync-delay": "0"}
    with running(valkey.server(tmp_path / "empty", free_ports(1)[0], settings=settings)) as empty:
        access = Access(resolver=SecretResolver({"URL": empty.address}), now=lambda: datetime.now(UTC))
        spec, sink = Spec(kind="redis", url={"env": "URL"}), MemorySink()
        source = MemorySource(backup(spec, access, sink, BackupOrder("rdb")), sink)
        with restoring.restore(spec, access, source, order(tmp_path / "scratch")) as restored:
            assert failed(compare(spec, source, restored)) == []
            assert failed(compare(given[0], source, restored)) == ["keys key:*"]
            assert spoil(spec, restored) == ""


def test_a_server_of_another_name_on_the_path_is_used(given, source, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(valkey.binary())
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert scratching.program("valkey") == scratching.program("redis") == str(tmp_path / "bin" / "valkey-server")
    with restoring.restore(*given, source, order(tmp_path / "scratch")) as restored:
        assert restored.counts == source.taken.counts


def test_a_source_that_breaks_off_leaves_nothing_behind(given, source, tmp_path):
    class Broken(MemorySource):
        def read(self, part):
            yield from list(super().read(part))[:2]
            raise TransientError("the store is away")

    broken = Broken(source.taken, source.sink)
    with pytest.raises(TransientError, match="away"), restoring.restore(*given, broken, order(tmp_path / "scratch")):
        pass
    with pytest.raises(TransientError, match="away"):
        list(parse(broken))
