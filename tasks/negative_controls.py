"""Deliberately damaged copies: what a drill must see red, or it proves nothing. Without Prefect."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.core.drill import NegativeControl
from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.manifest import Part
from tasks.core.restore import Restored, Source
from tasks.core.results import Outcome
from tasks.restoring import Chosen, Restoring
from tasks.systems import kinds
from tasks.vault.damage import Damage, Damaged, through
from tasks.vault.keys import Identity, new_key
from tasks.vault.source import VaultSource


def controls_of(restoring: Restoring, chosen: Chosen, identity: Identity | None) -> Iterator[NegativeControl]:
    """Read a backup that is truncated, bit-flipped, lacks a part, or is opened with a wrong key.

    The smallest part that holds anything is damaged, so that this costs little at any size.

    Args:
        restoring: The platform.
        chosen: A backup that was proven.
        identity: The key that reads it.
    """
    parts = [one for one in chosen.manifest.parts if one.stored_bytes]
    part = min(parts, key=lambda one: one.stored_bytes, default=None)
    if part is None:
        return
    for damage in Damage:
        store = Damaged(chosen.vault.store, f"{chosen.manifest.folder}/{part.path}", damage)
        source = VaultSource(through(chosen.vault, store), chosen.manifest, identity)
        yield _read(restoring, chosen, damage.value, part, source, Garbled)
    encrypted = [one for one in chosen.manifest.parts if one.encryption == "age"]
    if encrypted:
        other = Identity(new_key().identity)
        source = VaultSource(chosen.vault, chosen.manifest, other)
        yield _read(restoring, chosen, "wrong key", encrypted[0], source, ConfigError)


def _read(
    restoring: Restoring,
    chosen: Chosen,
    name: str,
    part: Part,
    source: Source,
    wanted: type[WatchkeeperError],
) -> NegativeControl:
    """Read a part to its end; only the refusal that fits the damage is one that saw it."""
    scrub = restoring.access.resolver.scrub
    try:
        for _ in source.read(part.name):
            pass
    except WatchkeeperError as error:
        return NegativeControl(name=name, system=chosen.system, red=_saw(error, wanted), seen=scrub(error.message))
    return NegativeControl(name=name, system=chosen.system, red=False, seen="it was read to its end without a word")


def _saw(error: WatchkeeperError, wanted: type[WatchkeeperError]) -> bool:
    return isinstance(error, wanted) or "not there" in error.message


def spoiled(chosen: Chosen, source: Source, restored: Restored) -> Iterator[NegativeControl]:
    """Spoil a scratch copy as an older schema would, and compare it again: the comparison must see it."""
    able = kinds()[chosen.spec.kind].verify()
    if able is None:
        return
    _, compare, spoil = able
    done = spoil(chosen.spec, restored)
    if not done:
        return
    try:
        held = list(compare(chosen.spec, source, restored))
    except WatchkeeperError as error:
        yield NegativeControl(name=f"older schema: {done}", system=chosen.system, red=True, seen=error.message)
        return
    failed = [one.name for one in held if one.outcome in (Outcome.FAILED, Outcome.ERRORED)]
    seen = f"did not hold: {', '.join(failed[:3])}" if failed else "everything held all the same"
    yield NegativeControl(name=f"older schema: {done}", system=chosen.system, red=bool(failed), seen=seen)
