"""Making backups count that a vault does not know: found elsewhere, of another name, or forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tasks.clients.blobs import BlobStore
from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.manifest import Manifest, read_manifest
from tasks.vault.copying import Place, place_copy
from tasks.vault.layout import MANIFEST, REMOVING
from tasks.vault.streams import checked
from tasks.vault.vault import Vault


class Adopted(NamedTuple):
    """What became of one backup that was found.

    Attributes:
        found: The folder in which it was found.
        folder: Where it is in the vault now; nothing where it was refused.
        refused: Why, where it was.
    """

    found: str
    folder: str = ""
    refused: str = ""


def adopt(
    store: BlobStore, vault: Vault, *, platform: str = "", tell: Callable[[Adopted], None] = lambda _adopted: None
) -> list[Adopted]:
    """Copy every complete backup found below a store into a vault; each is held against all of its hashes on the way.

    Args:
        store: Where to look: a vault, a folder of one, or a single backup's folder.
        vault: Where they go.
        platform: The name that they have from now on; their own by default. A new manifest says where it came from.
        tell: Told each of them.

    Raises:
        ConfigError: There is no backup.
        WatchkeeperError: The store cannot be listed.
    """
    done: list[Adopted] = []
    readable: list[tuple[Place, Manifest]] = []
    for place, manifest in _found(store):
        if isinstance(manifest, Manifest):
            readable.append((place, manifest))
        else:
            done.append(Adopted(place.folder, refused=str(manifest)))
    if not readable and not done:
        raise ConfigError("there is no complete backup", hint="give the folder that manifest.json is in, or one above")
    for place, manifest in sorted(readable, key=lambda found: (len(found[1].parents), found[1].started)):
        done.append(_adopted(place, manifest, vault, platform))
    for one in done:
        tell(one)
    return done


def readopt(vault: Vault, folder: str) -> Manifest:
    """Make a forgotten backup count again, once all of its bytes have their hashes.

    Raises:
        ConfigError: There is no such backup, or what it is made from is not there.
        Garbled: It is damaged.
    """
    data = vault.store.get(f"{folder}/{MANIFEST}")
    if data is None:
        raise ConfigError(f"{vault.name} has no backup {folder}", hint="watchkeeper backups list")
    manifest = read_manifest(data, f"{folder}/{MANIFEST}")
    _must_have_parents(vault, manifest)
    for part in manifest.parts:
        for _ in checked(vault.store, f"{folder}/{part.path}", part):
            continue
    return vault.remember(folder)


def _found(store: BlobStore) -> Iterator[tuple[Place, Manifest | WatchkeeperError]]:
    for key in store.list():
        folder, _, name = key.rpartition("/")
        place = Place(store, folder)
        if name != MANIFEST or "/data/" in f"/{folder}/" or store.get(place.key(REMOVING)) is not None:
            continue
        try:
            yield place, read_manifest(store.get(key) or b"", key)
        except WatchkeeperError as error:
            yield place, error


def _adopted(place: Place, manifest: Manifest, vault: Vault, platform: str) -> Adopted:
    if platform and platform != manifest.platform:
        tags = (*manifest.tags, f"adopted-from-{manifest.platform}")
        manifest = manifest.model_copy(update={"platform": platform, "tags": tags}).sealed()
    try:
        _must_have_parents(vault, manifest)
        place_copy(place, manifest, vault)
    except WatchkeeperError as error:
        return Adopted(place.folder, refused=str(error))
    return Adopted(place.folder, manifest.folder)


def _must_have_parents(vault: Vault, manifest: Manifest) -> None:
    for parent in manifest.parents:
        folder = f"{manifest.platform}/{manifest.system}/{parent}"
        try:
            vault.get(folder)
        except ConfigError:
            raise Garbled(
                f"{parent}, which it is made from, is not in {vault.name}", hint="adopt that as well"
            ) from None
