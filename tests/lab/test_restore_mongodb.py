"""A dump and slices of the oplog are restored into a real scratch server, up to a moment, and what is amiss is seen."""

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pymongo
import pytest

from deployments.lab.servers import free_ports, running, secantus
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order as BackupOrder
from tasks.core.backup import Taken
from tasks.core.errors import ConfigError, Garbled, NotOffered, TransientError, Unreachable
from tasks.core.restore import Restored
from tasks.core.results import Outcome
from tasks.core.system import Access
from tasks.systems.mongodb import dump as dumping
from tasks.systems.mongodb import restore as restoring
from tasks.systems.mongodb import verify as verifying
from tasks.systems.mongodb.backup import backup, recovery
from tasks.systems.mongodb.layout import RAW
from tasks.systems.mongodb.oplog import read_position
from tasks.systems.mongodb.spec import Spec
from tasks.systems.mongodb.verify import compare, parse, spoil
from tests.sinks import MemorySink, follow
from tests.sources import MemorySource, order

VALIDATOR = {"$jsonSchema": {"bsonType": "object", "required": ["number"]}}
AGGREGATE = {"collection": "orders", "pipeline": [{"$group": {"_id": None, "sum": {"$sum": "$number"}}}]}
VERIFY = [
    {"count": "orders", "at_least": 100},
    {"newest": "orders.at", "within": "10m"},
    {"aggregate": {**AGGREGATE, "at_least": 1000}},
]


