"""A real server of the MongoDB protocol, and documented answers of mongod for what that server does not say."""

import gc
import re
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pymongo
import pytest

from tasks.core.results import Gap, Outcome
from tasks.systems.mongodb import probe as probing
from tasks.systems.mongodb import spec as kind
from tasks.systems.mongodb.indexes import use_of
from tests.hostile import NOW, check, finding, measured, refused_port, serving

GRANT = Path(kind.__file__).with_name("grant.js").read_text(encoding="utf-8")
PASSWORD = "wk-s3cret-word"


@pytest.fixture(scope="module")
def admin(mongodb_server):
    with pymongo.MongoClient(mongodb_server.address) as client:
        client.shop.orders.insert_many([{"number": number} for number in range(50)])
        yield client


@pytest.fixture(scope="module")
def granted(mongodb_server, admin):
    """The uri of a user with the roles of grant.js."""
    assert '"clusterMonitor"' in GRANT
    assert re.findall(r'role: "(\w+)", db: "(\w+)"', GRANT) == [("read", "local")]
    roles = ["clusterMonitor", {"role": "read", "db": "local"}]
    # mongod's clusterMonitor includes these three; the lab's server leaves them out.
    roles += [{"role": "dbAdmin", "db": "shop"}, {"role": "read", "db": "shop"}, {"role": "read", "db": "admin"}]
    admin.admin.command("createUser", "watchkeeper", pwd=PASSWORD, roles=roles)
    return (
        f"mongodb://watchkeeper:{PASSWORD}@127.0.0.1:{mongodb_server.port}/shop?authSource=admin&directConnection=true"
    )


async def checked(uri, **fields):
    return await check({"kind": "mongodb", "uri": {"env": "IT_URI"}, **fields}, {"IT_URI": uri})


async def test_a_user_with_the_grant_measures_the_database_of_its_uri(admin, granted):
    admin.shop.command("profile", 2)
    list(admin.shop.orders.find({"number": 7}))
    report = await checked(granted)
    admin.shop.command("profile", 0)
    assert not [f for f in report.findings if f.outcome is Outcome.ERRORED]
    assert finding(report, "has_primary").outcome is Outcome.PASSED
    assert finding(report, "members_down").outcome is Outcome.PASSED
    assert measured(report, "documents").value >= 50
    assert measured(report, "database_size").value > 0
    assert 0 < measured(report, "index_size").value < measured(report, "database_size").value
    assert measured(report, "collection_size", "orders").value > measured(report, "index_size").value
    assert measured(report, "oplog_window").value >= 0
    assert measured(report, "longest_operation").value >= 0
    assert "shop" in measured(report, "slowest_query").note


async def test_slow_queries_are_not_checked_while_the_profiler_is_off(granted):
    gap = finding(await checked(granted), "slowest_query")
    assert (gap.outcome, gap.note) == (Outcome.NOT_CHECKED, "the profiler is off")


async def test_all_databases_are_measured_where_none_is_named(mongodb_server, admin):
    report = await checked(mongodb_server.address)
    assert measured(report, "database_size").value > 0
    assert admin


async def test_a_user_that_may_see_nothing_is_errored_for_each_and_its_latency_is_still_measured(mongodb_server, admin):
    admin.admin.command("createUser", "plain", pwd=PASSWORD, roles=[])
    report = await checked(f"mongodb://plain:{PASSWORD}@127.0.0.1:{mongodb_server.port}/?directConnection=true")
    assert measured(report, "latency").value > 0
    for name in ("oplog_window", "longest_operation"):
        assert finding(report, name).outcome is Outcome.ERRORED
        assert "clusterMonitor" in finding(report, name).remedy


async def test_a_wrong_password_is_errored_and_shows_no_secret(granted):
    report = await checked(granted.replace(PASSWORD, "wr0ng-s3cret"))
    assert finding(report, "check").outcome is Outcome.ERRORED
    assert finding(report, "check").note == "the user or the password is wrong"
    assert "wr0ng-s3cret" not in report.model_dump_json()


async def test_a_replica_set_of_another_name_is_a_failed_system(granted):
    report = await checked(granted.replace("directConnection=true", "replicaSet=other"), timeout="3s")
    assert finding(report, "reachable").note == "no member of the replica set answered"


async def test_a_refused_connection_says_so_and_shows_no_topology():
    report = await checked(f"mongodb://user:wr0ng-s3cret@127.0.0.1:{await refused_port()}/", timeout="3s")
    assert finding(report, "reachable").outcome is Outcome.FAILED
    assert finding(report, "reachable").note == "the connection was refused"
    assert "wr0ng-s3cret" not in report.model_dump_json()


