"""Holding a vault against its manifests, both ways."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from tasks.clients.blobs import Unfinished
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.manifest import Manifest, parse_id
from tasks.vault.archive import Archive
from tasks.vault.layout import MANIFEST, RECOVERY, is_mark
from tasks.vault.records import holds
from tasks.vault.streams import checked
from tasks.vault.vault import Entry, Vault
from tasks.vault.writing import discard

_EVERYTHING = 100.0
_DEPTH = 3

T = TypeVar("T")


class Flaw(NamedTuple):
    """Something in a vault that is not as it should be.

    Attributes:
        folder: Of the backup.
        what: What is wrong, for a person.
        lost: Whether a backup that counts cannot be read; else it only takes room.
    """

    folder: str
    what: str
    lost: bool


class Checked(NamedTuple):
    """What a check saw."""

    backups: int
    bytes_read: int
    flaws: tuple[Flaw, ...]


def check(
    vault: Vault, *, platform: str = "", read_data: float = 0.0, choose: Callable[[int], int] = lambda _count: 0
) -> Checked:
    """Hold a vault against its manifests: what is missing, changed, left over.

    Args:
        vault: To be checked.
        platform: Only this one.
        read_data: Per cent of the parts whose bytes are read and hashed; no key is needed.
        choose: From a count to the place of the first part that is read, so that another check reads others.

    Raises:
        WatchkeeperError: The vault itself cannot be listed.
    """
    if not 0 <= read_data <= _EVERYTHING:
        raise ConfigError(f"{read_data:g} is no percentage", hint="0 to 100")
    sizes = _by_folder(vault.store.sizes(f"{platform}/" if platform else ""))
    flaws: list[Flaw] = []
    good: list[Manifest] = []
    entries = vault.entries(platform)
    flaws += _unlisted(vault, sizes, {entry.folder for entry in entries})
    for entry in entries:
        if entry.state == "forgotten":
            continue
        if entry.state != "complete":
            flaws.append(_not_complete(vault, entry))
            continue
        try:
            manifest = vault.get(entry.folder)
        except WatchkeeperError as error:
            flaws.append(Flaw(entry.folder, str(error), lost=True))
            continue
        good.append(manifest)
        flaws += _names(vault, manifest, sizes[entry.folder])
    known = {manifest.folder for manifest in good}
    flaws += [
        Flaw(manifest.folder, f"{parent}, which it is made from, is not there", lost=True)
        for manifest in good
        for parent in manifest.parents
        if f"{manifest.platform}/{manifest.system}/{parent}" not in known
    ]
    flaws += [
        Flaw(one.key, f"an upload begun {one.since:%Y-%m-%d %H:%M} was not ended", lost=False)
        for one in vault.store.unfinished(f"{platform}/" if platform else "")
    ]
    archives = [_archive(vault, folder) for folder in sizes if _is_archive(folder, sizes[folder])]
    for archive in archives:
        flaws += _archive_names(archive)
    read, wrong = _data(vault, good, read_data, choose)
    more, worse = _archived_data(archives, read_data, choose)
    return Checked(len(good), read + more, tuple(flaws + wrong + worse))


def flaws_of(vault: Vault, manifest: Manifest) -> list[str]:
    """Return what of one backup is missing or has another size, by the names in the store alone."""
    sizes = _by_folder(vault.store.sizes(f"{manifest.folder}/")).get(manifest.folder, {})
    return [flaw.what for flaw in _names(vault, manifest, sizes) if flaw.lost]


def _not_complete(vault: Vault, entry: Entry) -> Flaw:
    """Tell of what is not complete; a manifest that is there and not listed makes it a loss: nobody would find it."""
    if entry.state == "incomplete" and vault.store.get(f"{entry.folder}/{MANIFEST}") is not None:
        return Flaw(entry.folder, "the store does not list its manifest, which is there", lost=True)
    return Flaw(entry.folder, f"it is {entry.state}", lost=False)


def _unlisted(vault: Vault, sizes: Mapping[str, Mapping[str, int]], listed: Collection[str]) -> Iterator[Flaw]:
    """Tell of backups that one listing of the store has and another has not: nobody can rely on finding them."""
    for folder in sizes.keys() - listed:
        if parse_id(folder.rpartition("/")[2]) is not None and vault.store.get(f"{folder}/{MANIFEST}") is not None:
            yield Flaw(folder, "the store does not always list it", lost=True)


def leftovers(vault: Vault, older_than: timedelta) -> tuple[list[Entry], list[Unfinished]]:
    """Return what was begun before so long and not ended: what a backup at work writes is younger."""
    before: datetime = vault.now() - older_than
    entries = [entry for entry in vault.entries() if entry.state == "incomplete" and entry.time < before]
    return entries, [one for one in vault.store.unfinished() if one.since < before]


def clean(vault: Vault, older_than: timedelta) -> list[str]:
    """Remove what was begun before so long and not ended, finish removals that failed, and return what went.

    What has a manifest after all, or is held, is left alone: a listing may be wrong.
    """
    entries, uploads = leftovers(vault, older_than)
    for upload in uploads:
        vault.store.abort(upload)
    gone = [one.key for one in uploads]
    for entry in entries:
        has_manifest = vault.store.get(f"{entry.folder}/{MANIFEST}") is not None
        if not has_manifest and not holds(vault, entry.folder):
            discard(vault.erasing, entry.folder)
            gone.append(entry.folder)
    before = vault.now() - older_than
    sizes = _by_folder(vault.store.sizes())
    for folder in [folder for folder in sizes if _is_archive(folder, sizes[folder])]:
        archive = _archive(vault, folder)
        old = [one for one in archive.leftovers() if one.since is not None and one.since < before]
        gone += [one.key for one in old if archive.drop(one)]
    return [*gone, *vault.finish_removals()]


def _is_archive(folder: str, names: Collection[str]) -> bool:
    pieces = folder.split("/")
    return len(pieces) == _DEPTH and parse_id(pieces[-1]) is None and any(name.endswith(".json") for name in names)


def _archive(vault: Vault, folder: str) -> Archive:
    platform, system, area = folder.split("/")
    return Archive(vault, platform, system, area)


def _archive_names(archive: Archive) -> Iterator[Flaw]:
    for stored in archive.stored():
        if not stored.stored_bytes:
            yield Flaw(f"{archive.folder}/{stored.name}", "it has a sidecar and no bytes", lost=True)
    for left in archive.leftovers():
        yield Flaw(left.key, "it is in no sidecar", lost=False)


def _archived_data(archives: list[Archive], percent: float, choose: Callable[[int], int]) -> tuple[int, list[Flaw]]:
    files = [(archive, name) for archive in archives for name in archive.names()] if percent else []
    read, flaws = 0, []
    for archive, name in _some(files, percent, choose):
        try:
            for data in archive.stored_bytes(name):
                read += len(data)
        except WatchkeeperError as error:
            flaws.append(Flaw(f"{archive.folder}/{name}", str(error), lost=True))
    return read, flaws


def _some(things: list[T], percent: float, choose: Callable[[int], int]) -> Iterator[T]:
    """Yield so many per cent of them, rounded up, beginning where `choose` says."""
    count = int(-(-len(things) * percent // _EVERYTHING))
    first = choose(len(things)) if things else 0
    return (things[(first + place) % len(things)] for place in range(count))


def _by_folder(sizes: dict[str, int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for key, size in sizes.items():
        pieces = key.split("/")
        found["/".join(pieces[:3])]["/".join(pieces[3:])] = size
    return found


def _names(vault: Vault, manifest: Manifest, sizes: dict[str, int]) -> Iterator[Flaw]:
    expected = {part.path: part.stored_bytes for part in manifest.parts}
    for name, size in expected.items():
        if name not in sizes:
            yield Flaw(manifest.folder, f"{name} is missing", lost=True)
        elif sizes[name] != size:
            yield Flaw(manifest.folder, f"{name} has {sizes[name]} bytes instead of {size}", lost=True)
    for name in sizes.keys() - expected.keys():
        if not is_mark(name):
            yield Flaw(manifest.folder, f"{name} is in no manifest", lost=False)
    page = vault.store.get(f"{manifest.folder}/{RECOVERY}")
    if page is None or hashlib.sha256(page).hexdigest() != manifest.recovery_sha256:
        yield Flaw(manifest.folder, f"{RECOVERY} is {'missing' if page is None else 'changed'}", lost=False)


def _data(
    vault: Vault, manifests: list[Manifest], percent: float, choose: Callable[[int], int]
) -> tuple[int, list[Flaw]]:
    parts = [(manifest, part) for manifest in manifests for part in manifest.parts]
    read, flaws = 0, []
    for manifest, part in _some(parts, percent, choose):
        try:
            for data in checked(vault.store, f"{manifest.folder}/{part.path}", part):
                read += len(data)
        except WatchkeeperError as error:
            flaws.append(Flaw(manifest.folder, f"{part.path}: {error}", lost=True))
    return read, flaws
