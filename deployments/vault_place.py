"""Which vault a command means: a folder or an address, or one that a platform's spec names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deployments.options import lab_option, settings_of, state_option
from tasks.core.errors import ConfigError


@dataclass(frozen=True)
class VaultPlace:
    """What the options of a command say of its vault.

    Attributes:
        vault: A folder, `s3://bucket/prefix`, or with a platform the name of one of its vaults.
        platform: Whose spec names it.
        endpoint: The S3 endpoint of an address, where it is not AWS.
        lab: Whether the embedded lab is meant.
        state: Watchkeeper's own folder.
    """

    vault: str | None
    platform: str | None
    endpoint: str | None
    lab: bool
    state: Path

    def open(self, other: str | None = None) -> Any:
        """Open the vault, or another one that is named in the same way.

        Raises:
            ConfigError: No vault is named, or the platform has none of this name.
        """
        named = other if other is not None else self.vault
        if self.platform is None:
            if not named:
                raise ConfigError("no vault is named", hint="--vault FOLDER, or --platform NAME [--vault NAME]")
            return self._at(named)
        spec, access = self._loaded
        if named is None:
            named = next(iter(spec.vaults), "")
        if other is not None and named not in spec.vaults and ("/" in named or ":" in named):
            return self._at(named)
        from tasks.vault.opening import open_platform_vault  # noqa: PLC0415

        return open_platform_vault(
            spec, named, access.resolver, now=access.now, version=_version(), ca_bundle=access.ca_bundle
        )

    @property
    def name(self) -> str:
        """The platform's own name, as folders in a vault have it; nothing where none is given."""
        return "" if self.platform is None else str(self._loaded[0].platform)

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from tasks import platforms  # noqa: PLC0415 - help must be quick

        settings = settings_of(self.state, lab=self.lab)
        return platforms.load(str(self.platform), settings), platforms.access(settings)

    def _at(self, url: str) -> Any:
        """Open an address: nothing is known of recipients there, so what is encrypted stays so, and what is not too."""
        from tasks.clients.blobs import open_store  # noqa: PLC0415 - help must be quick
        from tasks.vault.vault import Vault  # noqa: PLC0415

        return Vault(url, open_store(url, endpoint=self.endpoint), encrypted=False, version=_version())


def vault_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a vault; the command is given a `place`."""

    @functools.wraps(command)
    def with_place(
        *arguments: Any, vault: str | None, of: str | None, endpoint: str | None, lab: bool, state: Path, **rest: Any
    ) -> None:
        command(*arguments, place=VaultPlace(vault, of, endpoint, lab, state), **rest)

    decorated: Callable[..., None] = with_place
    for option in (
        state_option,
        lab_option,
        click.option("--endpoint", envvar="WATCHKEEPER_VAULT_ENDPOINT", help="The S3 endpoint where it is not AWS."),
        click.option("--platform", "of", metavar="NAME", help="The platform whose spec names the vault."),
        click.option(
            "--vault",
            envvar="WATCHKEEPER_VAULT",
            help="A folder, or s3://bucket/prefix with the environment's credentials; with --platform, the name of one"
            " of its vaults, the first by default.",
        ),
    ):
        decorated = option(decorated)
    return decorated


def _version() -> str:
    from tasks.backing_up import version_of_watchkeeper  # noqa: PLC0415 - help must be quick

    return version_of_watchkeeper()
