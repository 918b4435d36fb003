"""How quickly a million backups are judged by their retention, and ten thousand are listed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time

from tasks.clients.blobs import BlobStore
from tasks.core.manifest import new_id
from tasks.core.retention import Copy, Policy, Span, plan
from tasks.vault.vault import Vault

MILLION = 1_000_000
LISTED = 10_000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_POLICY = Policy(
    last=10,
    hourly=48,
    daily=30,
    weekly=-1,
    monthly=-1,
    yearly=-1,
    within=Span.parse("7d"),
    within_daily=Span.parse("1y"),
)
_SYSTEMS = 20
_FILES = {"manifest.json": b"{}", "RECOVERY.md": b"#", "data/databases/shop.dump.zst.age": b"age"}


def retention_seconds(count: int) -> float:
    """Return the processor's seconds for judging so many backups of a few systems, one every ten minutes."""
    copies = [
        Copy(f"{number}", _NOW - timedelta(minutes=10 * (number // _SYSTEMS)), group=f"system-{number % _SYSTEMS}")
        for number in range(count)
    ]
    began = process_time()
    planned = plan(copies, _POLICY, now=_NOW)
    took = process_time() - began
    assert len(planned.keep) + len(planned.remove) == count
    assert len(planned.keep) >= _SYSTEMS
    return took


def fill(store: BlobStore) -> None:
    """Write the files of so many backups."""
    keys = [
        (f"bench/system-{number % _SYSTEMS}/{new_id(_NOW - timedelta(hours=number), f'{number:08x}')}/{name}", data)
        for number in range(LISTED)
        for name, data in _FILES.items()
    ]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda item: store.put(*item), keys):
            pass


def listing_seconds(store: BlobStore) -> float:
    """Return how long it takes to list them all, as `watchkeeper backups list --json` does."""
    vault = Vault("bench", store)
    began = perf_counter()
    entries = vault.entries()
    text = json.dumps([[entry.folder, entry.time.isoformat(), entry.state, entry.stored_bytes] for entry in entries])
    took = perf_counter() - began
    assert len(entries) == LISTED
    assert text
    return took
