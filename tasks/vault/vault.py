"""A vault: backups in a store, each complete or not there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from tasks.clients.blobs import BlobStore, Scale
from tasks.core.errors import ConfigError, Denied, Garbled, PermanentError, WatchkeeperError
from tasks.core.manifest import Manifest, new_id, parse_id, read_manifest
from tasks.vault import records
from tasks.vault.keys import Identity
from tasks.vault.layout import FORGOTTEN, HELD, MANIFEST, PIN, REMOVING, VERIFIED, patiently
from tasks.vault.streams import Recipe, plain
from tasks.vault.writing import Backup, Progress

_READERS = 8

State = Literal["complete", "incomplete", "being removed", "forgotten"]


class Entry(NamedTuple):
    """What the names in a store alone tell of a backup.

    Attributes:
        platform: Of the system.
        system: By name.
        id: Of the backup.
        time: When it was begun.
        state: Only what is complete counts.
        pinned: Whether a person wants it kept.
        stored_bytes: Size of all that is in its folder.
        verified: Names of its verification records, below its folder.
        held: Names of its holds, below its folder; they may have run out.
    """

    platform: str
    system: str
    id: str
    time: datetime
    state: State
    pinned: bool
    stored_bytes: int
    verified: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where it lies in its vault."""
        return f"{self.platform}/{self.system}/{self.id}"


class Pin(NamedTuple):
    """That a person wants a backup kept."""

    by: str
    why: str
    at: datetime


