"""From vault to vault: bytes as they are stored, held against their hashes on the way."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.manifest import Manifest, Part
from tasks.vault.layout import MANIFEST, RECOVERY
from tasks.vault.streams import checked
from tasks.vault.writing import discard, write_commit

if TYPE_CHECKING:
    from tasks.vault.vault import Vault


def copy_backup(source: Vault, manifest: Manifest, target: Vault) -> Manifest:
    """Copy a backup; where it is in the target already, nothing is done.

    Raises:
        ConfigError: It is not encrypted, and the target takes only what is; or the target has another of its name.
        Garbled: It is damaged in the source.
    """
    if target.encrypted and not manifest.recipients:
        raise ConfigError(f"vault {target.name} takes only what is encrypted", hint="say encryption: none in its spec")
    target.keeping.require_lock()
    if target.store.get(f"{manifest.folder}/{MANIFEST}") is not None:
        there = target.get(manifest.folder)
        if there != manifest:
            raise ConfigError(f"vault {target.name} has another backup {manifest.folder}")
        return there
    try:
        for part in manifest.parts:
            _copy_part(source, target, manifest, part)
        write_commit(target.keeping, manifest, _page(source, manifest))
    except BaseException:
        with suppress(WatchkeeperError):
            discard(target.keeping, manifest.folder)
        raise
    return manifest


def _page(source: Vault, manifest: Manifest) -> bytes:
    page = source.store.get(f"{manifest.folder}/{RECOVERY}") or b""
    if hashlib.sha256(page).hexdigest() != manifest.recovery_sha256:
        raise Garbled("RECOVERY.md is missing or was changed", operation=f"copy {manifest.folder}")
    return page


def _copy_part(source: Vault, target: Vault, manifest: Manifest, part: Part) -> None:
    key = f"{manifest.folder}/{part.path}"
    with target.keeping.writing(key) as writer:
        for data in checked(source.store, key, part):
            target.recipe.pace.take(len(data))
            writer.write(data)
    size = target.store.sizes(key).get(key)
    if size != part.stored_bytes:
        raise Garbled(f"the target has {size} of {part.stored_bytes} bytes", operation=f"copy {part.name}")
