"""Names in a vault, and how what must not fail for a moment's trouble is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tasks.clients.blobs import BlobStore
from tasks.core.errors import NotOffered, TransientError

MANIFEST = "manifest.json"
RECOVERY = "RECOVERY.md"
PIN = "pin.json"
REMOVING = "removing.json"
FORGOTTEN = "forgotten.json"
MARKS = frozenset({MANIFEST, RECOVERY, PIN, REMOVING, FORGOTTEN})
VERIFIED = "verified/"
HELD = "held/"
_TRIES = 3

T = TypeVar("T")


def is_mark(name: str) -> bool:
    """Return whether a name below a backup's folder is one that no manifest lists."""
    return name in MARKS or name.startswith((VERIFIED, HELD))


def patiently(call: Callable[[], T]) -> T:
    """Call, and again where trying again may help, three times in all; a store's own time-outs lie between."""
    for _ in range(_TRIES - 1):
        try:
            return call()
        except TransientError:
            continue
    return call()


def put_first(store: BlobStore, key: str, data: bytes) -> bool:
    """Write a blob where there is none, and say whether; a store without conditional writes is asked before."""
    try:
        return patiently(lambda: store.put_if_absent(key, data))
    except NotOffered:
        if patiently(lambda: store.get(key)) is not None:
            return False
        patiently(lambda: store.put(key, data))
        return True
