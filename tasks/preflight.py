"""What must be right before a drill restores anything: room for all copies, programs, a port, keys. Without Prefect."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from tasks.clients.scratch import free_port
from tasks.core.errors import NotOffered, WatchkeeperError
from tasks.core.restore import Assertion
from tasks.core.results import Outcome
from tasks.core.units import format_bytes
from tasks.restoring import Chosen, Restoring, room_for
from tasks.systems import kinds
from tasks.vault.keys import Identity
from tasks.vault.source import VaultSource

_Key = Callable[[Chosen], Identity | None]


def preflight(restoring: Restoring, chosen: Mapping[str, Chosen], key: _Key) -> Iterator[tuple[str, Assertion]]:
    """Yield what holds and what does not, each with its system; with "" what is of all. Nothing is restored.

    Args:
        restoring: The platform.
        chosen: The backups that are to be restored, by system.
        key: Tells the key that reads a backup.
    """
    if not chosen:
        return
    yield "", _room(restoring, chosen)
    yield "", _told("a port of the loopback", lambda: f"{free_port()} is free")
    for name, one in chosen.items():
        if (ready := kinds()[one.spec.kind].ready()) is not None:
            yield name, _told("programs", lambda ready=ready, one=one: ready(one.manifest))  # type: ignore[misc]
        if one.manifest.recipients:
            yield name, _told("the key", lambda one=one: _opened(one, key(one)))  # type: ignore[misc]


def _room(restoring: Restoring, chosen: Mapping[str, Chosen]) -> Assertion:
    """Hold what all copies need together against what is free: each is kept until all were looked at."""
    place = restoring.scratch
    place.mkdir(parents=True, exist_ok=True)
    needed, free = sum(room_for(one.manifest) for one in chosen.values()), shutil.disk_usage(place).free
    fits = free >= needed
    return Assertion(
        name="room in scratch",
        level=0,
        outcome=Outcome.PASSED if fits else Outcome.FAILED,
        expected=f"{format_bytes(needed)} for {len(chosen)} systems",
        observed=f"{format_bytes(free)} free in {place}",
        note="" if fits else "set WATCHKEEPER_STATE to a disk with room",
    )


def _opened(chosen: Chosen, identity: Identity | None) -> str:
    """Read the beginning of the smallest encrypted part: what the key opens there, it opens everywhere."""
    parts = [one for one in chosen.manifest.parts if one.encryption == "age"]
    part = min(parts, key=lambda one: one.stored_bytes, default=None)
    if part is None:
        return "nothing is encrypted"
    reading = VaultSource(chosen.vault, chosen.manifest, identity).read(part.name)
    with suppress(StopIteration):
        next(reading)
    return f"it opens {part.name}"


def _told(name: str, hold: Callable[[], str]) -> Assertion:
    try:
        return Assertion(name=name, level=0, outcome=Outcome.PASSED, observed=hold())
    except WatchkeeperError as error:
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else Outcome.FAILED
        return Assertion(name=name, level=0, outcome=outcome, note=error.message, expected=error.hint or "")
    except OSError as error:
        return Assertion(name=name, level=0, outcome=Outcome.FAILED, note=error.strerror or type(error).__name__)
