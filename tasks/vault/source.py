"""A backup in a vault as what restores it reads it: itself, what it is made from, what goes on from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.core.errors import ConfigError, Garbled
from tasks.core.manifest import Manifest
from tasks.vault.archive import Archive
from tasks.vault.keys import Identity
from tasks.vault.vault import Vault


@dataclass(frozen=True)
class VaultSource:
    """The source of `tasks.core.restore` in a vault.

    Attributes:
        vault: Where it is.
        manifest: Of the backup.
        identity: The key; None where nothing is encrypted.
    """

    vault: Vault
    manifest: Manifest
    identity: Identity | None = field(default=None, repr=False)

    @classmethod
    def of(cls, vault: Vault, folder: str, identity: Identity | None = None) -> VaultSource:
        """Open a complete backup by its folder, `platform/system/id`.

        Raises:
            ConfigError: There is none.
        """
        return cls(vault, vault.get(folder), identity)

    def read(self, part: str) -> Iterator[bytes]:
        """Yield what a part holds; the last step raises where anything was wrong with it."""
        return self.vault.read(self.manifest, part, self.identity)

    def parent(self, backup: str) -> VaultSource:
        """Return one of the backups that it is made from.

        Raises:
            Garbled: It is not there any more; the hint says which moment can be had without it.
        """
        folder = f"{self.manifest.platform}/{self.manifest.system}/{backup}"
        try:
            manifest = self.vault.get(folder)
        except ConfigError:
            raise Garbled(
                f"{backup}, which {self.manifest.id} is made from, is not there",
                operation=f"read {folder}",
                hint=self._without(),
            ) from None
        return VaultSource(self.vault, manifest, self.identity)

    def _without(self) -> str:
        """Say which is the newest backup of the same method of which nothing is missing here."""
        everything = self.vault.manifests(self.manifest.platform, self.manifest.system)
        there = {one.id for one in everything}
        whole = [one for one in everything if one.method == self.manifest.method and there.issuperset(one.parents)]
        newest = max(whole, key=lambda one: (one.consistent_as_of, one.id), default=None)
        if newest is None:
            return f"no other {self.manifest.method} backup is whole in vault {self.vault.name}: look in another vault"
        shows = f"{newest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}"
        return (
            f"the newest that can be had without it is {newest.id}, which shows {shows}, and as much more as its "
            "log or slices reach; or look in another vault"
        )

    def later(self, method: str) -> Sequence[VaultSource]:
        """Return the system's complete backups of another method that go on from this one, oldest first."""
        found = [
            manifest
            for manifest in self.vault.manifests(self.manifest.platform, self.manifest.system)
            if manifest.method == method
            and (manifest.consistent_as_of > self.manifest.consistent_as_of or self.manifest.id in manifest.parents)
            and manifest.id != self.manifest.id
        ]
        found.sort(key=lambda manifest: (manifest.consistent_as_of, manifest.id))
        return [VaultSource(self.vault, manifest, self.identity) for manifest in found]

    def archived(self) -> Sequence[str]:
        """Name what lies in the system's continuous archive, sorted."""
        return self._archive().names()

    def read_archived(self, name: str) -> Iterator[bytes]:
        """Yield a file of the continuous archive; the last step raises where anything was wrong with it."""
        return self._archive().read(name, self.identity)

    def _archive(self) -> Archive:
        return Archive(self.vault, self.manifest.platform, self.manifest.system)
