"""Entries as a real mongod writes them, by hand from its documented forms, are replayed on a real server."""

from datetime import UTC, datetime, timedelta

import bson
import pymongo
import pytest
from bson import Binary, Int64, Timestamp

from tasks.core.errors import Garbled
from tasks.systems.mongodb import replay as replaying
from tasks.systems.mongodb.chain import Limit
from tasks.systems.mongodb.layout import raw
from tasks.systems.mongodb.made import Made
from tasks.systems.mongodb.replay import Replay

WALL = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
LSID = {"id": Binary(bytes(16), 4), "uid": Binary(bytes(32), 0)}


@pytest.fixture
def client(mongodb_server):
    with pymongo.MongoClient(mongodb_server.address) as client:
        yield client
        for name in ("replayed", "beside"):
            client.drop_database(name)


def oplog(*entries):
    """Number the entries, a second from one to the next."""
    told = []
    for number, entry in enumerate(entries):
        wall = WALL + timedelta(seconds=number)
        told.append(bson.encode({"ts": Timestamp(int(wall.timestamp()), 1), "v": Int64(2), "wall": wall, **entry}))
    return b"".join(told)


def insert(identity, space="replayed.a", **fields):
    return {"op": "i", "ns": space, "o": {"_id": identity, **fields}, "o2": {"_id": identity}}


def update(identity, content, space="replayed.a"):
    return {"op": "u", "ns": space, "o": content, "o2": {"_id": identity}}


def remove(identity):
    return {"op": "d", "ns": "replayed.a", "o": {"_id": identity}}


def command(content, database="replayed", **fields):
    return {"op": "c", "ns": f"{database}.$cmd", "o": content, **fields}


def in_transaction(operations, number=1, **fields):
    return command({"applyOps": operations, **fields}, "admin", lsid=LSID, txnNumber=Int64(number))


def replayed(client, *entries, limit=Limit(), only=(), after=None):  # noqa: B008 - frozen
    made = Made(client, only)
    replay = Replay(made, after)
    replay.run([oplog(*entries)], limit)
    made.finish()
    return replay, made


def documents(client, name="a"):
    return list(client.replayed[name].find(sort=[("_id", 1)]))


