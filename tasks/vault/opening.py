"""From a spec to a vault: the one place where its secrets are resolved. Nothing is contacted yet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tasks.clients.blobs import BlobStore, Lock, open_store
from tasks.core.errors import ConfigError
from tasks.core.platform import PlatformSpec
from tasks.core.references import Resolver
from tasks.core.vaults import Encryption, FolderVault, S3Vault, VaultSpec
from tasks.vault.keys import Identity, Recipient, recipients
from tasks.vault.pipe import Pace
from tasks.vault.streams import Recipe
from tasks.vault.vault import Vault
from tasks.vault.writing import Progress


def open_vault(
    name: str,
    spec: VaultSpec,
    encryption: Encryption | Literal["none"] | None,
    resolver: Resolver,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tell: Callable[[Progress], None] = lambda _progress: None,
    version: str = "",
    ca_bundle: Path | None = None,
    reading: bool = False,
) -> Vault:
    """Open a vault of a platform. Credentials that may delete are resolved only when something is removed.

    Args:
        name: As the spec calls it.
        spec: Of the vault.
        encryption: Of the platform.
        resolver: Resolves addresses, credentials and recipients.
        now: The clock; aware, UTC.
        tell: Is told how a backup goes, at most once a second.
        version: Of Watchkeeper.
        ca_bundle: A PEM file of certificate authorities to trust.
        reading: Whether it is only to be read: by the credentials that may do no more, where the spec names such.

    Raises:
        ConfigError: A reference is not set, a recipient is none, or an address is none.
    """
    if encryption is None:
        raise ConfigError(f"nobody says who may read vault {name}", hint="name recipients, or say `encryption: none`")
    recipe = Recipe(
        () if encryption == "none" else readers(encryption, resolver),
        pace=Pace(None if spec.bandwidth is None else float(spec.bandwidth)),
    )
    vault = functools.partial(
        Vault, name, recipe=recipe, encrypted=encryption != "none", now=now, tell=tell, version=version
    )
    if isinstance(spec, FolderVault):
        return vault(store=open_store(Path(resolver.resolve(spec.path))))
    return _in_s3(spec, resolver, vault, ca_bundle, reading=reading)


def open_platform_vault(
    platform: PlatformSpec,
    name: str,
    resolver: Resolver,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    tell: Callable[[Progress], None] = lambda _progress: None,
    version: str = "",
    ca_bundle: Path | None = None,
    reading: bool = False,
) -> Vault:
    """Open a platform's vault by its name; see `open_vault`.

    Raises:
        ConfigError: The platform has none of this name.
    """
    if name not in platform.vaults:
        raise ConfigError(
            f"{platform.platform} has no vault {name!r}", hint=f"there are {', '.join(platform.vaults) or 'none'}"
        )
    spec = platform.vaults[name]
    return open_vault(
        name,
        spec,
        platform.encryption,
        resolver,
        now=now,
        tell=tell,
        version=version,
        ca_bundle=ca_bundle,
        reading=reading,
    )


def readers(encryption: Encryption, resolver: Resolver) -> tuple[Recipient, ...]:
    """Read the recipients; one reference may hold several, a line each, with comments.

    Raises:
        ConfigError: One is no recipient, or there are none.
    """
    lines = [
        line.strip()
        for text in encryption.recipients
        for line in resolver.resolve(text).splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ConfigError("there are no recipients", hint="watchkeeper vault key makes one")
    return tuple(recipients(dict.fromkeys(lines)))


def identity_of(encryption: Encryption | Literal["none"] | None, resolver: Resolver) -> Identity | None:
    """Return the identity that reads backups, or None where the spec names none or nothing is encrypted.

    Raises:
        ConfigError: It is not set, or none.
    """
    if encryption is None or encryption == "none" or encryption.identity is None:
        return None
    return Identity(resolver.resolve(encryption.identity))


def _in_s3(
    spec: S3Vault, resolver: Resolver, vault: functools.partial[Vault], ca_bundle: Path | None, *, reading: bool
) -> Vault:
    endpoint = None if spec.endpoint is None else resolver.resolve(spec.endpoint)
    lock = None if spec.lock is None else Lock(spec.lock, spec.lock_mode)
    opened = functools.partial(
        open_store,
        f"s3://{spec.bucket}/{spec.prefix}",
        endpoint=endpoint,
        region=spec.region,
        ca_bundle=ca_bundle,
    )
    keys = spec.read if reading and spec.read is not None else spec
    access_key, secret_key = (
        None if reference is None else resolver.resolve(reference) for reference in (keys.access_key, keys.secret_key)
    )
    store = opened(access_key=access_key, secret_key=secret_key)
    keeper = None if lock is None else opened(access_key=access_key, secret_key=secret_key, lock=lock)
    delete = spec.delete
    if delete is None:
        return vault(store=store, keeper=keeper)

    @functools.cache
    def eraser() -> BlobStore:
        return opened(
            access_key=resolver.resolve(delete.access_key), secret_key=resolver.resolve(delete.secret_key), lock=lock
        )

    return vault(store=store, keeper=keeper, eraser=eraser)
