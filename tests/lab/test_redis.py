"""A real Valkey, measured by a user with the documented grant, and made sick in the ways the runbooks fear."""

import shutil
from pathlib import Path

import pytest
import redis

from deployments.lab.servers import free_ports, running, valkey
from tasks.core.results import Outcome
from tasks.systems.redis import spec as kind
from tests.hostile import check, finding, measured, refused_port, serving
from tests.lab.waiting import eventually

GRANT = Path(kind.__file__).with_name("grant.acl").read_text(encoding="utf-8").split()
PASSWORD = "wk-s3cret-word"


@pytest.fixture(scope="module")
def admin(redis_server):
    with redis.Redis.from_url(redis_server.address) as client:
        yield client


@pytest.fixture(scope="module")
def granted(redis_server, admin):
    """The url of a user with nothing but grant.acl, on a server with a key and look-ups."""
    admin.execute_command("ACL", "SETUSER", *GRANT[1:], f">{PASSWORD}")
    admin.set("greeting", "hello")
    admin.get("greeting")
    admin.get("nothing")
    return f"redis://{GRANT[1]}:{PASSWORD}@127.0.0.1:{redis_server.port}/0"


async def checked(url, **fields):
    return await check({"kind": "redis", "url": {"env": "IT_URL"}, **fields}, {"IT_URL": url})


async def test_a_user_with_just_the_grant_can_take_every_measurement_and_read_no_key(granted):
    report = await checked(granted)
    names = {m.name for m in report.measurements}
    only_elsewhere = {"aof_ok", "replication_link_up", "replication_lag"}
    assert names == set(kind.CATALOG) - only_elsewhere | {"reachable"}
    assert {f.outcome for f in report.findings} == {Outcome.PASSED}
    assert measured(report, "keys", "db0").value >= 1
    assert 0 < measured(report, "memory_used").value < 1
    with redis.Redis.from_url(granted) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.get("greeting")


async def test_the_grant_suffices_in_every_database(granted):
    assert finding(await checked(granted.replace("/0", "/3")), "reachable").outcome is Outcome.PASSED


async def test_a_user_that_may_not_ask_for_info_is_errored_for_that_and_its_latency_is_still_measured(
    redis_server, admin
):
    admin.execute_command("ACL", "SETUSER", "plain", "on", f">{PASSWORD}", "-@all", "+ping", "+select")
    limits = {"memory_used": {"warn": "80%"}, "latency": {"warn": "3s"}}
    report = await checked(f"redis://plain:{PASSWORD}@127.0.0.1:{redis_server.port}/0", limits=limits)
    assert finding(report, "memory_used").outcome is Outcome.ERRORED
    assert "+info" in finding(report, "memory_used").remedy
    assert finding(report, "latency").outcome is Outcome.PASSED


@pytest.mark.parametrize("password", [":wr0ng-s3cret@", ""])
async def test_a_wrong_or_missing_password_is_errored_and_shows_no_secret(redis_server, password):
    report = await checked(f"redis://{password}127.0.0.1:{redis_server.port}/0")
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert "password" in finding(report, "check").note
    assert "wr0ng-s3cret" not in report.model_dump_json()


async def test_a_limit_on_what_the_server_does_not_have_is_not_checked(granted):
    report = await checked(granted, limits={"replication_lag": {"warn": "1s"}})
    assert finding(report, "replication_lag").outcome is Outcome.NOT_CHECKED


async def test_a_save_that_cannot_be_written_fails(tmp_path):
    settings = {"maxmemory": "0", "appendonly": "yes"}
    with running(valkey.server(tmp_path / "server", free_ports(1)[0], settings=settings)) as server:
        shutil.rmtree(server.folder)
        with redis.Redis.from_url(server.address) as client:
            client.bgsave()

            async def failed():
                return client.info("persistence")["rdb_last_bgsave_status"] != "ok"

            await eventually(failed)
        report = await checked(server.address)
    assert finding(report, "last_save_ok").outcome is Outcome.FAILED
    assert finding(report, "aof_ok").outcome is Outcome.PASSED
    assert finding(report, "memory_used").outcome is Outcome.NOT_CHECKED


async def test_a_replica_tells_of_its_link_and_its_primary_of_the_lag(redis_server, admin, tmp_path):
    admin.config_set("repl-diskless-sync-delay", 0)
    password = redis_server.address.split(":")[2].split("@")[0]
    settings = {"replicaof": f"127.0.0.1 {redis_server.port}", "masterauth": password}
    with running(valkey.server(tmp_path, free_ports(1)[0], settings=settings)) as replica:

        async def linked():
            report = await checked(replica.address)
            return report if finding(report, "replication_link_up").outcome is Outcome.PASSED else None

        async def acknowledged():
            report = await checked(redis_server.address)
            return [m for m in report.measurements if m.name == "replication_lag"]

        assert measured(await eventually(linked), "replication_lag").value < 20
        lag = await eventually(acknowledged)
        assert [m.subject for m in lag] == [f"127.0.0.1:{replica.port}"]
        with redis.Redis.from_url(replica.address) as client:
            client.replicaof("127.0.0.1", await refused_port())
        cut = await checked(replica.address)
    assert finding(cut, "replication_link_up").outcome is Outcome.FAILED


def replying(text):
    async def handler(reader, writer):
        while await reader.read(4096):
            writer.write(text)
            await writer.drain()

    return handler


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "it is still loading its data"),
        (b"-ERR max number of clients reached\r\n", "max number of clients reached"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", "its link to the primary is down and it serves no stale data"),
    ],
)
async def test_a_server_that_answers_but_cannot_serve_is_a_failed_system(reply, note):
    async with serving(replying(reply)) as port:
        report = await checked(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note == note


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xfe\x00\r\n"])
async def test_a_server_of_another_protocol_is_errored(reply):
    async with serving(replying(reply)) as port:
        report = await checked(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    assert finding(report, "check").note == "it does not speak Redis's protocol"


async def test_an_info_without_what_every_redis_says_is_errored():
    async def handler(reader, writer):
        while chunk := await reader.read(4096):
            text = b"# Server\r\nredis_version:7\r\n"
            info = b"$%d\r\n%s\r\n" % (len(text), text)
            writer.write(info if b"INFO\r\n" in chunk else b"+PONG\r\n" if b"PING" in chunk else b"+OK\r\n" * 2)
            await writer.drain()

    async with serving(handler) as port:
        report = await checked(f"redis://127.0.0.1:{port}/0")
    assert finding(report, "check").note.startswith("INFO lacks what every Redis says")
    assert measured(report, "latency").value > 0


@pytest.mark.parametrize("url", ["http://wr0ng-s3cret", "redis://:wr0ng-s3cret@host:port/0", "wr0ng-s3cret"])
async def test_an_url_that_is_none_is_errored_and_not_shown(url):
    report = await checked(url)
    assert "holds no Redis address" in finding(report, "check").note
    assert "wr0ng-s3cret" not in report.model_dump_json()
