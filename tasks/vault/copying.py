"""From vault to vault: bytes as they are stored, held against their hashes on the way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tasks.clients.blobs import BlobStore
from tasks.core.errors import ConfigError, Denied, Garbled, TransientError, WatchkeeperError
from tasks.core.manifest import Manifest, Part
from tasks.vault.layout import MANIFEST, RECOVERY, VERIFIED, patiently
from tasks.vault.records import held
from tasks.vault.streams import checked
from tasks.vault.writing import Meter, discard, write_commit

if TYPE_CHECKING:
    from tasks.vault.vault import Vault


class Place(NamedTuple):
    """Where the files of one backup lie: in a vault that is its folder there, elsewhere it may be any."""

    store: BlobStore
    folder: str

    def key(self, name: str) -> str:
        """Return the key of one of its files."""
        return f"{self.folder}/{name}" if self.folder else name


def copy_with_parents(
    source: Vault, folder: str, target: Vault, tell: Callable[[Manifest], None] = lambda _manifest: None
) -> list[Manifest]:
    """Copy a backup and all that it is made from, oldest first; what is in the target already is passed over.

    The backups are held while they are read, where the source lets us write.

    Args:
        source: Where it is.
        folder: `platform/system/id`.
        target: Where it goes.
        tell: Told each one that is in the target.

    Raises:
        ConfigError: There is no such backup, or one that it is made from is missing.
        WatchkeeperError: As `copy_backup` says.
    """
    wanted = source.get(folder)
    start = f"{wanted.platform}/{wanted.system}"
    chain = [*(source.get(f"{start}/{parent}") for parent in wanted.parents), wanted]
    done = []
    with _held_where_possible(source, [manifest.folder for manifest in chain], target.name):
        for manifest in chain:
            done.append(copy_backup(source, manifest, target))
            tell(manifest)
    return done


def copy_backup(source: Vault, manifest: Manifest, target: Vault) -> Manifest:
    """Copy a backup; where it is in the target already, nothing is done. What was verified of it is copied as well.

    A copy that was cut off by what may pass, or killed, goes on where it was: parts that are in the target and have the
    right hash are not copied again.

    Raises:
        ConfigError: It is not encrypted, and the target takes only what is; or the target has another of its name.
        Garbled: It is damaged in the source; nothing of it is in the target then.
    """
    copied = place_copy(Place(source.store, manifest.folder), manifest, target)
    for key in source.store.list(f"{manifest.folder}/{VERIFIED}"):
        record = source.store.get(key)
        if record is not None and target.store.get(key) is None:
            target.store.put(key, record)
    return copied


def place_copy(place: Place, manifest: Manifest, target: Vault) -> Manifest:
    """Copy a backup's own files from anywhere; see `copy_backup`."""
    if target.encrypted and not manifest.recipients:
        raise ConfigError(f"vault {target.name} takes only what is encrypted", hint="say encryption: none in its spec")
    target.keeping.require_lock()
    if target.store.get(f"{manifest.folder}/{MANIFEST}") is not None:
        there = target.get(manifest.folder)
        if there != manifest:
            raise ConfigError(f"vault {target.name} has another backup {manifest.folder}")
        return there
    try:
        page, total = _page(place, manifest), manifest.stored_bytes
        there_already = patiently(lambda: target.store.sizes(f"{manifest.folder}/"))
        meter, done = Meter(target.tell, time.monotonic), 0
        for part in manifest.parts:
            if not _is_there(target, manifest, part, there_already):
                _copy_part(place, target, manifest, part, lambda size, before=done: meter.tell(before + size, total))  # type: ignore[misc]
            done += part.stored_bytes
            meter.tell(done, total)
        write_commit(target.keeping, manifest, page)
    except TransientError:
        raise
    except BaseException:
        with suppress(WatchkeeperError):
            if target.store.get(f"{manifest.folder}/{MANIFEST}") != manifest.to_bytes():  # else another was quicker
                discard(target.keeping, manifest.folder)
        raise
    return manifest


@contextmanager
def _held_where_possible(source: Vault, folders: list[str], target: str) -> Iterator[None]:
    holding = held(source, folders, who="copy", why=f"to {target}")
    try:
        holding.__enter__()
    except Denied:  # the credentials only read: whoever prunes there looks after itself
        yield
        return
    try:
        yield
    finally:
        holding.__exit__(None, None, None)


def _page(place: Place, manifest: Manifest) -> bytes:
    page = patiently(lambda: place.store.get(place.key(RECOVERY))) or b""
    if hashlib.sha256(page).hexdigest() != manifest.recovery_sha256:
        raise Garbled("RECOVERY.md is missing or was changed", operation=f"copy {manifest.folder}")
    return page


def _is_there(target: Vault, manifest: Manifest, part: Part, sizes: dict[str, int]) -> bool:
    """Return whether an earlier try left a part in the target as it must be; its bytes are read for that."""
    key = f"{manifest.folder}/{part.path}"
    if sizes.get(key) != part.stored_bytes:
        return False
    try:
        for _ in checked(target.store, key, part):
            continue
    except Garbled:
        return False
    return True


def _copy_part(place: Place, target: Vault, manifest: Manifest, part: Part, told: Callable[[int], None]) -> None:
    key, size = f"{manifest.folder}/{part.path}", 0
    with target.keeping.writing(key) as writer:
        for data in checked(place.store, place.key(part.path), part):
            target.recipe.pace.take(len(data))
            writer.write(data)
            size += len(data)
            told(size)
    there = patiently(lambda: target.store.sizes(key)).get(key)
    if there != part.stored_bytes:
        raise Garbled(f"the target has {there or 0} of {part.stored_bytes} bytes", operation=f"copy {part.name}")
