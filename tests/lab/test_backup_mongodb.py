"""A real server of the MongoDB protocol is dumped in mongodump's layout, read back from the BSON, and compared."""

from datetime import UTC, datetime, timedelta

import bson
import pymongo
import pytest
from bson import json_util

from deployments.lab.servers import free_ports, running, secantus
from tasks.clients.secrets import SecretResolver
from tasks.core.backup import Order
from tasks.core.errors import Denied, TransientError, Unreachable
from tasks.core.system import Access
from tasks.systems.mongodb import backup as backing
from tasks.systems.mongodb.spec import Spec
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


def taken_from(uri, sink=None):
    sink = sink or MemorySink()
    access = Access(resolver=SecretResolver({"URI": uri}), now=lambda: datetime.now(UTC))
    return backing.backup(Spec(kind="mongodb", uri={"env": "URI"}), access, sink, Order("logical")), sink


def give_back(sink, client, database):
    """Make collections anew from the files alone, as mongorestore does."""
    folder = f"{backing.FOLDER}/{database}/"
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


def test_what_is_written_meanwhile_is_not_in_it(server, admin, monkeypatch):
    one, seen = backing._one, []

    def writing_first(*arguments):
        if not seen:
            seen.append(admin.shop.orders.insert_one({"number": 9999}).inserted_id)
        return one(*arguments)

    monkeypatch.setattr(backing, "_one", writing_first)
    taken, _ = taken_from(server.address)
    admin.shop.orders.delete_one({"_id": seen[0]})
    assert taken.counts["shop.orders"] == 500


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
