"""Plays mongorestore for tests, as far as it is documented: `--uri`, `--stopOnError`, `--oplogReplay`, a folder.

It reads the folder's layout itself, with nothing of ours but the replay of the oplog, so that RECOVERY.md is held to
what mongorestore expects to find.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import unquote

import bson
import pymongo
from bson import json_util

from tasks.systems.mongodb.chain import Limit
from tasks.systems.mongodb.made import Made
from tasks.systems.mongodb.replay import Replay


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri", required=True)
    parser.add_argument("--stopOnError", action="store_true")
    parser.add_argument("--oplogReplay", action="store_true")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    oplog = given.folder / "oplog.bson"
    assert oplog.exists() == given.oplogReplay, "mongorestore refuses an oplog that is not there, and leaves one unread"
    with pymongo.MongoClient(given.uri) as client:
        for path in sorted(given.folder.glob("*/*.metadata.json")):
            restore(client[unquote(path.parent.name)], path)
        if given.oplogReplay:
            Replay(Made(client)).run([oplog.read_bytes()], Limit())


def restore(database: pymongo.database.Database, path: Path) -> None:
    made = json_util.loads(path.read_text(encoding="utf-8"))
    name = made["collectionName"]
    assert unquote(path.name.removesuffix(".metadata.json")) == name
    database.create_collection(name, **made["options"])
    data = path.with_name(path.name.replace(".metadata.json", ".bson"))
    assert data.exists() == (made["type"] != "view")
    if data.exists() and (documents := bson.decode_all(data.read_bytes())):
        database[name].insert_many(documents, bypass_document_validation=True)
    for index in made["indexes"]:
        if index["name"] != "_id_":
            options = {key: value for key, value in index.items() if key not in {"key", "v", "ns"}}
            database[name].create_index(list(index["key"].items()), **options)


if __name__ == "__main__":
    main()
