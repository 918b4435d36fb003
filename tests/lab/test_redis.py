"""A real Valkey, measured by a user with the documented grant, and made sick in the ways the runbooks fear."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from deployments.lab.servers import free_ports, running, valkey
from tasks.core.results import Outcome
from tasks.systems.redis import spec as kind
from tests.hostile import check, finding, measured, refused_port, serving
from tests.lab.waiting import eventually

FOLDER = Path(kind.__file__).parent
GRANT = (FOLDER / "grant.acl").read_text(encoding="utf-8").split()
FURTHER = [(FOLDER / f"grant-{name}.acl").read_text(encoding="utf-8").split()[2:] for name in ("survey", "registry")]
OF_KEYS = {"pattern_keys", "without_ttl", "shortest_ttl", "median_ttl", "biggest_key"}
OF_REGISTRY = {"services_registered", "service_registered", "service_healthy", "heartbeat_age"}
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
    assert names == set(kind.CATALOG) - only_elsewhere - OF_KEYS - OF_REGISTRY | {"reachable"}
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


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A server with a million keys, a registry, and the url of a user with the three grants."""
    settings = {"maxmemory": "1gb"}
    with running(valkey.server(tmp_path_factory.mktemp("crowded"), free_ports(1)[0], settings=settings)) as server:
        with redis.Redis.from_url(server.address) as client:
            client.execute_command("ACL", "SETUSER", *GRANT[1:], *FURTHER[0], *FURTHER[1], f">{PASSWORD}")
            client.execute_command("DEBUG", "POPULATE", 1_000_000, "cache", 8)
        yield server, f"redis://{GRANT[1]}:{PASSWORD}@127.0.0.1:{server.port}/0"


async def test_a_million_keys_are_surveyed_by_a_bounded_sample_that_never_asks_for_all_keys(crowded):
    server, url = crowded
    with redis.Redis.from_url(server.address) as client:
        client.config_resetstat()
        report = await checked(url, survey={"patterns": {"cache": "cache:*"}, "keys": 5_000})
        calls = {name.removeprefix("cmdstat_"): told["calls"] for name, told in client.info("commandstats").items()}
    assert "keys" not in calls
    assert calls["scan"] <= 5_000 / 500 + 1
    assert calls["pttl"] == 5_000
    assert calls["memory|usage"] <= 1_000
    count = measured(report, "pattern_keys", "cache")
    assert count.value == pytest.approx(1_000_000, rel=0.05)
    assert count.note == "estimated by a sample of 5,000 of 1,000,000 keys"
    assert measured(report, "without_ttl", "cache").value == 1
    assert not [f for f in report.findings if f.outcome is not Outcome.PASSED]


async def test_keys_are_told_by_pattern_with_their_expiry_and_the_biggest_without_their_tokens(redis_server, admin):
    token = "deadbeefdeadbeefdeadbeef"
    with admin.pipeline() as pipeline:
        for number in range(3):
            pipeline.set(f"page:{number}", "x", ex=100 * (number + 1))
        pipeline.set("page:forever", "x").set(f"session:{token}", "y" * 5000, ex=60).execute()
    fields = {"survey": {"patterns": {"pages": "page:*", "sessions": "session:*"}}}
    report = await checked(redis_server.address, limits={"without_ttl": {"warn": "10%"}}, **fields)
    assert finding(report, "without_ttl", "pages").outcome is Outcome.WARNED
    assert finding(report, "without_ttl", "pages").value == 0.25
    assert finding(report, "without_ttl", "sessions").outcome is Outcome.PASSED
    assert 90 < measured(report, "shortest_ttl", "pages").value <= 100
    assert 190 < measured(report, "median_ttl", "pages").value <= 200
    assert measured(report, "pattern_keys", "pages").value == 4
    assert measured(report, "biggest_key", "sessions").value > 5000
    assert measured(report, "biggest_key", "sessions").note.startswith("session:dead... ")
    assert token not in report.model_dump_json()
    admin.expire("page:forever", 500)
    mended = await checked(redis_server.address, limits={"without_ttl": {"warn": "10%"}}, **fields)
    assert finding(mended, "without_ttl", "pages").outcome is Outcome.PASSED
    admin.delete(f"session:{token}", "page:forever", *(f"page:{number}" for number in range(3)))


async def test_a_registry_tells_who_is_missing_who_is_unwell_and_who_fell_silent(crowded):
    server, url = crowded
    now = datetime.now(UTC)

    def entry(status, minutes):
        return {"status": status, "last_heartbeat": (now - timedelta(minutes=minutes)).isoformat()}

    fields = {"registry": {"keys": "service_registry:*", "services": ["api", "gone", "hashed"]}}
    fields |= {"limits": {"heartbeat_age": {"warn": "2m", "critical": "10m"}}, "timeout": "30s"}
    with redis.Redis.from_url(server.address) as client:
        client.set("service_registry:api", json.dumps(entry("healthy", 0)))
        client.hset("service_registry:hashed", mapping=entry("degraded", 5))
        client.set("service_registry:odd", "no json at all")
        client.setrange("service_registry:huge", 1 << 20, "}")
        client.rpush("service_registry:list", "healthy")
        client.set("service_registry:mute", json.dumps({"status": "UP"}))
        sick = await checked(url, **fields)
        client.hset("service_registry:hashed", mapping=entry("healthy", 0))
        client.set("service_registry:gone", json.dumps(entry("healthy", 0)))
        client.delete(*(f"service_registry:{name}" for name in ("odd", "mute", "huge", "list")))
        well = await checked(url, **fields)
    assert finding(sick, "service_registered", "gone").outcome is Outcome.FAILED
    assert finding(sick, "service_registered", "api").outcome is Outcome.PASSED
    assert finding(sick, "service_healthy", "hashed").note == "it says degraded"
    assert finding(sick, "service_healthy", "hashed").outcome is Outcome.FAILED
    for name in ("odd", "huge", "list"):
        assert finding(sick, "service_healthy", name).outcome is Outcome.ERRORED
    assert finding(sick, "service_healthy", "mute").outcome is Outcome.PASSED
    assert finding(sick, "heartbeat_age", "hashed").outcome is Outcome.WARNED
    assert finding(sick, "heartbeat_age", "api").outcome is Outcome.PASSED
    assert finding(sick, "heartbeat_age", "mute").outcome is Outcome.ERRORED
    assert measured(sick, "services_registered").value == 6
    assert {f.outcome for f in well.findings} == {Outcome.PASSED}


async def test_a_user_without_the_further_grants_is_told_what_is_missing(granted):
    fields = {"registry": {"keys": "service_registry:*"}, "survey": {"patterns": {"all": "*"}}}
    report = await checked(granted, **fields)
    for name in OF_KEYS | OF_REGISTRY:
        assert finding(report, name).outcome is Outcome.ERRORED
        assert "grant-" in finding(report, name).remedy
    assert measured(report, "memory").value > 0


async def test_a_user_with_the_further_grants_still_reads_no_other_key(crowded):
    with redis.Redis.from_url(crowded[1]) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.get("cache:1")


@pytest.mark.parametrize("keys", ["service:*:entry", "[ab]*", "service"])
def test_a_registry_whose_keys_are_no_prefix_with_a_star_is_refused(keys):
    with pytest.raises(ValueError, match="pattern"):
        kind.Registry(keys=keys)


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
