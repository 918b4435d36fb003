"""Deliberately damaged copies: what a drill must see red, or it proves nothing. Without Prefect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasks.core.drill import NegativeControl
from tasks.core.errors import ConfigError, Garbled, WatchkeeperError
from tasks.core.manifest import Part
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.restoring import Chosen, Restoring
from tasks.systems import kinds
from tasks.timers import Timer
from tasks.vault.archive import Archive
from tasks.vault.damage import Damage, Damaged, through
from tasks.vault.keys import Identity, new_key
from tasks.vault.source import VaultSource


def controls_of(restoring: Restoring, chosen: Chosen, identity: Identity | None) -> Iterator[NegativeControl]:
    """Read a backup that is truncated, bit-flipped, lacks a part or log, or is opened with a wrong key.

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
    yield from _without_log(restoring, chosen, identity)


def _without_log(restoring: Restoring, chosen: Chosen, identity: Identity | None) -> Iterator[NegativeControl]:
    """Restore a copy whose archived log lacks a file that it needs: it must be refused, and the file named."""
    ask = kinds()[chosen.spec.kind].needed_log()
    name = ask(VaultSource(chosen.vault, chosen.manifest, identity)) if ask is not None else None
    if name is None:
        return
    manifest = chosen.manifest
    sidecar = f"{Archive(chosen.vault, manifest.platform, manifest.system).folder}/{name}.json"
    store = Damaged(chosen.vault.store, sidecar, Damage.MISSING)
    source = VaultSource(through(chosen.vault, store), manifest, identity)
    said = f"{name} was not missed"
    red = False
    try:
        with restoring.restored(chosen, Timer(restoring.access.now), source=source, who="drill"):
            pass
    except WatchkeeperError as error:
        said, red = restoring.access.resolver.scrub(error.message), name in error.message
    yield NegativeControl(name="missing log", system=chosen.system, red=red, seen=said)


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


def spoiled(
    chosen: Chosen, source: Source, restored: Restored, *, was_written: bool = False
) -> Iterator[NegativeControl]:
    """Spoil a scratch copy as an older schema would, and compare it again: the comparison must see it.

    Where tests of the application may have written to the copy, what did not hold before it was spoiled shows nothing.
    """
    able = kinds()[chosen.spec.kind].verify()
    if able is None:
        return
    _, compare, spoil = able
    before = _failed(compare(chosen.spec, source, restored)) if was_written else []
    done = spoil(chosen.spec, restored)
    if not done:
        return
    try:
        failed = [name for name in _failed(compare(chosen.spec, source, restored)) if name not in before]
    except WatchkeeperError as error:
        yield NegativeControl(name=f"older schema: {done}", system=chosen.system, red=True, seen=error.message)
        return
    seen = f"did not hold: {', '.join(failed[:3])}" if failed else "everything held all the same"
    yield NegativeControl(name=f"older schema: {done}", system=chosen.system, red=bool(failed), seen=seen)


def _failed(held: Iterable[Assertion]) -> list[str]:
    return [one.name for one in held if one.outcome in (Outcome.FAILED, Outcome.ERRORED)]