@dataclass(frozen=True)
class Vault:
    """Backups in a store.

    Attributes:
        name: As the platform's spec calls it.
        store: Where they are.
        recipe: How parts are written.
        encrypted: Whether a backup without recipients is refused.
        now: The clock; aware, UTC.
        tell: Is told how a backup goes.
        version: Of Watchkeeper, for manifests.
        keeper: The same store, locking what is written: for all that a backup is made of; `store` where there is none.
        eraser: Opens the same store with credentials that may remove; `store` where there is none.
    """

    name: str
    store: BlobStore
    recipe: Recipe = field(default_factory=Recipe)
    encrypted: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tell: Callable[[Progress], None] = lambda _progress: None
    version: str = ""
    keeper: BlobStore | None = None
    eraser: Callable[[], BlobStore] | None = None

    @property
    def keeping(self) -> BlobStore:
        """Where that is written which makes up a backup."""
        return self.store if self.keeper is None else self.keeper

    @property
    def erasing(self) -> BlobStore:
        """Where that is removed which makes up a backup."""
        return self.keeping if self.eraser is None else self.eraser()

    @contextmanager
    def begin(
        self, platform: str, system: str, kind: str, *, restore_point: str = "", tags: Sequence[str] = ()
    ) -> Iterator[Backup]:
        """Begin a backup; the block writes its parts and commits it. Without a commit nothing of it remains.

        Raises:
            ConfigError: There is nobody to encrypt for, and it was not said that it need not be; or the store was told
                to lock and does not.
        """
        if self.encrypted and not self.recipe.recipients:
            raise ConfigError(
                f"vault {self.name} has no recipients", hint="name one, or say encryption: none in the vault's spec"
            )
        self.keeping.require_lock()
        backup = Backup(
            self.keeping,
            self.recipe,
            platform=platform,
            system=system,
            kind=kind,
            restore_point=restore_point,
            tags=tuple(tags),
            now=self.now,
            tell=self.tell,
            version=self.version,
            random=secrets.token_hex(4),
        )
        try:
            yield backup
            backup.must_be_committed()
        except BaseException:
            with suppress(WatchkeeperError):  # what cannot be removed now has no manifest, and `check` names it
                backup.discard()
            raise

    def entries(self, platform: str = "", system: str = "") -> list[Entry]:
        """List backups by the names in the store alone, oldest first; manifests are not read."""
        found: dict[str, dict[str, int]] = {}
        for key, size in self.store.sizes_along(self._systems(platform, system), _BY_TIME).items():
            at_platform, at_system, backup, *rest = key.split("/", 3)
            if rest:
                found.setdefault(f"{at_platform}/{at_system}/{backup}", {})[rest[0]] = size
        listed = [entry for folder, files in found.items() if (entry := _entry(folder, files)) is not None]
        return sorted(listed, key=lambda entry: (entry.time, entry.folder))

    def folders(self, platform: str = "", system: str = "") -> list[str]:
        """Name all backups there are, complete or not, oldest first: quick, however much lies in each."""
        found = [
            (time, f"{start}{backup}")
            for start in self._systems(platform, system)
            for backup in self.store.folders(start)
            if (time := parse_id(backup)) is not None
        ]
        return [folder for _, folder in sorted(found)]

    def _systems(self, platform: str, system: str) -> list[str]:
        """Return what the keys of each system that is asked for begin with."""
        platforms = [platform] if platform else self.store.folders()
        return [
            f"{one}/{name}/" for one in platforms for name in ([system] if system else self.store.folders(f"{one}/"))
        ]

    def entries_of(self, folders: Iterable[str]) -> list[Entry]:
        """Tell of these backups what `entries` tells of all, in the same order; one that is gone is left out."""
        with ThreadPoolExecutor(_READERS) as pool:
            listed = list(pool.map(lambda folder: (folder, self.store.sizes(f"{folder}/")), folders))
        return [
            entry
            for folder, sizes in listed
            if sizes
            and (entry := _entry(folder, {key.removeprefix(f"{folder}/"): size for key, size in sizes.items()}))
        ]

    def manifests(self, platform: str = "", system: str = "") -> list[Manifest]:
        """Read the manifests of all complete backups, oldest first.

        Raises:
            Garbled: One is damaged; `check` names all that are.
        """
        return list(self._read(entry for entry in self.entries(platform, system) if entry.state == "complete"))

    def get(self, folder: str) -> Manifest:
        """Read the manifest of a complete backup.

        Args:
            folder: `platform/system/id`.

        Raises:
            ConfigError: There is none.
        """
        manifest = self._manifest(folder)
        if self.store.get(f"{folder}/{REMOVING}") is not None:
            raise ConfigError(f"{folder} is being removed from {self.name}", hint="watchkeeper backups list")
        if self.store.get(f"{folder}/{FORGOTTEN}") is not None:
            raise ConfigError(f"{folder} was forgotten", hint="watchkeeper vault adopt makes it count again")
        return manifest

    def manifest_of(self, entry: Entry) -> Manifest:
        """Read the manifest of what was just listed as complete; quicker than `get`, which looks at the marks anew."""
        return self._manifest(entry.folder)

    def _manifest(self, folder: str) -> Manifest:
        data = patiently(lambda: self.store.get(f"{folder}/{MANIFEST}"))
        if data is None:
            raise ConfigError(f"{self.name} has no complete backup {folder}", hint="watchkeeper backups list")
        manifest = read_manifest(data, f"{folder}/{MANIFEST}")
        if manifest.folder != folder:
            raise Garbled(f"it is the manifest of {manifest.folder}", operation=f"read {folder}/{MANIFEST}")
        return manifest

    def pin(self, folder: str, *, by: str, why: str) -> None:
        """Keep a backup whatever retention says.

        Raises:
            ConfigError: There is no such backup, or it is being removed.
        """
        self._put_mark(folder, PIN, by=by, why=why)

    def unpin(self, folder: str) -> None:
        """Let retention decide again."""
        self.get(folder)
        self.store.delete(f"{folder}/{PIN}")

    def forget(self, folder: str, *, by: str, why: str) -> None:
        """Make a backup count for nothing, and leave it as it is: one that is damaged, or not to be trusted.

        Raises:
            ConfigError: There is no such backup, or another one is made from it.
        """
        backup = self.get(folder)
        for other in self.manifests(backup.platform, backup.system):
            if backup.id in other.parents:
                raise ConfigError(f"{other.id} is made from it", hint="forget that one first")
        self._put_mark(folder, FORGOTTEN, by=by, why=why)

    def remember(self, folder: str) -> Manifest:
        """Make what was forgotten count again. Whether it can be read is the caller's to see before.

        Raises:
            ConfigError: There is no such backup.
        """
        manifest = self._manifest(folder)
        self.store.delete(f"{folder}/{FORGOTTEN}")
        return manifest

    def _put_mark(self, folder: str, name: str, *, by: str, why: str) -> None:
        self.get(folder)
        mark = {"by": by, "why": why, "at": self.now().isoformat()}
        self.store.put(f"{folder}/{name}", f"{json.dumps(mark, indent=2)}\n".encode())
        if self.store.get(f"{folder}/{REMOVING}") is not None:
            raise ConfigError(f"{folder} is being removed from {self.name}")

    def pin_of(self, folder: str) -> Pin | None:
        """Return who wants a backup kept, and why."""
        data = self.store.get(f"{folder}/{PIN}")
        if data is None:
            return None
        try:
            found = json.loads(data)
            return Pin(str(found["by"]), str(found["why"]), datetime.fromisoformat(found["at"]))
        except (ValueError, KeyError, TypeError):
            raise Garbled("it is no pin", operation=f"read {folder}/{PIN}") from None

    def remove(self, folder: str) -> None:
        """Remove a backup: its manifest first, then its data. What fails is left marked, for `finish_removals`.

        Raises:
            ConfigError: It is pinned, or somebody reads it.
            Denied: The store keeps it, as it is locked.
        """
        self._refuse_pinned(folder)
        until = self.store.locked_until(f"{folder}/{MANIFEST}")
        if until is not None:
            raise Denied(
                f"the store keeps {folder} until {until:%Y-%m-%d %H:%M} UTC", hint="wait until its lock has ended"
            )
        patiently(lambda: self.store.put(f"{folder}/{REMOVING}", b"{}\n"))
        try:
            self._refuse_pinned(folder)
            self._refuse_held(folder)
        except WatchkeeperError:
            patiently(lambda: self.store.delete(f"{folder}/{REMOVING}"))
            raise
        self._clear(folder)

    def finish_removals(self, platform: str = "") -> list[str]:
        """Remove what was left of backups whose removal failed, and return their folders."""
        begun = [entry.folder for entry in self.entries(platform) if entry.state == "being removed"]
        for folder in begun:
            self.finish_removal(folder)
        return begun

    def finish_removal(self, folder: str) -> None:
        """Remove what was left of one backup whose removal failed.

        Raises:
            ConfigError: Somebody reads it.
        """
        self._refuse_held(folder)
        self._clear(folder)

    def _refuse_pinned(self, folder: str) -> None:
        if self.store.get(f"{folder}/{PIN}") is not None:
            raise ConfigError(f"{folder} is pinned", hint="watchkeeper backups pin --off")

    def _refuse_held(self, folder: str) -> None:
        for hold in records.holds(self, folder):
            raise ConfigError(f"{hold.who} reads {folder} ({hold.why})", hint="wait until it has ended")

    def read(self, manifest: Manifest, name: str, identity: Identity | None = None) -> Iterator[bytes]:
        """Yield what a part holds, as the kind wrote it; the last step raises where anything was wrong with it.

        Raises:
            ConfigError: It is encrypted, and there is no identity, or another one.
            Garbled: It is damaged.
        """
        part = manifest.part(name)
        return plain(self.store, f"{manifest.folder}/{part.path}", part, identity, manifest.recipients)

    def copy(self, manifest: Manifest, target: Vault) -> Manifest:
        """Copy a backup into another vault as it is stored: the source is not read again, and no key is needed.

        Raises:
            Garbled: It is damaged here; nothing of it is there then.
        """
        from tasks.vault.copying import copy_backup  # noqa: PLC0415 - it needs this module's names

        return copy_backup(self, manifest, target)

    def _clear(self, folder: str) -> None:
        erasing, first, last = self.erasing, f"{folder}/{MANIFEST}", f"{folder}/{REMOVING}"
        patiently(lambda: erasing.delete(first))
        if patiently(lambda: self.store.get(first)) is not None:
            raise PermanentError("the store still has its manifest", operation=f"remove {folder}")
        for key in patiently(lambda: self.store.sizes(f"{folder}/")):
            if key not in (first, last):
                patiently(lambda key=key: erasing.delete(key))  # type: ignore[misc]
        if left := patiently(lambda: self.store.sizes(f"{folder}/")).keys() - {last}:
            raise PermanentError(f"the store still has {len(left)} of its files", operation=f"remove {folder}")
        patiently(lambda: erasing.delete(last))

    def _read(self, entries: Iterable[Entry]) -> Iterator[Manifest]:
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(lambda entry: self._manifest(entry.folder), entries)


def _seconds(name: str) -> float | None:
    moment = parse_id(name)
    return None if moment is None else moment.timestamp()


def _name_at(seconds: float) -> str | None:
    try:
        return new_id(datetime.fromtimestamp(seconds, UTC), "")
    except (OverflowError, ValueError, OSError):
        return None


_BY_TIME = Scale("0", ":", _seconds, _name_at)
"""Backups' ids begin with digits, those of their time."""


def _entry(folder: str, files: dict[str, int]) -> Entry | None:
    platform, system, name = folder.split("/")
    told = parse_id(name)
    if told is None:
        return None
    return Entry(
        platform,
        system,
        name,
        told,
        _state(files),
        PIN in files,
        sum(files.values()),
        tuple(file for file in files if file.startswith(VERIFIED)),
        tuple(file for file in files if file.startswith(HELD)),
    )


def _state(files: Collection[str]) -> State:
    if REMOVING in files:
        return "being removed"
    if MANIFEST not in files:
        return "incomplete"
    return "forgotten" if FORGOTTEN in files else "complete"
