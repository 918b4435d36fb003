"""Plays mongodump for tests, as far as it is documented: `--config`, `--db`, `--collection`, `--out=-`, `--version`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pymongo
import yaml


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--db")
    parser.add_argument("--collection")
    parser.add_argument("--out")
    given = parser.parse_args()
    if given.version:
        sys.stdout.write("mongodump version: 100.9.4\ngit version: none\n")
        return
    assert given.out == "-", "one collection goes to standard output"
    uri = yaml.safe_load(given.config.read_text(encoding="utf-8"))["uri"]
    if pymongo.uri_parser.parse_uri(uri)["database"]:
        sys.exit("Failed: cannot specify different database in connection URI and command-line option")
    sys.stderr.write(f"writing {given.db}.{given.collection} to -\n")
    try:
        with pymongo.MongoClient(uri) as client:
            for batch in client[given.db][given.collection].find_raw_batches():
                sys.stdout.buffer.write(batch)
    except pymongo.errors.OperationFailure as error:
        sys.exit(f"Failed: error connecting to db server: {error}")


if __name__ == "__main__":
    main()