# pymongo forgets a socket whose connecting is cancelled by the client's end; it is collected, and told, here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_of_another_protocol_is_a_problem_and_told_so():
    async def handler(reader, writer):
        await reader.read(4096)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(handler) as port:
        report = await checked(f"mongodb://127.0.0.1:{port}/", timeout="3s")
    # pymongo sometimes loses the reason, and then only knows that the connection is gone.
    told = {"it does not speak MongoDB's protocol": Outcome.ERRORED, "it broke off the connection": Outcome.FAILED}
    problem = next(f for f in report.findings if f.outcome.is_problem)
    assert told[problem.note] is problem.outcome
    gc.collect()


@pytest.mark.parametrize("uri", ["mongodb://user:wr0ng/s3cret@host/", "mongodb://u:p@host:wr0ng/", "http://wr0ng"])
async def test_an_uri_that_is_none_is_errored_and_not_shown(uri):
    report = await checked(uri)
    assert finding(report, "check").note == "the uri is no MongoDB address"
    assert "wr0ng" not in report.model_dump_json()


def session(answers=None, **hello):
    """A session whose commands are answered with what MongoDB's manual shows."""

    class Session(probing._Session):
        async def command(self, command, database="admin"):
            assert database
            return answers[next(iter(command))]

    return Session(client=None, database=None, hello=hello, now=lambda: NOW)


def member(name, state, behind=0, health=1):
    words = {1: "PRIMARY", 2: "SECONDARY", 3: "RECOVERING", 7: "ARBITER", 8: "(not reachable/healthy)"}
    optime = NOW - timedelta(seconds=behind)
    return {"name": name, "health": health, "state": state, "stateStr": words[state], "optimeDate": optime}


async def test_the_lag_of_each_secondary_is_measured_and_a_dead_member_is_named():
    never = datetime(1970, 1, 1, tzinfo=UTC)
    dead = member("c:27017", 8, health=0) | {"optimeDate": never}
    status = {"members": [member("a:27017", 1), member("b:27017", 2, behind=42), dead, {**member("d:27017", 7)}]}
    readings = await probing._members(session({"replSetGetStatus": status}, setName="rs0"))
    lag = {reading.subject: reading.value for reading in readings if reading.name == "replication_lag"}
    assert lag == {"b:27017": 42.0}
    down = next(reading for reading in readings if reading.name == "members_down")
    assert (down.value, down.note) == (1, "c:27017 is (not reachable/healthy)")


async def test_a_standalone_server_has_no_members_to_measure():
    assert await probing._members(session()) == []
    assert await probing._oplog(session()) == []


async def test_a_replica_set_without_a_primary_is_seen():
    reading = (await probing._primary(session(setName="rs0", secondary=True, isWritablePrimary=False)))[0]
    assert reading.value is False


async def answering_as_a_secondary_without_primary(reader, writer):
    """Speak MongoDB's protocol as the last member of three: hello and replSetGetStatus as the manual shows them."""
    alone = {"setName": "rs0", "isWritablePrimary": False, "secondary": True, "hosts": ["b:27017"], "me": "b:27017"}
    down = member("a:27017", 8, health=0) | {"optimeDate": datetime(1970, 1, 1, tzinfo=UTC)}
    status = {"set": "rs0", "members": [down, member("b:27017", 2), down | {"name": "c:27017"}]}
    answers = {"hello": alone, "ismaster": alone, "ping": {}, "replSetGetStatus": status}
    versions = {"ok": 1.0, "minWireVersion": 0, "maxWireVersion": 21, "maxBsonObjectSize": 1 << 24}
    while head := await reader.readexactly(16):
        length, request, _, code = struct.unpack("<iiii", head)
        body = await reader.readexactly(length - 16)
        start = 5 if code == 2013 else body.index(b"\0", 4) + 9
        asked = next(iter(bson.decode(body[start : start + struct.unpack_from("<i", body, start)[0]])))
        asked = "hello" if asked.lower() == "ismaster" else asked
        known = answers.get(asked)
        document = (
            known | versions if known is not None else {"ok": 0.0, "code": 59, "errmsg": f"no such command: {asked}"}
        )
        told = bson.encode(document)
        if code == 2013:
            message = struct.pack("<iiiiIB", 21 + len(told), 1, request, 2013, 0, 0) + told
        else:
            message = struct.pack("<iiiiiqii", 36 + len(told), 1, request, 1, 8, 0, 0, 1) + told
        writer.write(message)
        await writer.drain()


