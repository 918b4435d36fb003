"""What must hold over several restored copies at once: the application's own tests, and rows against objects.

The copies of all systems are kept until this is done; each is torn down by whoever restored it.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.clients.fence import fenced, own_network
from tasks.clients.places import LOOPBACK
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
    return reconciled(held, wanted, there)


def reconciled(held: Reconciliation, wanted: Collection[str], there: Collection[str]) -> _Held:
    """Hold what rows name against what is there, both ways, and say what is expected, what is observed, and which.

    Args:
        held: How much of either may be.
        wanted: The keys that rows name.
        there: The keys that the backup of the objects has.
    """
    missing, unnamed = sorted({*wanted} - {*there}), sorted({*there} - {*wanted})
    expected = f"at most {held.missing} missing" if held.missing else "none missing"
    expected += f", at most {held.unnamed} that no row names" if held.unnamed is not None else ""
    observed = f"{len(missing)} of {len(wanted)} missing, {len(unnamed)} that no row names"
    if not wanted:
        return Outcome.ERRORED, expected, observed, "no row names anything: is the query right?"
    too_many = held.unnamed is not None and len(unnamed) > held.unnamed
    said = [f"named by rows and not in the backup: {_some(missing)}"] if missing else []
    said += [f"in the backup and named by no row: {_some(unnamed)}"] if too_many else []
    failed = len(missing) > held.missing or too_many
    return (Outcome.FAILED if failed else Outcome.PASSED), expected, observed, "; ".join(said)


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more


def _smoke(smoke: Smoke, copies: dict[str, Copy], access: Access, is_over: Callable[[], bool]) -> _Held:
    folder = _source_folder(smoke, access)
    addresses = {variable: _copy(copies, system).restored.address for variable, system in smoke.addresses.items()}
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = [str(folder / ".venv" / "bin")] if folder is not None else []
    path = os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])
    if "/" not in smoke.command[0] and shutil.which(smoke.command[0], path=path) is None:
        raise NotOffered(f"there is no {smoke.command[0]} here")
    ports, unfenced = _ports({system: _copy(copies, system) for system in smoke.addresses.values()})
    running = functools.partial(
        run, environment=inherited | addresses | {"PATH": path}, seconds=smoke.timeout.total_seconds(), folder=folder
    )
    ran = asyncio.run(_unless(is_over, _fenced(running, smoke.command, None if unfenced else ports)))
    said = access.resolver.scrub(f"{ran.output}\n{ran.errors}".strip())
    for address in addresses.values():
        said = said.replace(address, "***")
    outcome = Outcome.PASSED if ran.status == 0 else Outcome.FAILED
    note = f"nothing kept it from reaching other places than the copies: {unfenced}" if unfenced else ""
    return outcome, "exit status 0", f"exit status {ran.status}", note if ran.status == 0 else said[-_TAIL:]


def _ports(copies: dict[str, Copy]) -> tuple[set[int], str]:
    """Return the ports of the loopback at which copies are, and why a program cannot be fenced off to them, if so."""
    ports: set[int] = set()
    for name, copy in copies.items():
        able = kinds()[copy.spec.kind].restore()
        for place in able[1](copy.restored.address) if able is not None else ():
            host, _, port = place.partition("/")[0].rpartition(":")
            if host == LOOPBACK and port.isdecimal():
                ports.add(int(port))
            elif not place.startswith("file:"):
                return set(), f"the copy of {name} is not on this host"
    return ports, "" if own_network() else "this host lets us make no network of its own"


async def _fenced(
    running: Callable[[Sequence[str]], Awaitable[Ran]], command: Sequence[str], ports: set[int] | None
) -> Ran:
    """Run a program behind a fence with these ports; without one where there are none to be had."""
    if ports is None:
        return await running(command)
    async with fenced(command, ports) as behind:
        return await running(behind)


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
