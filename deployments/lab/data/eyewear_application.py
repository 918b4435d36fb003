"""EyewearML's check of a restored MongoDB, which DATABASE_URL names: what a document refers to is there."""

import os
import sys
from typing import Any

import pymongo
from pymongo.database import Database


def main() -> int:
    """Return 0 where all is there."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(os.environ["DATABASE_URL"], serverSelectionTimeoutMS=10_000) as client:
        shop: Database[dict[str, Any]] = client["eyewear"]
        users, frames = set(shop.users.distinct("_id")), set(shop.frames.distinct("_id"))
        lost = [one for one in shop.try_ons.find() if one["user"] not in users or one["frame"] not in frames]
    print(f"{len(users)} users, {len(frames)} frames, {len(lost)} try-ons of neither")
    return 1 if lost or not users or not frames else 0


if __name__ == "__main__":
    sys.exit(main())
