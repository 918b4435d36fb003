"""The continuous archive of a system: files that never change, such as write-ahead log, each for itself.

A file is there when its sidecar `<name>.json` is, which is written last. Its bytes lie beside it under a name of their
own, so that two who put the same file at once never mix theirs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import AwareDatetime, Field, ValidationError

from tasks.core.errors import ConfigError, Garbled, PermanentError, WatchkeeperError
from tasks.core.manifest import Part, new_id, parse_id
from tasks.core.model import Model
from tasks.vault.hashes import PlainHash
from tasks.vault.keys import Identity
from tasks.vault.layout import patiently, put_first
from tasks.vault.streams import Incoming, checked, plain
from tasks.vault.vault import Vault

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,149}")
_OWN = re.compile(r"\.([0-9]{8}T[0-9]{6}Z-[0-9a-f]{8})\.zst(\.age)?$")
_SIDECAR = ".json"


class Archived(Model):
    """What is known of one file of the archive: its sidecar."""

    format: int = Field(1, description="Version of the format.")
    at: AwareDatetime = Field(description="When it was archived.")
    file: Part = Field(description="Its name, path below the area, sizes and hashes, as a manifest has them.")
    recipients: tuple[str, ...] = Field((), description="Public keys that it is encrypted for.")
    checksum: str = Field("", description="sha256 of all the other fields, as a manifest's.")

    def sealed(self) -> Archived:
        """Return it with its checksum."""
        return self.model_copy(update={"checksum": self._sum()})

    @property
    def is_sound(self) -> bool:
        """Whether its checksum is right."""
        return self.checksum == self._sum()

    def _sum(self) -> str:
        rest = self.model_dump(mode="json", exclude={"checksum"})
        return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Leftover(NamedTuple):
    """What is in no sidecar, and when it was begun, where its name tells."""

    key: str
    since: datetime | None


class Stored(NamedTuple):
    """What the names in the store alone tell of one file of the archive."""

    name: str
    stored_bytes: int


@dataclass(frozen=True)
class Archive:
    """The continuous archive of one system in a vault.

    Attributes:
        vault: Where it is.
        platform: Of the system.
        system: By name.
        area: The folder below the system's.
    """

    vault: Vault
    platform: str
    system: str
    area: str = "wal"

    @property
    def folder(self) -> str:
        """Where it lies in its vault."""
        return f"{self.platform}/{self.system}/{self.area}"

    def put(self, name: str, data: Iterable[bytes]) -> bool:
        """Archive a file; True where it was written, False where the same bytes were there before.

        Args:
            name: Letters, digits, dots, dashes, underscores.
            data: What it holds, in pieces of any size.

        Raises:
            ConfigError: The name is none, or there is nobody to encrypt for.
            PermanentError: Other bytes are there under this name; they are left as they are.
            WatchkeeperError: The store fails; what was begun is in no sidecar, and is cleaned when it is old.
        """
        if self.vault.encrypted and not self.vault.recipe.recipients:
            raise ConfigError(f"vault {self.vault.name} has no recipients", hint="name one in the platform's spec")
        sidecar = self._sidecar(name)
        there = patiently(lambda: self.vault.store.get(sidecar))
        if there is not None:
            found = self._read_sidecar(name, there)
            _refuse_other(found, *_hashed(data, found.file.plain_hash))
            self._must_have(found.file)
            return False
        part = self._write(name, f"{name}.{new_id(self.vault.now(), secrets.token_hex(4))}", data)
        self._must_have(part)
        self._commit(sidecar, part)  # where it fails the bytes stay: the sidecar may be there nevertheless
        return patiently(lambda: self._is_mine(sidecar, name, part))

    def read(self, name: str, identity: Identity | None = None) -> Iterator[bytes]:
        """Yield what a file holds; the last step raises where anything was wrong with it.

        Raises:
            ConfigError: There is no such file; or it is encrypted, and there is no identity, or another one.
            Garbled: It is damaged.
        """
        found = self.describe(name)
        if found is None:
            raise ConfigError(f"{name} is not in the archive", operation=f"read {self.folder}")
        return plain(self.vault.store, f"{self.folder}/{found.file.path}", found.file, identity)

    def stored_bytes(self, name: str) -> Iterator[bytes]:
        """Yield what is stored of a file, held against its hash; no key is needed.

        Raises:
            ConfigError: There is no such file.
            Garbled: It is damaged.
        """
        found = self.describe(name)
        if found is None:
            raise ConfigError(f"{name} is not in the archive", operation=f"read {self.folder}")
        return checked(self.vault.store, f"{self.folder}/{found.file.path}", found.file)

    def describe(self, name: str) -> Archived | None:
        """Return what is known of a file, or None where it is not there.

        Raises:
            ConfigError: The name is none.
            Garbled: Its sidecar is damaged.
        """
        data = patiently(lambda: self.vault.store.get(self._sidecar(name)))
        return None if data is None else self._read_sidecar(name, data)

    def copy(self, name: str, target: Archive) -> bool:
        """Copy a file as it is stored; True where it was written, False where it was there or is gone here meanwhile.

        Raises:
            ConfigError: It is not encrypted, and the target takes only what is.
            PermanentError: The target has other bytes under this name; they are left as they are.
            Garbled: It is damaged here; it is not there then.
        """
        data = patiently(lambda: self.vault.store.get(self._sidecar(name)))
        if data is None:
            return False
        found = self._read_sidecar(name, data)
        if target.vault.encrypted and not found.recipients:
            raise ConfigError(f"vault {target.vault.name} takes only what is encrypted", operation=f"copy {name}")
        there = target.describe(name)
        if there is not None:
            _refuse_other(there, found.file.plain_bytes, found.file.plain_hash)
            return False
        with target.vault.keeping.writing(f"{target.folder}/{found.file.path}") as writer:
            for piece in checked(self.vault.store, f"{self.folder}/{found.file.path}", found.file):
                target.vault.recipe.pace.take(len(piece))
                writer.write(piece)
        target._must_have(found.file)
        target._put_sidecar(self._sidecar(name), data)
        return target._is_mine(self._sidecar(name), name, found.file)

    def names(self) -> list[str]:
        """Name the files that are there, sorted."""
        return [stored.name for stored in self.stored()]

    def stored(self) -> list[Stored]:
        """Return name and stored size of the files that are there, sorted by name; nothing is read."""
        start = f"{self.folder}/"
        sizes = {key.removeprefix(start): size for key, size in self.vault.store.sizes(start).items()}
        data: dict[str, int] = {}
        for path, size in sizes.items():
            if not path.endswith(_SIDECAR):
                data[_name_of(path)] = max(size, data.get(_name_of(path), 0))
        found = [path.removesuffix(_SIDECAR) for path in sizes if path.endswith(_SIDECAR)]
        return [Stored(name, data.get(name, 0)) for name in sorted(found)]

    def remove_below(self, name: str, *, only: str = "") -> list[str]:
        """Remove the files whose names sort below one, the sidecar first, and return their names.

        From the first that the store still keeps locked on, all stay: their turn comes when the lock has ended.

        Args:
            name: The first that stays.
            only: Only names that match this regular expression as a whole; all by default.

        Raises:
            Denied: The credentials may not.
        """
        self._sidecar(name)
        chosen = re.compile(only) if only else None
        gone = []
        for one in self.names():
            if one >= name or (chosen is not None and not chosen.fullmatch(one)):
                continue
            if patiently(functools.partial(self.vault.store.locked_until, self._sidecar(one))) is not None:
                break
            self.remove(one)
            gone.append(one)
        return gone

    def remove(self, name: str) -> None:
        """Remove one file, the sidecar first; one that is not there is fine."""
        erasing, sidecar = self.vault.erasing, self._sidecar(name)
        patiently(lambda: erasing.delete(sidecar))
        start = f"{self.folder}/{name}."
        for key in patiently(lambda: self.vault.store.sizes(start)):
            if _name_of(key.removeprefix(f"{self.folder}/")) == name:
                patiently(lambda key=key: erasing.delete(key))  # type: ignore[misc]

    def leftovers(self) -> list[Leftover]:
        """Return what no sidecar lists: of a file that was begun and not ended, or is being written just now."""
        start = f"{self.folder}/"
        paths = [key.removeprefix(start) for key in self.vault.store.sizes(start)]
        there = {path.removesuffix(_SIDECAR) for path in paths if path.endswith(_SIDECAR)}
        return [
            Leftover(f"{start}{path}", _time_of(path))
            for path in paths
            if not path.endswith(_SIDECAR) and _name_of(path) not in there
        ]

    def drop(self, leftover: Leftover) -> bool:
        """Remove a leftover, unless it has a sidecar by now."""
        name = _name_of(leftover.key.removeprefix(f"{self.folder}/"))
        if self.vault.store.get(f"{self.folder}/{name}{_SIDECAR}") is not None:
            return False
        self.vault.erasing.delete(leftover.key)
        return True

    def _sidecar(self, name: str) -> str:
        if not _NAME.fullmatch(name) or name.endswith(_SIDECAR):
            raise ConfigError(
                f"{name[:80]!r} is no name of a file in the archive", hint="letters, digits, dots, dashes, underscores"
            )
        return f"{self.folder}/{name}{_SIDECAR}"

    def _write(self, name: str, path: str, data: Iterable[bytes]) -> Part:
        recipe = self.vault.recipe
        path = f"{path}.zst{'.age' if recipe.recipients else ''}"
        incoming = Incoming(self.vault.keeping, f"{self.folder}/{path}", recipe, compress=True)
        try:
            for piece in data:
                incoming.write(piece)
            return incoming.finish(name, path)
        except BaseException as error:
            incoming.abandon(error)
            raise

    def _must_have(self, part: Part) -> None:
        key = f"{self.folder}/{part.path}"
        size = patiently(lambda: self.vault.store.sizes(key)).get(key)
        if size != part.stored_bytes:
            raise PermanentError(
                f"the store has {size or 0} of its {part.stored_bytes} bytes", operation=f"archive {part.name}"
            )

    def _commit(self, sidecar: str, part: Part) -> None:
        recipients = tuple(map(str, self.vault.recipe.recipients))
        found = Archived(at=self.vault.now(), file=part, recipients=recipients).sealed()
        data = f"{json.dumps(found.model_dump(mode='json'), indent=2)}\n".encode()
        self._put_sidecar(sidecar, data)

    def _put_sidecar(self, sidecar: str, data: bytes) -> None:
        is_mine = put_first(self.vault.keeping, sidecar, data)
        if is_mine and patiently(lambda: self.vault.store.get(sidecar)) != data:
            patiently(lambda: self.vault.keeping.delete(sidecar))
            raise PermanentError("the store does not have its sidecar as it was written", operation=f"write {sidecar}")

    def _is_mine(self, sidecar: str, name: str, part: Part) -> bool:
        """See who was first; where it was another one, with the same bytes, what is ours goes."""
        data = self.vault.store.get(sidecar)
        if data is None:
            raise PermanentError("the store does not have its sidecar", operation=f"archive {name}")
        first = self._read_sidecar(name, data)
        if first.file == part:
            return True
        with suppress(WatchkeeperError):  # it is in no sidecar, and takes only room
            self.vault.keeping.delete(f"{self.folder}/{part.path}")
        _refuse_other(first, part.plain_bytes, part.plain_hash)
        return False

    def _read_sidecar(self, name: str, data: bytes) -> Archived:
        try:
            found = Archived.model_validate_json(data)
        except ValidationError:
            raise Garbled("it is no sidecar", operation=f"read {self._sidecar(name)}") from None
        if not found.is_sound or found.file.name != name:
            raise Garbled("it was changed or damaged", operation=f"read {self._sidecar(name)}")
        return found


def _name_of(path: str) -> str:
    """Return the name of the file that a path belongs to: before the random piece, or the sidecar's ending."""
    if path.endswith(_SIDECAR):
        return path.removesuffix(_SIDECAR)
    return _OWN.sub("", path)


def _time_of(path: str) -> datetime | None:
    match = _OWN.search(path)
    return None if match is None else parse_id(match[1])


def _hashed(data: Iterable[bytes], like: str) -> tuple[int, str]:
    """Return size and hash, of the same sort as another one: what is there may be older than the sort of today."""
    found, size = PlainHash(like), 0
    for piece in data:
        found.update(piece)
        size += len(piece)
    return size, str(found)


def _refuse_other(there: Archived, size: int, plain_hash: str) -> None:
    if (there.file.plain_bytes, there.file.plain_hash) != (size, plain_hash):
        raise PermanentError(
            f"the archive has other bytes under the name {there.file.name}",
            operation="archive",
            hint="two servers may be writing into one archive: give each its own",
        )
