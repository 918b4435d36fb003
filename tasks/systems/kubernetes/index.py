"""What lies beside the manifests unencrypted: a fingerprint of each object, by which the next backup tells the changes.

Whoever takes backups has no key, so it cannot read the last one. Fingerprints are keyed with a random salt that is
handed on from backup to backup. As the salt lies beside them, a value that can be guessed can be tried: of a Secret
there is no fingerprint of the content at all, but the version that the server gives it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.clients.cluster import Object
from tasks.core.backup import Parent
from tasks.core.errors import Garbled, WatchkeeperError
from tasks.systems.kubernetes.discovery import Resource

PART = "index.json"
_FORMAT = 1
_MOST_NAMES = 100
_LARGEST = 256 << 20


class Index:
    """The fingerprints of one backup.

    Args:
        salt: Of the chain, as hexadecimal digits; a new one by default.
    """

    def __init__(self, salt: str = "") -> None:
        self.salt = salt or secrets.token_hex(16)
        self.objects: dict[str, str] = {}

    def add(self, resource: Resource, item: Object, document: bytes) -> None:
        """Take an object.

        Args:
            resource: What it is.
            item: As the API shows it.
            document: As it is kept.
        """
        meta = item["metadata"]
        if resource.plural == "secrets":
            mark = f"{meta.get('uid', '')}:{meta.get('resourceVersion', '')}"
        else:
            mark = hashlib.blake2b(document, key=bytes.fromhex(self.salt), digest_size=16).hexdigest()
        self.objects[f"{resource.qualified}/{meta['name']}"] = mark

    def forget(self, resource: Resource) -> None:
        """Drop the objects of a resource, which is read anew."""
        start = f"{resource.qualified}/"
        self.objects = {name: mark for name, mark in self.objects.items() if not name.startswith(start)}

    def to_bytes(self) -> bytes:
        """Return it as a part."""
        whole = {"format": _FORMAT, "salt": self.salt, "objects": self.objects}
        return f"{json.dumps(whole, indent=0, sort_keys=True)}\n".encode()


def read_index(chunks: Iterator[bytes]) -> Index:
    """Read the index of an earlier backup.

    Raises:
        Garbled: It is damaged, or none.
    """
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > _LARGEST:
            raise Garbled("it is too long", operation=f"read {PART}")
    try:
        found = json.loads(data)
        bytes.fromhex(found["salt"])
        index = Index(found["salt"])
        index.objects = {str(name): str(mark) for name, mark in found["objects"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Garbled("it is no index", operation=f"read {PART}") from None
    return index


def index_of(parent: Parent | None) -> tuple[Index | None, str]:
    """Return the index of the backup before, or None and why there is none."""
    if parent is None:
        return None, ""
    try:
        return read_index(parent.read(PART)), ""
    except WatchkeeperError as error:
        return None, f"no changes are told: the index of {parent.id} cannot be read: {error.message}"


def changes(since: str, before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, Any]:
    """Tell what was added, changed and removed, by name; of many only the first, and how many there are."""
    found = {
        "added": sorted(now.keys() - before.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        "removed": sorted(before.keys() - now.keys()),
    }
    counts = {what: len(names) for what, names in found.items()}
    return {"since": since, "counts": counts} | {what: names[:_MOST_NAMES] for what, names in found.items()}
