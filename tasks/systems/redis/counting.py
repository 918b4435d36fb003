"""How many keys a server has."""

from __future__ import annotations

import re
from typing import Any

import redis


def keys_by_database(client: redis.Redis) -> dict[str, int]:
    """Return how many keys each database has, of those that have any: `keys/db0`."""
    found: dict[str, Any] = client.info("keyspace")
    return {f"keys/{name}": int(of["keys"]) for name, of in found.items() if re.fullmatch(r"db\d+", name)}
