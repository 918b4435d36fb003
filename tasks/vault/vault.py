"""A vault: backups in a store, each complete or not there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from tasks.clients.blobs import BlobStore
from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.manifest import Manifest, parse_id, read_manifest
from tasks.vault.keys import Identity
from tasks.vault.layout import MANIFEST, PIN, REMOVING, patiently
from tasks.vault.streams import Recipe, plain
from tasks.vault.writing import Backup, Progress

_READERS = 8

State = Literal["complete", "incomplete", "being removed"]


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
    """

    platform: str
    system: str
    id: str
    time: datetime
    state: State
    pinned: bool
    stored_bytes: int

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
    """

    name: str
    store: BlobStore
    recipe: Recipe = field(default_factory=Recipe)
    encrypted: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tell: Callable[[Progress], None] = lambda _progress: None
    version: str = ""

    @contextmanager
    def begin(
        self, platform: str, system: str, kind: str, *, restore_point: str = "", tags: Sequence[str] = ()
    ) -> Iterator[Backup]:
        """Begin a backup; the block writes its parts and commits it. Without a commit nothing of it remains.

        Raises:
            ConfigError: There is nobody to encrypt for, and it was not said that it need not be.
        """
        if self.encrypted and not self.recipe.recipients:
            raise ConfigError(
                f"vault {self.name} has no recipients", hint="name one, or say encryption: none in the vault's spec"
            )
        backup = Backup(
            self.store,
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
        prefix = f"{platform}/{system}/" if system else f"{platform}/" if platform else ""
        found: dict[str, dict[str, int]] = {}
        for key, size in self.store.sizes(prefix).items():
            pieces = key.split("/", 3)
            if len(pieces) == 4:  # noqa: PLR2004 - platform, system, id, and what is in it
                found.setdefault("/".join(pieces[:3]), {})[pieces[3]] = size
        listed = [entry for folder, files in found.items() if (entry := _entry(folder, files)) is not None]
        return sorted(listed, key=lambda entry: (entry.time, entry.folder))

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
        data = self.store.get(f"{folder}/{MANIFEST}")
        if data is None or self.store.get(f"{folder}/{REMOVING}") is not None:
            raise ConfigError(f"{self.name} has no complete backup {folder}", hint="watchkeeper backups list")
        manifest = read_manifest(data, f"{folder}/{MANIFEST}")
        if manifest.folder != folder:
            raise Garbled(f"it is the manifest of {manifest.folder}", operation=f"read {folder}/{MANIFEST}")
        return manifest

    def pin(self, folder: str, *, by: str, why: str) -> None:
        """Keep a backup whatever retention says."""
        self.get(folder)
        pin = {"by": by, "why": why, "at": self.now().isoformat()}
        self.store.put(f"{folder}/{PIN}", f"{json.dumps(pin, indent=2)}\n".encode())

    def unpin(self, folder: str) -> None:
        """Let retention decide again."""
        self.get(folder)
        self.store.delete(f"{folder}/{PIN}")

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
            ConfigError: It is pinned.
        """
        if self.store.get(f"{folder}/{PIN}") is not None:
            raise ConfigError(f"{folder} is pinned", hint="watchkeeper backups pin --off")
        patiently(lambda: self.store.put(f"{folder}/{REMOVING}", b"{}\n"))
        patiently(lambda: self.store.delete(f"{folder}/{MANIFEST}"))
        self._clear(folder)

    def finish_removals(self) -> list[str]:
        """Remove what was left of backups whose removal failed, and return their folders."""
        begun = [entry.folder for entry in self.entries() if entry.state == "being removed"]
        for folder in begun:
            patiently(lambda folder=folder: self.store.delete(f"{folder}/{MANIFEST}"))  # type: ignore[misc]
            self._clear(folder)
        return begun

    def read(self, manifest: Manifest, name: str, identity: Identity | None = None) -> Iterator[bytes]:
        """Yield what a part holds, as the kind wrote it; the last step raises where anything was wrong with it.

        Raises:
            ConfigError: It is encrypted, and there is no identity, or another one.
            Garbled: It is damaged.
        """
        part = manifest.part(name)
        return plain(self.store, f"{manifest.folder}/{part.path}", part, identity)

    def copy(self, manifest: Manifest, target: Vault) -> Manifest:
        """Copy a backup into another vault as it is stored: the source is not read again, and no key is needed.

        Raises:
            Garbled: It is damaged here; nothing of it is there then.
        """
        from tasks.vault.copying import copy_backup  # noqa: PLC0415 - it needs this module's names

        return copy_backup(self, manifest, target)

    def _clear(self, folder: str) -> None:
        keys = [key for key in self.store.sizes(f"{folder}/") if not key.endswith((f"/{REMOVING}", f"/{MANIFEST}"))]
        for key in keys:
            patiently(lambda key=key: self.store.delete(key))  # type: ignore[misc]
        patiently(lambda: self.store.delete(f"{folder}/{REMOVING}"))

    def _read(self, entries: Iterable[Entry]) -> Iterator[Manifest]:
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(lambda entry: self.get(entry.folder), entries)


def _entry(folder: str, files: dict[str, int]) -> Entry | None:
    platform, system, name = folder.split("/")
    told = parse_id(name)
    if told is None:
        return None
    state: State = "being removed" if REMOVING in files else "complete" if MANIFEST in files else "incomplete"
    return Entry(platform, system, name, told, state, PIN in files, sum(files.values()))