def test_documents_come_change_and_go(client):
    entries = [
        command({"create": "a", "idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}),
        insert(1, n=1, deep={"list": [1, 2, 3]}),
        insert(2, n=2),
        insert(3, n=3),
        update(1, {"$v": 2, "diff": {"u": {"n": 5}, "sdeep": {"slist": {"a": True, "l": 2, "u0": 9}}}}),
        update(2, {"_id": 2, "whole": True}),
        remove(3),
        update(3, {"$v": 2, "diff": {"u": {"n": 7}}}),
        {"op": "n", "ns": "", "o": {"msg": "periodic noop"}},
    ]
    replay, made = replayed(client, *entries)
    expected = [{"_id": 1, "n": 5, "deep": {"list": [9, 2]}}, {"_id": 2, "whole": True}]
    assert documents(client) == expected
    assert made.counts == {"replayed.a": 2}
    assert replay.newest == WALL + timedelta(seconds=7)
    again = Replay(made)
    again.run([oplog(*entries)], Limit())
    assert documents(client) == expected
    assert made.counts == {"replayed.a": 2}


def test_a_transaction_counts_once_it_is_committed_however_many_entries_it_has(client):
    _, made = replayed(
        client,
        in_transaction([insert(1)], partialTxn=True),
        in_transaction([insert(2), insert(3)]),
        in_transaction([insert(4)], 2, prepare=True),
        in_transaction([insert(5)], 3, prepare=True),
        command({"commitTransaction": 1}, "admin", lsid=LSID, txnNumber=Int64(2)),
        command({"abortTransaction": 1}, "admin", lsid=LSID, txnNumber=Int64(3)),
        in_transaction([insert(6)], 4, partialTxn=True),
        command({"applyOps": [insert(7), command({"applyOps": [insert(8)]})]}, "admin"),
    )
    assert [document["_id"] for document in documents(client)] == [1, 2, 3, 4, 7, 8]
    assert made.counts == {"replayed.a": 6}


def test_indexes_are_made_as_they_were_at_the_end(client):
    by_n = {"v": 2, "key": {"n": 1}, "name": "by_n", "unique": True}
    by_m = {"v": 2, "key": {"m": 1}, "name": "by_m"}
    expiring = {"v": 2, "key": {"at": 1}, "name": "expiring", "expireAfterSeconds": 60}
    _, made = replayed(
        client,
        command({"create": "a"}),
        command({"createIndexes": "a", **by_n}),
        command({"startIndexBuild": "a", "indexBuildUUID": Binary(bytes(16), 4), "indexes": [by_m]}),
        command({"commitIndexBuild": "a", "indexBuildUUID": Binary(bytes(16), 4), "indexes": [by_m]}),
        command({"createIndexes": "a", **expiring}),
        command({"collMod": "a", "index": {"name": "expiring", "expireAfterSeconds": Int64(90)}}),
        insert(1, n=1),
        insert(2, n=2),
        # Two values change places: with a unique index in between there would be a duplicate.
        update(1, {"$v": 2, "diff": {"u": {"n": 2}}}),
        update(2, {"$v": 2, "diff": {"u": {"n": 1}}}),
        command({"dropIndexes": "a", "index": "by_m"}),
    )
    found = client.replayed.a.index_information()
    assert set(found) == {"_id_", "by_n", "expiring"}
    assert found["by_n"]["unique"]
    assert found["expiring"]["expireAfterSeconds"] == 90
    assert made.expiring() == ["replayed.a"]
    assert made.index_counts() == {"replayed.a": 3}


def test_collections_are_made_renamed_emptied_and_dropped(client):
    _, made = replayed(
        client,
        command({"create": "a"}),
        insert(1),
        command({"renameCollection": "replayed.a", "to": "replayed.b", "stayTemp": False, "dropTarget": False}),
        command({"create": "gone"}),
        insert(1, "replayed.gone"),
        command({"drop": "gone"}),
        command({"create": "capped", "capped": True, "size": 10_000}),
        insert(1, "replayed.capped"),
        command({"create": "a", "validator": {"n": {"$exists": True}}}),
        command({"collMod": "a", "validator": {}, "validationLevel": "off"}),
        insert(2, "beside.x"),
        command({"dropDatabase": 1}, "beside"),
        command({"create": "seen", "viewOn": "b", "pipeline": []}),
    )
    assert made.counts == {"replayed.b": 1, "replayed.capped": 1, "replayed.a": 0}
    assert set(client.replayed.list_collection_names()) >= {"a", "b", "capped", "seen"}
    assert "gone" not in client.replayed.list_collection_names()
    assert client.replayed.seen.count_documents({}) == 1
    assert client.beside.list_collection_names() == []


def test_a_time_series_is_made_and_its_buckets_are_filled(client):
    series = {"timeField": "at", "metaField": "sensor", "granularity": "seconds"}
    bucket = {"control": {"version": 1}, "meta": 1, "data": {"at": {"0": WALL}}}
    _, made = replayed(
        client,
        command({"create": "system.buckets.t", "validator": {"x": 1}, "clusteredIndex": True, "timeseries": series}),
        insert("replayed.t", "replayed.system.views", viewOn="system.buckets.t", pipeline=[]),
        insert(1, "replayed.system.buckets.t", **bucket),
        command({"createIndexes": "t", "v": 2, "key": {"sensor": 1}, "name": "by_sensor"}),
    )
    assert made.counts == {"replayed.system.buckets.t": 1}
    assert made.index_counts() == {}
    assert made.warnings == []
    assert "by_sensor" in client.replayed.t.index_information()
    assert client.replayed.get_collection("t").options()["timeseries"]["timeField"] == "at"


def test_nothing_after_the_limit_and_nothing_of_others_is_replayed(client):
    entries = [
        insert(1),
        insert(2),
        insert(9, "beside.x"),
        insert(9, "config.x"),
        insert(9, "admin.system.users"),
        insert(3),
    ]
    _, made = replayed(client, *entries, only=("replayed.a",), limit=Limit(until=WALL + timedelta(seconds=4)))
    assert made.counts == {"replayed.a": 2}
    assert client.beside.list_collection_names() == []
    position = Timestamp(int(WALL.timestamp()), 1)
    replay, made = replayed(client, insert(5), insert(6), limit=Limit(position=position))
    assert (replay.applied, made.counts) == (1, {"replayed.a": 1})


def test_commands_that_a_dump_has_seen_are_not_carried_out_again(client):
    client.replayed.b.insert_one({"_id": 1})
    after = Timestamp(int(WALL.timestamp()) + 1, 1)
    replayed(client, command({"drop": "b"}), command({"drop": "b"}), insert(2, "replayed.b"), after=after)
    assert [document["_id"] for document in documents(client, "b")] == [1, 2]


def test_what_is_not_replayed_is_told(client):
    _, made = replayed(
        client,
        command({"convertToCapped": "a", "size": 10}),
        insert("replayed.v", "replayed.system.views", viewOn="a", pipeline=[]),
    )
    assert made.warnings[0] == "convertToCapped of replayed.a was not replayed"
    assert "views" in made.warnings[1]


def test_dates_that_python_has_none_for_stay_what_they_are():
    # The lab's server takes no such date, so this looks at what would be written.
    far = {"far": bson.datetime_ms.DatetimeMS(10**15), "number": Int64(5)}
    before, entry = raw(bson.encode({"_id": 1, **far, "n": 1})), raw(bson.encode(insert(2, **far)))
    change = raw(bson.encode(update(1, {"$v": 2, "diff": {"u": {"n": 2}}})))
    assert bson.encode(replaying._after(before, change)) == bson.encode({"_id": 1, **far, "n": 2})
    assert replaying._after(None, entry).raw == bson.encode({"_id": 2, **far})
    assert entry["o"]["_id"] == 2


def test_a_form_that_nobody_knows_ends_the_restore(client):
    with pytest.raises(Garbled, match="unknown form"):
        replayed(client, insert(1), update(1, {"$v": 3, "novel": {}}))
