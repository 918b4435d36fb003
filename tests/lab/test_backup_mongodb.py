"""A real server of the MongoDB protocol is dumped in mongodump's layout, read back from the BSON, and compared."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import bson
import pymongo
import pytest
from bson import json_util

from deployments.lab.servers import free_ports, running, secantus
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order, Parent, Taken
from tasks.core.errors import ConfigError, Denied, Garbled, NotOffered, PermanentError, TransientError, Unreachable
from tasks.core.system import Access
from tasks.systems.mongodb import backup as backing
from tasks.systems.mongodb import dump as dumping
from tasks.systems.mongodb.layout import FOLDER, OPLOG
from tasks.systems.mongodb.oplog import read_position
from tasks.systems.mongodb.spec import Spec
from tasks.systems.mongodb.tool import _of_no_database
from tests.sinks import MemorySink

VALIDATOR = {"$jsonSchema": {"bsonType": "object", "required": ["number"]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(secantus.server(tmp_path_factory.mktemp("source"), free_ports(1)[0])) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def admin(server):
    with pymongo.MongoClient(server.address) as client:
        client.shop.create_collection("orders", validator=VALIDATOR)
        client.shop.orders.insert_many(
            [{"number": n, "at": datetime(2026, 1, 1, tzinfo=UTC), "raw": bytes(n)} for n in range(500)]
        )
        client.shop.orders.create_index([("number", 1)], unique=True, name="by_number")
        client.shop["Odd/näme 2"].insert_one({"x": bson.Decimal128("1.50"), "y": bson.Int64(7)})
        client.shop.create_collection("empty")
        client.shop.create_collection("few", viewOn="orders", pipeline=[{"$match": {"number": {"$lt": 3}}}])
        yield client


LOGICAL = Order("logical")


def taken_from(uri, sink=None, order=LOGICAL, plan=None):
    sink = sink or MemorySink()
    access = Access(resolver=SecretResolver({"URI": uri}), now=lambda: datetime.now(UTC))
    spec = Spec(kind="mongodb", uri={"env": "URI"}, backup={"to": ["store"], **(plan or {})})
    return backing.backup(spec, access, sink, order), sink


def give_back(sink, client, database):
    """Make collections anew from the files alone, as mongorestore does."""
    folder = f"{FOLDER}/{database}/"
    for name, data in sink.parts.items():
        if not (name.startswith(folder) and name.endswith(".metadata.json")):
            continue
        made = json_util.loads(data)
        client[database].create_collection(made["collectionName"], **made["options"])
        documents = bson.decode_all(sink.parts.get(name.replace(".metadata.json", ".bson"), b""))
        if documents:
            client[database][made["collectionName"]].insert_many(documents)
        for index in made["indexes"]:
            if index["name"] != "_id_":
                options = {key: value for key, value in index.items() if key not in {"key", "v", "ns"}}
                client[database][made["collectionName"]].create_index(list(index["key"].items()), **options)


def content(client, database):
    found = {}
    for told in client[database].list_collections():
        name = told["name"]
        if not name.startswith("system."):
            documents = sorted(bson.encode(document) for document in client[database][name].find())
            indexes = {} if told["type"] == "view" else client[database][name].index_information()
            found[name] = (told["type"], told["options"], documents, indexes)
    return found


def test_what_was_dumped_is_the_same_again_on_a_fresh_server(server, admin, tmp_path):
    taken, sink = taken_from(server.address)
    assert taken.counts["shop.orders"] == 500
    assert taken.counts["shop.empty"] == 0
    assert taken.counts["shop.Odd/näme 2"] == 1
    assert abs(taken.consistent_as_of - datetime.now(UTC)) < timedelta(minutes=1)
    assert taken.position["oplog"]
    assert "dump/shop/few.bson" not in sink.parts
    fresh = running(secantus.server(tmp_path / "scratch", free_ports(1)[0]))
    with fresh as scratch, pymongo.MongoClient(scratch.address) as restored:
        give_back(sink, restored, "shop")
        assert content(restored, "shop") == content(admin, "shop")


def test_a_server_that_hides_its_users_is_told_of(server):
    taken, sink = taken_from(server.address)
    assert taken.warnings == ("users and roles are not in it: the server does not show admin.system.users",)
    assert not [name for name in sink.parts if "system.users" in name]


def test_the_commands_name_every_part(server):
    taken, sink = taken_from(server.address)
    text = backing.recovery(taken, list(sink.parts))
    assert all(f"{{read:{name}}} > '{name}'" in text for name in sink.parts)
    assert "mongorestore" in text


@pytest.fixture
def writing_first(admin, monkeypatch):
    """Write a document between the snapshot and the first collection that is read."""
    one, seen = dumping._one, []

    def first_write(*arguments):
        if not seen:
            seen.append(admin.shop.orders.insert_one({"number": 9999}).inserted_id)
            admin.shop.orders.update_one({"number": 0}, {"$set": {"seen": True}})
        return one(*arguments)

    monkeypatch.setattr(dumping, "_one", first_write)
    yield seen
    admin.shop.orders.delete_one({"_id": seen[0]})
    admin.shop.orders.update_one({"number": 0}, {"$unset": {"seen": 1}})


@pytest.mark.usefixtures("writing_first")
def test_what_is_written_meanwhile_is_not_in_it(server):
    taken, sink = taken_from(server.address)
    assert taken.counts["shop.orders"] == 500
    assert taken.details["consistency"] == "transaction"
    assert OPLOG not in sink.parts


@pytest.mark.usefixtures("writing_first")
def test_what_no_transaction_holds_is_joined_to_one_moment_by_the_oplog(server, monkeypatch):
    monkeypatch.setattr(dumping, "_SMALL", -1)
    taken, sink = taken_from(server.address)
    assert taken.details["consistency"] == "oplog"
    assert taken.details["changed"]["shop.orders"] >= 1
    entries = bson.decode_all(sink.parts[OPLOG])
    assert [entry["o"]["number"] for entry in entries if entry["op"] == "i"][-1] == 9999
    assert entries[-1]["ts"] <= read_position(taken.position["oplog"])
    assert 'mongorestore --uri "$URI" --stopOnError --oplogReplay dump' in backing.recovery(taken, list(sink.parts))


def test_a_collection_that_is_renamed_while_it_is_read_ends_the_backup(server, admin, monkeypatch):
    monkeypatch.setattr(dumping, "_SMALL", -1)
    reading = dumping._all

    def renaming(*arguments):
        reading(*arguments)
        admin.shop.empty.rename("renamed")

    monkeypatch.setattr(dumping, "_all", renaming)
    try:
        with pytest.raises(TransientError, match="renamed while it was read"):
            taken_from(server.address)
    finally:
        admin.shop.renamed.rename("empty")


def test_a_transaction_that_lasts_too_long_goes_on_with_the_oplog(server, monkeypatch):
    monkeypatch.setattr(dumping, "_TRANSACTION_SECONDS", -1)
    taken, sink = taken_from(server.address)
    assert taken.details["consistency"] == "oplog"
    assert OPLOG in sink.parts
    assert taken.counts["shop.orders"] == 500


def test_a_transaction_that_the_server_ends_leaves_no_backup(server, admin, monkeypatch):
    taking = dumping._all

    def ended(client, session, copy):
        admin.admin.command({"killSessions": [session.session_id]})
        return taking(client, session, copy)

    monkeypatch.setattr(dumping, "_all", ended)
    with pytest.raises(TransientError, match="ended the snapshot"):
        taken_from(server.address)


@pytest.fixture
def mongodump(tmp_path, monkeypatch):
    """Put a mongodump on PATH: what MongoDB documents, as no registry has the real one."""

    def put(*lines):
        program = tmp_path / "mongodump"
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    put(f'echo "$@" >> {tmp_path}/called', f'PYTHONPATH={Path.cwd()} exec {sys.executable} -m tests.mongodump "$@"')
    put.called = tmp_path / "called"
    return put


def test_mongodump_reads_the_collections_where_the_plan_says_so(server, admin, mongodump, tmp_path):
    ours, _ = taken_from(server.address)
    taken, sink = taken_from(server.address, plan={"tool": "mongodump"})
    assert taken.counts == ours.counts
    assert taken.tools["mongodump"] == "100.9.4"
    assert taken.details["consistency"] == "oplog"
    called = mongodump.called.read_text(encoding="utf-8")
    assert "--db=shop --collection=Odd/näme 2 --out=-" in called
    assert urlsplit(server.address).password not in called
    with (
        running(secantus.server(tmp_path / "scratch", free_ports(1)[0])) as scratch,
        pymongo.MongoClient(scratch.address) as restored,
    ):
        give_back(sink, restored, "shop")
        assert content(restored, "shop") == content(admin, "shop")


VERSION = '[ "$1" = --version ] && echo "mongodump version: 1" && exit 0'


@pytest.mark.parametrize(
    ("lines", "error", "told"),
    [
        (["echo another"], ConfigError, "is not MongoDB's"),
        ([VERSION, "echo 'Failed: (Unauthorized) not authorized on shop' >&2; exit 1"], Denied, "refused"),
        ([VERSION, "kill -9 $$"], TransientError, "signal 9"),
        ([VERSION, "echo half a document, it seems"], Garbled, "no document where one should begin"),
        ([VERSION, r"printf '\060\000\000\000and then nothing'"], Garbled, "ends in the middle"),
    ],
    ids=["another program", "refused", "killed", "no BSON", "cut off"],
)
def test_a_mongodump_that_does_not_do_its_work_leaves_no_backup(server, mongodump, lines, error, told):
    mongodump(*lines)
    with pytest.raises(error, match=told):
        taken_from(server.address, plan={"tool": "mongodump"})


def test_a_mongodump_that_is_asked_for_and_not_there_is_told(server, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotOffered, match="mongodump is not on PATH"):
        taken_from(server.address, plan={"tool": "mongodump"})


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://u:p@h:1/shop", "mongodb://u:p@h:1/?authSource=shop"),
        ("mongodb://u:p@h/shop?authSource=admin", "mongodb://u:p@h/?authSource=admin"),
        ("mongodb://h/shop", "mongodb://h/"),
        ("mongodb://h/?tls=true", "mongodb://h/?tls=true&tlsCAFile=%2Fca.pem"),
    ],
)
def test_mongodump_gets_an_address_without_a_database(uri, expected):
    assert _of_no_database(uri, Path("/ca.pem")) == expected


def test_only_the_databases_of_the_plan_are_taken(server, admin):
    admin.other.things.insert_one({"n": 1})
    taken, _ = taken_from(server.address, plan={"databases": ["other"]})
    assert taken.counts == {"other.things": 1}
    with pytest.raises(ConfigError, match="no database nowhere"):
        taken_from(server.address, plan={"databases": ["nowhere"]})
    admin.drop_database("other")


def parent(identity, taken):
    return Parent(identity, Taken.model_validate_json(taken.model_dump_json()), (), lambda _name: iter(()))


def a_slice(uri, base, last=None):
    return taken_from(uri, order=Order("oplog", parent=last, base=base))


def numbers(sink, start):
    """Return what was inserted from a number on, in the order of the slice."""
    entries = bson.decode_all(sink.parts[OPLOG])
    found = [entry["o"].get("number") for entry in entries if entry["op"] == "i" and entry["ns"] == "shop.orders"]
    return [number for number in found if number >= start]


def test_slices_follow_each_other_without_a_gap_and_name_what_they_go_on_from(server, admin):
    base = parent("base", taken_from(server.address)[0])
    admin.shop.orders.insert_one({"number": 10_000})
    first, one = a_slice(server.address, base)
    assert first.parents == ("base",)
    assert numbers(one, 10_000) == [10_000]
    admin.shop.orders.insert_one({"number": 10_001})
    second, two = a_slice(server.address, base, parent("one", first))
    assert second.parents == ("base", "one")
    assert second.position["from"] == first.position["oplog"]
    assert numbers(two, 10_001) == [10_001]
    assert second.counts["entries"] == len(bson.decode_all(two.parts[OPLOG]))
    assert abs(second.consistent_as_of - datetime.now(UTC)) < timedelta(minutes=1)
    text = backing.recovery(second, list(two.parts))
    assert "`base`, `one`" in text
    assert "--oplogReplay dump" in text
    newer = parent("newer", taken_from(server.address)[0])
    admin.shop.orders.insert_one({"number": 10_002})
    joining, three = a_slice(server.address, newer, parent("two", second))
    assert joining.parents == ("newer",)
    assert joining.position["from"] == second.position["oplog"]
    assert numbers(three, 10_002) == [10_002]
    admin.shop.orders.delete_many({"number": {"$gte": 10_000}})


def test_a_slice_without_a_dump_is_refused_with_the_cure(server):
    with pytest.raises(ConfigError) as caught:
        a_slice(server.address, None)
    assert "logical" in caught.value.hint


def moved(taken, position):
    return taken.model_copy(update={"position": taken.position | position})


def test_an_oplog_that_rolled_over_is_a_gap_that_is_told(server):
    taken, _ = taken_from(server.address)
    old = {"from": "1000000000:1", "oplog": "1000000000:1"}
    with pytest.raises(PermanentError, match="no longer holds 2001-09-09 01:46:40 UTC"):
        a_slice(server.address, parent("base", moved(taken, old)))
    first, _ = a_slice(server.address, parent("base", taken))
    last = moved(first, old).model_copy(update={"parents": ("older",)})
    late, _ = a_slice(server.address, parent("base", taken), parent("old", last))
    assert late.parents == ("base",)
    assert "2001-09-09" in late.warnings[0]


def test_a_server_that_was_set_back_gives_no_slice(server):
    taken, _ = taken_from(server.address)
    ahead = {"from": "4000000000:1", "oplog": "4000000000:1"}
    with pytest.raises(PermanentError, match="set back"):
        a_slice(server.address, parent("base", moved(taken, ahead)))
    other = taken.model_copy(update={"details": taken.details | {"set": "other"}})
    with pytest.raises(ConfigError, match="another replica set"):
        a_slice(server.address, parent("base", other))


def test_a_user_who_may_not_read_gets_no_backup(server, admin):
    admin.admin.command("createUser", "nobody", pwd="n0body", roles=[{"role": "read", "db": "other"}])
    uri = f"mongodb://nobody:n0body@127.0.0.1:{server.port}/?authSource=admin&directConnection=true"
    with pytest.raises(Denied):
        taken_from(uri)


def test_a_store_that_fails_ends_the_backup(server):
    sink = MemorySink(fails_after=5000)
    with pytest.raises(TransientError, match="the store is full"):
        taken_from(server.address, sink)


def test_a_server_that_is_not_there_is_unreachable(monkeypatch):
    monkeypatch.setattr(backing, "_SECONDS", 0.2)
    with pytest.raises(Unreachable):
        taken_from(f"mongodb://it:s3cret@127.0.0.1:{free_ports(1)[0]}/?directConnection=true")
