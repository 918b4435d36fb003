"""The continuous archive of a system's write-ahead log: put into all its vaults, and got from the first that has it.

PostgreSQL calls it for every segment, so only what a spec says of vaults is read, and no kind of system is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from tasks import platforms
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.settings import Settings
from tasks.core.vaults import Encryption, VaultSpec
from tasks.vault.archive import Archive
from tasks.vault.keys import Identity
from tasks.vault.opening import identity_of, open_vault

_PIECE = 1 << 20


@dataclass(frozen=True)
class Archiving:
    """A system's archive in each of its vaults.

    Attributes:
        archives: One in each vault, in the spec's order.
        encryption: As the platform's spec says it.
        settings: Where values are looked up.
    """

    archives: tuple[Archive, ...]
    encryption: Encryption | Literal["none"]
    settings: Settings

    @classmethod
    def open(cls, name: str, settings: Settings) -> Archiving:
        """Open the archives of a system; nothing is contacted yet.

        Args:
            name: `PLATFORM/SYSTEM`, the platform by name or as the path of its spec.
            settings: Where the specs are, and whether the lab is meant.

        Raises:
            ConfigError: There is no such platform or system, it is not backed up, or its vaults are not right.
        """
        platform, _, system = name.rpartition("/")
        if not platform or not system:
            raise ConfigError(f"{name!r} names no system", hint="write PLATFORM/SYSTEM, such as apex/database")
        raw = platforms.read(platform, settings)
        encryption, specs = _vaults(raw)
        found = raw.get("systems", {}).get(system)
        wanted = (found.get("backup") or {}).get("to") if isinstance(found, dict) else None
        if not wanted:
            raise ConfigError(
                f"{system!r} of {platform} is not backed up", hint="say `backup: {to: [...]}` in its spec"
            )
        access = platforms.access(settings)
        archives = []
        for vault in wanted:
            if vault not in specs:
                raise ConfigError(f"{platform} has no vault {vault!r}", hint=f"there are {', '.join(specs) or 'none'}")
            opened = open_vault(vault, specs[vault], encryption, access.resolver, ca_bundle=access.ca_bundle)
            archives.append(Archive(opened, str(raw.get("platform")), system))
        return cls(tuple(archives), encryption, settings)

    def push(self, path: Path) -> list[str]:
        """Put a file into every archive under its own name, and name the vaults in which it was not there yet.

        Raises:
            PermanentError: Other bytes are there under this name.
            WatchkeeperError: A vault fails; it is not archived until every vault has it.
        """
        return [archive.vault.name for archive in self.archives if archive.put(path.name, _pieces(path))]

    def fetch(self, name: str, target: Path) -> bool:
        """Get a file from the first archive that has it whole; False where none has it.

        The target appears whole or not at all.

        Raises:
            WatchkeeperError: It is damaged, there is no key, a vault that may have it does not answer, or every archive
            is empty, as one that is not mounted is.
        """
        failed: WatchkeeperError | None = None
        for archive in self.archives:
            try:
                if archive.describe(name) is None:
                    continue
                self._write(archive, name, target)
            except WatchkeeperError as error:
                failed = failed or error
            else:
                return True
        if failed is not None:
            raise failed
        if not any(archive.names() for archive in self.archives):
            raise ConfigError(
                "there is nothing at all in the archive, so it cannot be told what is missing",
                hint="see that the vault is mounted and the right one",
            )
        return False

    def _write(self, archive: Archive, name: str, target: Path) -> None:
        coming = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            with coming.open("wb") as file:
                for piece in archive.read(name, self._identity()):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            coming.replace(target)
        finally:
            coming.unlink(missing_ok=True)

    def _identity(self) -> Identity | None:
        return identity_of(self.encryption, platforms.access(self.settings).resolver)


def _vaults(raw: dict[str, Any]) -> tuple[Encryption | Literal["none"], dict[str, VaultSpec]]:
    """Read what a spec says of its vaults.

    Raises:
        ConfigError: It is not right; `watchkeeper validate` says where.
    """
    try:
        specs = TypeAdapter(dict[str, VaultSpec]).validate_python(raw.get("vaults") or {})
        encryption = TypeAdapter(Encryption | Literal["none"]).validate_python(raw.get("encryption"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"the spec's vaults are not right: {place}: {first['msg']}", hint="watchkeeper validate"
        ) from None
    return encryption, specs


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}", operation="archive") from None
