"""A vault that lies within what is backed up would be in each of its own backups, which grow without end."""

from __future__ import annotations

from pathlib import Path

from tasks.core.errors import ConfigError
from tasks.core.platform import PlatformSpec
from tasks.core.references import Address, Resolver
from tasks.core.vaults import FolderVault, S3Vault
from tasks.systems.files.spec import Spec as Files
from tasks.systems.files.walking import pattern
from tasks.systems.s3.spec import Spec as Bucket


def refuse_overlaps(platform: PlatformSpec, system: str, resolver: Resolver) -> None:
    """See that none of a platform's vaults lies within a system that is to be backed up.

    Raises:
        ConfigError: One does; or an address is not set.
    """
    spec = platform.systems[system]
    for name, vault in platform.vaults.items():
        if isinstance(spec, Files) and isinstance(vault, FolderVault):
            inside = _holds_folder(spec, resolver, Path(resolver.resolve(vault.path)))
        elif isinstance(spec, Bucket) and isinstance(vault, S3Vault):
            inside = _holds_prefix(spec, vault, resolver)
        else:
            inside = False
        if inside:
            raise ConfigError(
                f"vault {name} lies within {system}, so each backup would hold all those before it",
                hint=f"put vault {name} elsewhere" + (", or exclude its folder" if isinstance(spec, Files) else ""),
            )


def _holds_folder(spec: Files, resolver: Resolver, vault: Path) -> bool:
    """Tell whether one of the paths holds the vault's folder, links resolved, and no glob leaves it out."""
    root, place = Path(resolver.resolve(spec.root)).resolve(), vault.resolve()
    if not place.is_relative_to(root):
        return False
    below = place.relative_to(root)
    above = [path.as_posix() for path in (below, *below.parents)]
    taken = any(pattern(f"/{path}").fullmatch(one) for path in spec.paths for one in above)
    return taken and not any(pattern(glob).fullmatch(one) for glob in spec.exclude for one in above)


def _holds_prefix(spec: Bucket, vault: S3Vault, resolver: Resolver) -> bool:
    ours, theirs = (_place(endpoint, resolver) for endpoint in (spec.endpoint, vault.endpoint))
    return (ours, spec.bucket) == (theirs, vault.bucket) and f"{vault.prefix}/".lstrip("/").startswith(spec.prefix)


def _place(endpoint: Address | None, resolver: Resolver) -> str:
    return "" if endpoint is None else resolver.resolve(endpoint).rstrip("/").lower()
