"""What must hold over several restored copies at once: the application's own tests, and rows against objects.

The copies of all systems are kept until this is done; each is torn down by whoever restored it.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.clients.process import Ran, run
from tasks.core.drill_plan import Reconciliation, Smoke
from tasks.core.errors import NotOffered, PermanentError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.restore import Assertion, Restored, Source
from tasks.core.results import Outcome
from tasks.core.system import Access, ProtectedSpec
from tasks.systems import kinds

_NAMED = 3
_TAIL = 400
_LOOK = 0.2
_INHERITED = ("HOME", "LANG", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Copy:
    """One restored copy as long as it is there."""

    spec: ProtectedSpec
    source: Source = field(repr=False)
    restored: Restored = field(repr=False)


class Copies:
    """Where the threads that restore meet: each offers its copy and keeps it until all was held against it."""

    def __init__(self, names: Iterable[str]) -> None:
        self._open = set(names)
        self._found: dict[str, Copy] = {}
        self._changed = threading.Condition()
        self._done = threading.Event()

    def offer(self, name: str, copy: Copy) -> None:
        """Lend a copy, and wait until it is not needed any more."""
        with self._changed:
            self._found[name] = copy
            self._open.discard(name)
            self._changed.notify_all()
        self._done.wait()

    def gone(self, name: str) -> None:
        """Say that no copy of a system will come."""
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()

    def all(self) -> dict[str, Copy]:
        """Wait until every system has offered its copy or is gone, and return the copies."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open)
            return dict(self._found)

    def release(self) -> None:
        """Let every copy be torn down."""
        self._done.set()


_Held = tuple[Outcome, str, str, str]


def held_over_all(
    platform: PlatformSpec, copies: dict[str, Copy], access: Access, is_over: Callable[[], bool] = lambda: False
) -> Iterator[Assertion]:
    """Run the application's tests against the copies, and hold rows against the objects that they name. Level 4.

    Args:
        platform: Whose `drill` says what must hold.
        copies: The restored copies by system.
        access: Resolves references.
        is_over: Asked time and again: true where nobody wants to know any more, and a test is ended.
    """
    for name, held in platform.drill.reconcile.items():
        yield _told(f"{name}: rows and objects", functools.partial(_reconciled, held, copies))
    for name, smoke in platform.drill.smoke.items():
        yield _told(f"{name}: smoke test", functools.partial(_smoke, smoke, copies, access, is_over))


def _told(name: str, hold: Callable[[], _Held]) -> Assertion:
    try:
        outcome, expected, observed, note = hold()
    except WatchkeeperError as error:
        outcome = Outcome.NOT_CHECKED if isinstance(error, NotOffered) else Outcome.ERRORED
        expected, observed, note = "", "", str(error)
    return Assertion(name=name, level=4, outcome=outcome, expected=expected, observed=observed, note=note)


def _copy(copies: dict[str, Copy], system: str) -> Copy:
    if system not in copies:
        raise NotOffered(f"{system} was not restored in this drill")
    return copies[system]


def _reconciled(held: Reconciliation, copies: dict[str, Copy]) -> _Held:
    rows, objects = _copy(copies, held.rows), _copy(copies, held.objects)
    ask, names = kinds()[rows.spec.kind].values(), kinds()[objects.spec.kind].paths()
    if ask is None or names is None:
        raise NotOffered("this version cannot hold these kinds against each other")
    query = held.query.replace("{as_of}", f"'{objects.source.manifest.consistent_as_of.isoformat()}'")
    wanted = {value.removeprefix(held.strip) for value in ask(rows.spec, rows.restored, query)}
    there = set(names(objects.source))
    missing, orphans = sorted(wanted - there), len(there - wanted)
    named = ", ".join(islice(missing, _NAMED))
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    note = f"named by rows and not in the backup: {named}{more}" if missing else ""
    expected = f"at most {held.missing} missing" if held.missing else "none missing"
    observed = f"{len(missing)} of {len(wanted)} missing, {orphans} that no row names"
    if not wanted:
        return Outcome.ERRORED, expected, observed, "no row names anything: is the query right?"
    return (Outcome.FAILED if len(missing) > held.missing else Outcome.PASSED), expected, observed, note


def _smoke(smoke: Smoke, copies: dict[str, Copy], access: Access, is_over: Callable[[], bool]) -> _Held:
    folder = _source_folder(smoke, access)
    addresses = {variable: _copy(copies, system).restored.address for variable, system in smoke.addresses.items()}
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = [str(folder / ".venv" / "bin")] if folder is not None else []
    path = os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])
    running = run(
        smoke.command,
        environment=inherited | addresses | {"PATH": path},
        seconds=smoke.timeout.total_seconds(),
        folder=folder,
    )
    ran = asyncio.run(_unless(is_over, running))
    said = access.resolver.scrub(f"{ran.output}\n{ran.errors}".strip())
    for address in addresses.values():
        said = said.replace(address, "***")
    outcome = Outcome.PASSED if ran.status == 0 else Outcome.FAILED
    return outcome, "exit status 0", f"exit status {ran.status}", "" if ran.status == 0 else said[-_TAIL:]


async def _unless(is_over: Callable[[], bool], running: Coroutine[Any, Any, Ran]) -> Ran:
    """Await a program, and end it where nobody wants to know any more.

    Raises:
        PermanentError: It was ended.
    """
    task = asyncio.create_task(running)
    while not (await asyncio.wait((task,), timeout=_LOOK))[0]:
        if is_over():
            task.cancel()
    if task.cancelled():
        raise PermanentError("it was cancelled", operation="run the smoke test")
    return task.result()


def _source_folder(smoke: Smoke, access: Access) -> Path | None:
    """Return where a smoke test is run.

    Raises:
        NotOffered: Nothing is there, or not what the command names.
    """
    if smoke.folder is None:
        return None
    folder = Path(access.resolver.resolve(smoke.folder))
    named = [word for word in smoke.command if "/" in word and "://" not in word and not word.startswith(("-", "/"))]
    for path in (folder, *(folder / word for word in named)):
        if not path.exists():
            raise NotOffered(f"{path} is not there")
    return folder