async def test_a_replica_set_that_has_lost_its_primary_is_measured_on_the_member_that_is_left():
    async with serving(answering_as_a_secondary_without_primary) as port:
        report = await checked(f"mongodb://127.0.0.1:{port}/?directConnection=true")
    assert finding(report, "reachable").outcome is Outcome.PASSED
    assert finding(report, "has_primary").outcome is Outcome.FAILED
    assert finding(report, "members_down").outcome is Outcome.WARNED
    assert (
        finding(report, "members_down").note == "a:27017 is (not reachable/healthy), c:27017 is (not reachable/healthy)"
    )
    assert measured(report, "replication_lag", "b:27017").value == 0
    assert finding(report, "connections_used").outcome is Outcome.NOT_CHECKED


def index(name, ops, days, **spec):
    """A document of $indexStats as MongoDB's manual shows it."""
    since = NOW - timedelta(days=days)
    return {"name": name, "host": "a:27017", "accesses": {"ops": ops, "since": since}, "spec": {"name": name, **spec}}


DOCUMENTS = [index("_id_", 0, 40), index("number_1", 12, 40), index("email_1", 0, 40, unique=True)]
DOCUMENTS += [index("at_1", 0, 40, expireAfterSeconds=60), index("colour_1", 0, 40)]


def test_an_index_that_nobody_used_for_long_is_named_and_those_that_work_unasked_are_not():
    uses = [use_of("orders", document) for document in DOCUMENTS]
    readings = {reading.name: reading for reading in probing._of_indexes(session(setName="rs0"), uses)}
    assert readings["indexes"].value == 5
    assert (readings["unused_indexes"].value, readings["unused_indexes"].note) == (1, "orders.colour_1")
    mended = [use for use in uses if use.name != "orders.colour_1"]
    assert {r.name: r.value for r in probing._of_indexes(session(), mended)}["unused_indexes"] == 0


def test_an_index_is_not_called_unused_before_the_server_has_counted_for_long_enough():
    uses = [use_of("orders", index("colour_1", 0, 3))]
    gap = list(probing._of_indexes(session(), uses))[1]
    assert (gap.outcome, gap.reason) == (Outcome.NOT_CHECKED, "the server has counted only for 3 days")


async def test_a_server_that_does_not_count_the_use_of_indexes_is_not_checked_for_it(granted):
    gap = finding(await checked(granted), "unused_indexes")
    assert (gap.outcome, gap.note) == (Outcome.NOT_CHECKED, "the server does not count the use of its indexes")
    assert measured(await checked(granted), "indexes").value >= 1


STATUS = {
    "connections": {"current": 80, "available": 20, "active": 3},
    "uptime": 3600.0,
    "mem": {"resident": 512},
    "globalLock": {"currentQueue": {"total": 4}},
    "wiredTiger": {"cache": {"maximum bytes configured": 1000, "bytes currently in the cache": 950}},
}


async def test_the_status_of_mongod_is_read_whole():
    readings = {reading.name: reading for reading in await probing._status(session({"serverStatus": STATUS}))}
    assert readings["connections_used"].value == 0.8
    assert readings["queued_operations"].value == 4
    assert readings["cache_used"].value == 0.95
    assert readings["memory"].value == 512 * 2**20


async def test_no_free_connection_is_a_full_server_where_mongod_says_so_and_unknown_where_a_stand_in_does():
    full = {**STATUS, "connections": {"current": 100, "available": 0, "active": 3}}
    unknown = {**STATUS, "connections": {"current": 100, "available": 0}}
    names = [
        next(r for r in await probing._status(session({"serverStatus": status})) if r.name == "connections_used")
        for status in (full, unknown)
    ]
    assert names[0].value == 1
    assert isinstance(names[1], Gap)


@pytest.mark.parametrize(
    ("operation", "work"),
    [
        ({"client": "c", "op": "query", "ns": "shop.orders", "command": {"find": "orders"}}, True),
        ({"client": "c", "op": "command", "ns": "admin.$cmd", "command": {"hello": 1}}, False),
        ({"client": "c", "op": "getmore", "ns": "local.oplog.rs", "command": {"getMore": 1}}, False),
        ({"client": "c", "op": "command", "appName": "watchkeeper", "command": {"aggregate": 1}}, False),
        ({"op": "command", "desc": "JournalFlusher", "command": {}}, False),
    ],
)
def test_only_the_work_of_clients_counts_as_an_operation(operation, work):
    assert probing._is_work(operation) is work
    assert probing._age({"microsecs_running": 2_500_000}) == 2.5