class Source(MemorySource):
    """One with slices that go on from it."""

    slices = ()

    def later(self, method):
        assert method == "oplog"
        return list(self.slices)

    def taken_of(self, version):
        """Return it as if it were taken of a server of another version."""
        return replace(self, taken=self.taken.model_copy(update={"server_version": version}))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(secantus.server(tmp_path_factory.mktemp("source"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    with running(secantus.server(tmp_path_factory.mktemp("other"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="module")
def admin(server):
    with pymongo.MongoClient(server.address) as client:
        yield client


@pytest.fixture(scope="module")
def given(server):
    access = Access(resolver=SecretResolver({"URI": server.address}), now=lambda: datetime.now(UTC))
    spec = Spec(kind="mongodb", uri={"env": "URI"}, database="shop", verify=VERIFY)
    return spec, access


def filled(client):
    client.drop_database("shop")
    client.drop_database("other")
    client.shop.create_collection("orders", validator=VALIDATOR)
    now = datetime.now(UTC)
    client.shop.orders.insert_many(
        [{"number": n, "at": now, "raw": bytes(n), "lines": [{"sku": "a", "n": 1}, {"sku": "b"}]} for n in range(300)]
    )
    client.shop.orders.create_index([("number", 1)], unique=True, name="by_number")
    client.shop["Odd/näme 2"].insert_one({"x": bson.Decimal128("1.50"), "y": bson.Int64(7), "z": bson.Regex("a", "i")})
    client.shop.create_collection("empty")
    client.shop.create_collection("log", capped=True, size=100_000, max=50)
    client.shop.log.insert_many([{"line": n} for n in range(5)])
    client.shop.create_collection("few", viewOn="orders", pipeline=[{"$match": {"number": {"$lt": 3}}}])
    client.other.things.insert_one({"n": 1})


def taken(given, *arguments):
    sink = MemorySink()
    return Source(backup(*given, sink, BackupOrder(*arguments)), sink, kind="mongodb")


@pytest.fixture(scope="module")
def source(admin, given):
    """A dump of one moment that nothing happens to."""
    filled(admin)
    return taken(given, "logical")


@pytest.fixture
def target(other):
    with pymongo.MongoClient(other.address) as client:
        yield other
        for name in ("shop", "other"):
            client.drop_database(name)


def failed(assertions):
    return [assertion.name for assertion in assertions if assertion.outcome is not Outcome.PASSED]


def content(client, database="shop"):
    found = {}
    for told in client[database].list_collections():
        name = told["name"]
        raw = client[database].get_collection(name, codec_options=RAW)
        documents = sorted(document.raw for document in raw.find())
        indexes = {} if told["type"] == "view" else client[database][name].index_information()
        found[name] = (told["type"], told["options"], documents, indexes)
    return found


@contextmanager
def restored_into_scratch(given, source, folder, **fields):
    with (
        restoring.restore(*given, source, order(folder / "scratch", **fields)) as restored,
        pymongo.MongoClient(restored.address) as client,
    ):
        yield restored, client


@contextmanager
def restored_into(target, given, source, folder, **fields):
    """Restore into a named server that runs already, and empty it afterwards."""
    wanted = order(folder / "scratch", into=target.address, **fields)
    with pymongo.MongoClient(target.address) as client:
        try:
            with restoring.restore(*given, source, wanted) as restored:
                yield restored, client
        finally:
            for name in ("shop", "other"):
                client.drop_database(name)


def scratch_processes(folder):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append((int(path.parent.name), line))
    return found


def test_everything_is_there_again_in_scratch_and_gone_afterwards(given, source, admin, tmp_path):
    with restored_into_scratch(given, source, tmp_path) as (restored, client):
        assert content(client) == content(admin)
        assert content(client, "other") == content(admin, "other")
        assert restored.counts == source.taken.counts
        found = list(compare(given[0], source, restored))
        assert failed(found) == []
        assert {"documents of shop.orders", "indexes of shop.orders", "newest orders.at"} < {one.name for one in found}
        assert abs(restored.recovered_to - datetime.now(UTC)) < timedelta(minutes=10)
        password = restored.address.split(":")[2].split("@")[0]
        processes = scratch_processes(tmp_path)
        assert processes
        assert not [line for _, line in processes if password.encode() in line]
        stranger = restored.address.replace(password, "wrong")
        with pytest.raises(pymongo.errors.OperationFailure), pymongo.MongoClient(stranger) as nobody:
            nobody.shop.orders.find_one()
    assert scratch_processes(tmp_path) == []


def test_the_grant_suffices_for_dumps_and_slices(given, source, admin, server):
    admin.admin.command("createUser", "backup", pwd="b4ckup", roles=["backup"])
    uri = f"mongodb://backup:b4ckup@127.0.0.1:{server.port}/?authSource=admin&directConnection=true"
    spec = Spec(kind="mongodb", uri={"env": "URI"}, backup_uri={"env": "BACKUP_URI"})
    access = replace(given[1], resolver=SecretResolver({"URI": server.address, "BACKUP_URI": uri}))
    base = taken((spec, access), "logical")
    assert base.taken.counts == source.taken.counts
    one = taken((spec, access), "oplog", None, base.as_parent())
    assert one.taken.parents == (base.id,)
    assert failed(parse(one)) == []


def test_a_copy_that_was_spoilt_is_seen(given, source, tmp_path):
    with restored_into_scratch(given, source, tmp_path) as (restored, _):
        assert spoil(given[0], restored) == "dropped the collection shop.orders"
        found = failed(compare(given[0], source, restored))
    assert {"documents of shop.orders", "indexes of shop.orders", "documents of orders", "newest orders.at"} <= set(
        found
    )
    assert "aggregation over orders" in found


def test_what_documents_hold_is_compared_and_not_only_how_many_there_are(given, source, tmp_path):
    with restored_into_scratch(given, source, tmp_path) as (restored, client):
        client.shop.orders.update_one({"number": 7}, {"$set": {"at": datetime(2020, 1, 1, tzinfo=UTC)}})
        assert failed(compare(given[0], source, restored)) == ["checksum of shop.orders"]


def test_one_database_or_one_collection_comes_back_alone(given, source, target, tmp_path):
    wanted = order(tmp_path / "scratch", into=target.address, only=("shop.orders", "other"))
    with restoring.restore(*given, source, wanted) as restored, pymongo.MongoClient(target.address) as client:
        assert restored.counts == {"shop.orders": 300, "other.things": 1}
        assert client.shop.list_collection_names() == ["orders"]
        assert client.shop.orders.index_information()["by_number"]["unique"]
        assert failed(compare(given[0], source, restored)) == []
    with (
        pytest.raises(ConfigError, match="no nowhere"),
        restored_into(target, given, source, tmp_path / "other", only=("nowhere",)),
    ):
        pass


def test_a_place_that_has_one_of_the_databases_is_refused_untouched(given, source, target, tmp_path):
    with pymongo.MongoClient(target.address) as client:
        client.other.precious.insert_one({"n": 1})
        wanted = order(tmp_path / "scratch", into=target.address)
        with pytest.raises(ConfigError, match="has the database other"), restoring.restore(*given, source, wanted):
            pass
        assert client.list_database_names().count("shop") == 0


def test_a_server_that_is_older_than_the_backup_is_refused_by_name_before_anything_is_written(
    given, source, target, tmp_path
):
    newer = source.taken_of("99.0.1")
    said = r"the place is MongoDB \S+, which is older than the backup: that was taken of MongoDB 99\.0\.1"
    wanted = order(tmp_path / "scratch", into=target.address)
    with pytest.raises(ConfigError, match=said), restoring.restore(*given, newer, wanted):
        pass
    with pymongo.MongoClient(target.address) as client:
        assert not {"shop", "other"} & set(client.list_database_names())


def test_a_mongod_that_is_older_than_the_backup_is_refused_before_it_is_started(source, tmp_path, monkeypatch):
    mongod = tmp_path / "mongod"
    mongod.write_text("#!/bin/sh\necho 'db version v7.0.14'\n")
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert restoring.ready(source.taken_of("7.0.2").manifest) == str(mongod)
    with pytest.raises(ConfigError, match=r"MongoDB 7\.0\.14, which is older than the backup.* MongoDB 8\.0\.4"):
        restoring.ready(source.taken_of("8.0.4").manifest)


def test_the_live_server_is_refused_by_its_address_whatever_it_is_called(given, source, server, tmp_path):
    renamed = server.address.replace("127.0.0.1", "localhost")
    wanted = order(tmp_path / "scratch", into=renamed)
    with pytest.raises(ConfigError, match="live server"), restoring.restore(*given, source, wanted):
        pass


def altered(client):
    """Do everything to documents and collections that an oplog tells of."""
    orders = client.shop.orders
    orders.update_one({"number": 1}, {"$set": {"lines.1.n": 5, "new": {"deep": 1}}, "$unset": {"raw": 1}})
    orders.update_one({"number": 2}, {"$push": {"lines": {"sku": "c"}}, "$inc": {"counted": bson.Int64(2)}})
    orders.update_one({"number": 3}, {"$pull": {"lines": {"sku": "a"}}})
    orders.replace_one({"number": 4}, {"number": 4, "replaced": True, "at": datetime.now(UTC)})
    orders.delete_many({"number": {"$gte": 290}})
    orders.insert_many([{"number": 1000 + n, "at": datetime.now(UTC)} for n in range(20)])
    orders.update_many({"number": {"$gte": 1010}}, {"$inc": {"number": 1000}})
    with client.start_session() as session, session.start_transaction():
        orders.insert_one({"number": 5000}, session=session)
        client.other.things.update_one({"n": 1}, {"$set": {"paid": True}}, session=session)
    client.shop.create_collection("made")
    client.shop.made.insert_one({"a": 1})
    client.shop.made.create_index("a")
    client.shop.made.rename("renamed")
    client.shop.empty.drop()
    orders.drop_index("by_number")
    orders.create_index([("at", -1)], name="by_time")
    client.shop.create_collection("more", viewOn="orders", pipeline=[])


def test_the_oplog_leads_from_the_dump_to_the_newest_moment_exactly(given, admin, target, tmp_path):
    filled(admin)
    base = taken(given, "logical")
    altered(admin)
    one = taken(given, "oplog", None, base.as_parent())
    admin.shop.orders.delete_one({"number": 7})
    two = replace(taken(given, "oplog", one.as_parent(), base.as_parent()), id="20261126T040000Z-00000002")
    base.slices = (one, two)
    with restored_into(target, given, base, tmp_path, latest=True) as (restored, client):
        assert content(client) == content(admin)
        assert content(client, "other") == content(admin, "other")
        found = list(compare(given[0], base, restored))
        assert failed(found) == []
        assert {"checksum of shop.orders", "checksum of shop.renamed", "checksum of other.things"} <= {
            one.name for one in found
        }
        assert restored.details["replayed"] > 40
        client.shop.renamed.update_one({}, {"$set": {"a": 2}})
        assert failed(compare(given[0], base, restored)) == ["checksum of shop.renamed"]
    with restored_into(target, given, base, tmp_path / "dump") as (restored, client):
        assert client.shop.orders.count_documents({}) == 300
        assert restored.counts == base.taken.counts


def test_a_dropped_collection_is_back_as_it_was_the_moment_before(given, admin, target, tmp_path):
    filled(admin)
    base = taken(given, "logical")
    admin.shop.orders.insert_one({"number": 1000, "at": datetime.now(UTC)})
    admin.shop.orders.drop()
    admin.shop.orders.insert_one({"number": 1})
    base.slices = (taken(given, "oplog", None, base.as_parent()),)
    dropped = next(
        entry for entry in bson.decode_all(base.slices[0].sink.parts["dump/oplog.bson"]) if "drop" in entry["o"]
    )
    position = f"{dropped['ts'].time}:{dropped['ts'].inc - 1}"
    with restored_into(target, given, base, tmp_path, position=position) as (restored, client):
        assert client.shop.orders.count_documents({}) == 301
        assert "by_number" in client.shop.orders.index_information()
        assert failed(compare(given[0], base, restored)) == []
    before = dropped["wall"].replace(tzinfo=UTC) - timedelta(milliseconds=1)
    with restored_into(target, given, base, tmp_path / "time", until=before) as (restored, client):
        assert client.shop.orders.count_documents({}) >= 300
        assert restored.recovered_to <= before


def test_a_dump_without_a_transaction_is_led_to_its_one_moment(given, admin, target, tmp_path, monkeypatch):
    filled(admin)
    monkeypatch.setattr(dumping, "_SMALL", -1)
    one, seen = dumping._one, []

    def written_before(client, session, database, told, copy):
        if told["name"] == "orders":
            one(client, session, database, told, copy)
            admin.shop.orders.delete_many({"number": {"$lt": 10}})
            admin.shop.orders.update_one({"number": 20}, {"$set": {"seen": True}})
            seen.append(admin.shop.orders.insert_one({"number": 9999}))
        else:
            one(client, session, database, told, copy)

    monkeypatch.setattr(dumping, "_one", written_before)
    source = taken(given, "logical")
    assert seen
    assert source.taken.counts["shop.orders"] == 300
    with restored_into(target, given, source, tmp_path) as (restored, client):
        assert content(client) == content(admin)
        assert restored.counts["shop.orders"] == 291
        assert failed(compare(given[0], source, restored)) == []


def recovered_by_hand(source, target, folder):
    """Follow RECOVERY.md word for word, in an empty folder."""
    text = recovery(Taken.model_validate_json(source.taken.model_dump_json()), list(source.sink.parts))
    program = folder / "bin" / "mongorestore"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.mongorestore "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    root = str(Path(__file__).parents[2])
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "URI": target.address, "PYTHONPATH": root}
    follow(text, source.sink, folder, environment)


def test_the_commands_of_the_backup_itself_lead_to_the_same(given, admin, target, tmp_path, monkeypatch):
    filled(admin)
    monkeypatch.setattr(dumping, "_SMALL", -1)
    base = taken(given, "logical")
    admin.shop.orders.insert_one({"number": 1000})
    admin.shop.orders.delete_one({"number": 1})
    one = taken(given, "oplog", None, base.as_parent())
    recovered_by_hand(base, target, tmp_path / "base")
    with pymongo.MongoClient(target.address) as client:
        assert client.shop.orders.count_documents({}) == 300
        recovered_by_hand(one, target, tmp_path / "slice")
        assert content(client) == content(admin)


def test_a_moment_that_no_backup_reaches_is_refused_with_what_is_reached(given, source, target, tmp_path):
    shown = source.taken.consistent_as_of
    for until, told in ((shown - timedelta(hours=1), "this backup shows"), (shown + timedelta(hours=1), "reach")):
        with (
            pytest.raises(ConfigError, match=told),
            restored_into(target, given, source, tmp_path / told, until=until),
        ):
            pass


def test_a_missing_slice_is_a_gap_that_is_never_jumped(given, admin, target, tmp_path):
    filled(admin)
    base = taken(given, "logical")
    first = taken(given, "oplog", None, base.as_parent())
    admin.shop.orders.insert_one({"number": 1000})
    second = taken(given, "oplog", first.as_parent(), base.as_parent())
    admin.shop.orders.insert_one({"number": 1001})
    third = taken(given, "oplog", second.as_parent(), base.as_parent())
    base.slices = (first, third)
    with (
        pytest.raises(ConfigError, match="a slice of the oplog is missing"),
        restored_into(target, given, base, tmp_path, until=third.taken.consistent_as_of),
    ):
        pass
    with restored_into(target, given, base, tmp_path / "latest", latest=True) as (restored, client):
        assert client.shop.orders.count_documents({"number": {"$gte": 1000}}) == 0
        assert restored.details["backups"] == [base.id, first.id]


def test_a_slice_is_restored_by_the_dump_that_it_goes_on_from(given, admin, target, tmp_path):
    filled(admin)
    base = taken(given, "logical")
    admin.shop.orders.insert_one({"number": 1000})
    one = taken(given, "oplog", None, base.as_parent())
    assert failed(parse(one)) == []
    lost = replace(one, others={})
    with pytest.raises(Garbled, match="is not there"), restored_into(target, given, lost, tmp_path / "lost"):
        pass
    one.others[base.id] = base
    with restored_into(target, given, one, tmp_path) as (restored, client):
        assert client.shop.orders.count_documents({}) == 301
        assert failed(compare(given[0], one, restored)) == []


def damaged(source, part, change):
    sink = MemorySink()
    sink.parts = dict(source.sink.parts)
    sink.parts[part] = change(sink.parts[part])
    return replace(source, sink=sink)


ORDERS = "dump/shop/orders.bson"


@pytest.mark.parametrize(
    ("part", "change"),
    [
        (ORDERS, lambda data: data[:-100]),
        (ORDERS, lambda data: data[: int.from_bytes(data[:4], "little")]),
        (ORDERS, lambda data: b"\xff\xff\xff\x7f" + data[4:]),
        ("dump/shop/orders.metadata.json", lambda data: data[:-5]),
    ],
    ids=["cut", "one document left", "wrong length", "metadata cut"],
)
def test_a_damaged_dump_is_red_when_parsed_and_when_restored(given, source, target, tmp_path, part, change):
    broken = damaged(source, part, change)
    assert failed(parse(broken)) == [part]
    with pytest.raises(Garbled), restored_into(target, given, broken, tmp_path):
        pass


def test_a_sound_dump_parses(source):
    found = list(parse(source))
    assert failed(found) == []
    assert {one.name for one in found} == set(source.sink.parts)


def test_a_scratch_server_that_dies_in_the_middle_is_told_and_leaves_nothing(given, source, tmp_path, monkeypatch):
    load = restoring.load

    def dying(made, *rest):
        load(made, *rest)
        for number, _ in scratch_processes(tmp_path):
            os.kill(number, signal.SIGKILL)
        made.client.shop.orders.count_documents({})

    monkeypatch.setattr(restoring, "load", dying)
    monkeypatch.setattr(restoring, "_SCRATCH_SECONDS", 0.5)
    with pytest.raises((Unreachable, TransientError)), restored_into_scratch(given, source, tmp_path):
        pass
    assert scratch_processes(tmp_path) == []


def test_a_comparison_with_a_server_that_is_gone_is_an_error_and_no_failure(given, source, monkeypatch):
    restored = Restored(address=f"mongodb://127.0.0.1:{free_ports(1)[0]}/", counts=source.taken.counts)
    monkeypatch.setattr(verifying, "_SECONDS", 0.3)
    assert [one.outcome for one in compare(given[0], source, restored)] == [Outcome.ERRORED]


def cancelled_in_the_middle(given, source, folder):
    with restored_into_scratch(given, source, folder):
        raise KeyboardInterrupt


def test_what_is_cancelled_in_the_middle_leaves_no_server(given, source, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cancelled_in_the_middle(given, source, tmp_path)
    assert scratch_processes(tmp_path) == []


def test_without_a_server_to_restore_into_the_cure_is_told(given, source, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(NotOffered) as caught, restored_into_scratch(given, source, tmp_path):
        pass
    assert "install MongoDB" in caught.value.hint


def test_a_position_is_written_as_mongorestore_takes_it():
    assert read_position("1700000000:7") == bson.Timestamp(1700000000, 7)
    for wrong in ("", "1", "1:", "x:1", "99999999999:1", "1:4294967296"):
        with pytest.raises(ConfigError):
            read_position(wrong)
