"""`python -m tests.bench.backing WHAT`: take one backup, or scan, in a process of its own.

What it is of comes as JSON on standard input. Prints its seconds, the most that it had resident, and the bytes that it
stored.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import pymongo

from tasks.clients.blobs import open_store
from tasks.clients.secrets import SecretResolver
from tasks.core import restore
from tasks.core.backup import Order
from tasks.core.system import Access
from tasks.systems import kinds
from tasks.vault.keys import Identity, recipients
from tasks.vault.source import VaultSource
from tasks.vault.streams import Recipe
from tasks.vault.vault import Vault


def main(what: str) -> None:
    """Do it and print the figures as JSON."""
    print(json.dumps(_DOINGS[what](json.load(sys.stdin))))


def _backup(given: dict[str, Any]) -> dict[str, float]:
    """Back a system up into the store, encrypted, and remove it again outside of the time."""
    spec = kinds()[given["kind"]].spec(kind=given["kind"], **given["spec"])
    taking = importlib.import_module(f"tasks.systems.{given['kind']}.backup")
    store = open_store(given["store"]["location"], **given["store"]["keys"])
    vault = Vault("bench", store, Recipe(recipients([given["recipient"]])))
    access = Access(resolver=SecretResolver(given["secrets"]), now=lambda: datetime.now(UTC))
    store.list("nothing/")
    began = perf_counter()
    with vault.begin("bench", "system", given["kind"]) as sink:
        taken = taking.backup(spec, access, sink, Order(given["method"]))
        manifest = sink.commit(taken, taking.recovery)
    seconds = perf_counter() - began
    stored = sum(part.stored_bytes for part in manifest.parts)
    vault.remove(manifest.folder)
    return {"seconds": seconds, "megabytes": _megabytes(), "stored": stored}


def _restore(given: dict[str, Any]) -> dict[str, float]:
    """Restore a backup into an empty database, or to a moment into scratch; its end is not in the time."""
    restoring = importlib.import_module("tasks.systems.postgres.restore")
    vault = Vault("bench", open_store(given["store"]["location"], **given["store"]["keys"]), Recipe(()))
    source = VaultSource.of(vault, given["folder"], Identity(given["identity"]))
    spec = kinds()["postgres"].spec(kind="postgres", dsn={"env": "NOWHERE"})
    access = Access(resolver=SecretResolver({}), now=lambda: datetime.now(UTC))
    until = datetime.fromisoformat(given["until"]) if given["until"] else None
    with tempfile.TemporaryDirectory(dir=given["scratch"]) as folder:
        order = restore.Order(
            folder=Path(folder), into=given["into"], until=until, jobs=given["jobs"], phase=lambda _phase: nullcontext()
        )
        began = perf_counter()
        with restoring.restore(spec, access, source, order):
            seconds = perf_counter() - began
    return {"seconds": seconds, "megabytes": _megabytes()}


def _scan(given: dict[str, Any]) -> dict[str, float]:
    """Read every batch of a MongoDB database, and do nothing with it."""
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(given["address"]) as client:
        client.admin.command("ping")
        began = perf_counter()
        size = 0
        for name in client[given["database"]].list_collection_names():
            batches: Any = client[given["database"]][name].find_raw_batches()
            size += sum(len(batch) for batch in batches)
        return {"seconds": perf_counter() - began, "megabytes": _megabytes(), "stored": size}


def _megabytes() -> float:
    """Return the most that this process ever had resident; `getrusage` would begin with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


_DOINGS: dict[str, Callable[[Any], dict[str, float]]] = {"backup": _backup, "restore": _restore, "scan": _scan}


if __name__ == "__main__":
    main(sys.argv[1])
