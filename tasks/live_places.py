"""Where all that is live leads, so that no restore is written over it, whatever it is called. Without Prefect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tasks import platforms
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.references import AddressReference, references_in
from tasks.core.settings import Settings
from tasks.core.system import Access, SystemSpec
from tasks.core.vaults import FolderVault, VaultSpec
from tasks.systems import kinds

_FOLDER = "file:"


def live_places(platform: PlatformSpec, access: Access, settings: Settings) -> dict[str, frozenset[str]]:
    """Return where every live system and vault of every platform leads, as far as its address is set here.

    Args:
        platform: The one at hand, as it was loaded; the others are read.
        access: Resolves addresses.
        settings: Where the specs are.
    """
    found: dict[str, frozenset[str]] = {}
    for name in dict.fromkeys((platform.platform, *platforms.platform_names(settings))):
        with suppress(ConfigError):
            spec = platform if name == platform.platform else platforms.load(name, settings)
            for system, one in spec.systems.items():
                found[f"{name}/{system}"] = _places(one, access)
            for vault, kept in spec.vaults.items():
                found[f"{name}/vault {vault}"] = _kept_in(kept, access)
    return found


def must_not_be_live(into: str, places: frozenset[str], live: Mapping[str, frozenset[str]], access: Access) -> None:
    """Refuse a place that is live.

    Args:
        into: As the person named it.
        places: Where it leads.
        live: Where all that is live leads.
        access: Knows the secrets that must not show.

    Raises:
        ConfigError: It is live, or leads nowhere that can be told.
    """
    for name, there in live.items():
        if same := shared(places, there):
            raise ConfigError(
                f"the target is the live system {name} ({', '.join(sorted(same))})",
                operation="restore",
                hint="restore into scratch, or into an empty place of its own; "
                "to replace what is live is a runbook of its own, with an approval and an undo",
            )
    if not places:
        raise ConfigError(
            f"nobody can tell where {access.resolver.scrub(into)} leads", hint="give an address with a host"
        )


def shared(places: frozenset[str], live: frozenset[str]) -> frozenset[str]:
    """Return what of some places is live: the same address, or a folder that lies in a live one or holds it."""
    folders = [Path(place.removeprefix(_FOLDER)) for place in live if place.startswith(_FOLDER)]

    def lies_over(place: str) -> bool:
        path = Path(place.removeprefix(_FOLDER))
        return any(path.is_relative_to(one) or one.is_relative_to(path) for one in folders)

    return places & live | {place for place in places if place.startswith(_FOLDER) and lies_over(place)}


def _places(spec: SystemSpec, access: Access) -> frozenset[str]:
    able = kinds()[spec.kind].restore()
    if able is None:
        return frozenset()
    _, endpoints = able
    places: set[str] = set()
    for address in _addresses(spec, access):
        with suppress(WatchkeeperError, ValueError):
            places |= endpoints(address)
    return frozenset(places)


def _addresses(spec: SystemSpec, access: Access) -> Iterator[str]:
    """Yield what the spec's references resolve to; secrets among them lead nowhere."""
    if (told := kinds()[spec.kind].address()) is not None:
        with suppress(WatchkeeperError):
            yield told(spec, access)
        return
    for _, reference in references_in(spec):
        with suppress(WatchkeeperError):
            yield access.resolver.resolve(reference)
    for name, about in type(spec).model_fields.items():
        value = getattr(spec, name)
        if isinstance(value, str) and AddressReference.__name__ in repr(about):
            yield value


def _kept_in(vault: VaultSpec, access: Access) -> frozenset[str]:
    """Return where a vault leads, as the kinds say it whose targets may be a folder or a bucket."""
    able = kinds()["files" if isinstance(vault, FolderVault) else "s3"].restore()
    with suppress(WatchkeeperError, ValueError):
        if able is not None:
            return able[1](_vault_address(vault, access))
    return frozenset()


def _vault_address(vault: VaultSpec, access: Access) -> str:
    resolve = access.resolver.resolve
    if isinstance(vault, FolderVault):
        return resolve(vault.path)
    return f"{resolve(vault.endpoint).rstrip('/')}/{vault.bucket}" if vault.endpoint else f"s3://{vault.bucket}"
