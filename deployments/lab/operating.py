"""Bringing the lab up and down, and breaking and mending it: what the `watchkeeper lab` commands do."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments import control, supervisor
from deployments.lab import archiving
from deployments.lab.blueprint import STORE, Blueprint, draw
from deployments.lab.pieces import SOCKET, Lab, Piece
from deployments.lab.seeding import seed
from deployments.lab.servers import Server, rabbitmq
from tasks.clients.secrets import SecretResolver
from tasks.core.errors import ConfigError, Unreachable
from tasks.core.platform import PlatformSpec
from tasks.platforms import LAB_VALUES, lab_environment, load, platform_names
from tasks.platforms import resolver as lab_resolver

_OWN_FILE = ".watchkeeper-lab"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SystemStatus:
    """One system of the lab: how it is reached, and what is broken in it."""

    target: str
    kind: str
    address: str
    state: str
    faults: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class LabStatus:
    """The lab at a glance."""

    up: bool
    state: str
    platforms: tuple[str, ...]
    systems: tuple[SystemStatus, ...]
    slack: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, without any secret."""
        return asdict(self)

    @property
    def text(self) -> str:
        """The same for a person."""
        if not self.up:
            return f"the lab is not up in {self.state}"
        width = max((len(system.target) for system in self.systems), default=0)
        lines = [
            f"{system.target:<{width}}  {system.kind:<11} {system.address:<21} "
            + (", ".join(system.faults) or system.note or system.state)
            for system in self.systems
        ]
        return "\n".join([*lines, "", f"Slack: {self.slack}"])


def up(platforms: Sequence[str], state: Path, *, progress: Progress = lambda _: None) -> LabStatus:
    """Bring the lab up for platforms; once they are, do nothing.

    Args:
        platforms: Names, or paths of specs; all that have a spec where none is given.
        state: The lab's own folder. What is in it from an earlier lab is removed.
        progress: Told of each step.

    Raises:
        ConfigError: A spec has problems, or the folder holds something else.
        TransientError: A server did not start; then nothing is left running.
    """
    specs = [load(name) for name in platforms or platform_names()]
    state = state.resolve()
    if _is_up(state):
        known = set(Lab.read(state).platforms)
        if known >= {spec.platform for spec in specs}:
            return status(state)
        specs += [load(name) for name in sorted(known - {spec.platform for spec in specs})]
        progress("starting again, with more platforms")
        down(state)
    return _fresh(specs, state, progress)


def _fresh(specs: list[PlatformSpec], state: Path, progress: Progress) -> LabStatus:
    began = time.monotonic()
    _empty(state)
    plan, lab = draw(specs, state)
    lab.write(state)
    progress(f"{len(plan.processes)} processes for {len(lab.pieces)} systems")
    try:
        with _filling(plan, lab):
            supervisor.launch(_kept(state), plan.processes, progress=progress)
        _reach_through_doors(lab)
        _await_figures(lab, progress)
    except BaseException:
        down(state)
        raise
    for piece in lab.pieces:
        if piece.note:
            progress(f"{piece.target}: {piece.note}")
    _write_private(state / LAB_VALUES, json.dumps(plan.unplayed | plan.environment, indent=1))
    archiving.begin(lab.pieces, state, os.environ)
    progress(f"the lab is up after {time.monotonic() - began:.1f} s")
    return status(state)


@contextlib.contextmanager
def _filling(plan: Blueprint, lab: Lab) -> Iterator[None]:
    """Seed every store as soon as it answers, side by side; the pieces of one store one after the other."""
    queues: dict[str, list[Piece]] = {}
    for piece in lab.pieces:
        if piece.address:
            queues.setdefault(piece.process, []).append(piece)
    given_up = threading.Event()

    def fill(pieces: list[Piece]) -> None:
        for piece in pieces:
            _await(plan.servers[STORE if piece.process == STORE else piece.details.get("in", piece.target)], given_up)
            seed(piece)

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(fill, pieces) for pieces in queues.values()]
        try:
            yield
        except BaseException:
            given_up.set()
            raise
        for one in work:
            one.result()


def _await(server: Server, given_up: threading.Event, timeout: float = 60) -> None:
    """Wait until a server answers its driver."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            server.ready()
        except Exception:
            if given_up.wait(0.05) or time.monotonic() > deadline:
                raise
        else:
            return


def _await_figures(lab: Lab, progress: Progress, timeout: float = 30) -> None:
    """Wait until every broker tells of its queues and their consumers what a check asks: it does so once a second."""
    deadline = time.monotonic() + timeout
    for piece in lab.pieces:
        if piece.kind == "rabbitmq" and piece.address and not _tells_figures(piece, deadline):
            progress(
                f"{piece.target} has told no figures for {timeout:g} s: a check says of them that they are missing"
            )


def _tells_figures(piece: Piece, deadline: float) -> bool:
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if rabbitmq.has_figures(piece.address, rabbitmq.played(piece.details["queues"])):
                return True
        time.sleep(0.1)
    return False


def _reach_through_doors(lab: Lab) -> None:
    """Point each kubeconfig that a cluster wrote at the cluster's door."""
    for piece in lab.pieces:
        if "kubeconfig" not in piece.details:
            continue
        written = Path(piece.details["kubeconfig"])
        if written.exists():
            text = re.sub(rf"(127\.0\.0\.1|localhost):{piece.back}\b", rf"\1:{piece.front}", written.read_text("utf-8"))
            _write_private(written.with_suffix(".kubeconfig"), text)


def down(state: Path) -> bool:
    """End the lab and remove what it kept.

    Returns:
        Whether it was up.
    """
    state = state.resolve()
    was_up = supervisor.end(_kept(state)) if _kept(state).exists() else False
    if (state / _OWN_FILE).exists():
        shutil.rmtree(state, ignore_errors=True)
    return was_up


def status(state: Path) -> LabStatus:
    """Return what is up, how it is reached, and what is broken."""
    state = state.resolve()
    if not _is_up(state):
        return LabStatus(up=False, state=str(state), platforms=(), systems=(), slack="")
    lab = Lab.read(state)
    processes = supervisor.status(_kept(state))["processes"]
    faults = control.ask(state / SOCKET, "faults")["faults"] if processes["agent"]["state"] == "ready" else {}
    systems = tuple(_describe(piece, processes, faults) for piece in lab.pieces)
    slack = lab.slack if "slack" in processes else ""
    return LabStatus(up=True, state=str(state), platforms=lab.platforms, systems=systems, slack=slack)


def _describe(piece: Piece, processes: dict[str, Any], faults: dict[str, list[str]]) -> SystemStatus:
    state = processes[piece.process]["state"] if piece.process in processes else "not played"
    address = f"127.0.0.1:{piece.front}" if piece.front else "-"
    broken = tuple(faults.get(piece.target, ()))
    return SystemStatus(piece.target, piece.kind, address, state, broken, piece.note)


def break_(state: Path, target: str, fault: str) -> None:
    """Break a system for real, until it is mended.

    Args:
        state: The lab's folder.
        target: `platform/system`.
        fault: A name that `faults` lists.

    Raises:
        ConfigError: The lab is not up, or knows no such target; the hint names what is close.
        PermanentError: The system cannot have this fault.
    """
    state = state.resolve()
    control.ask(state / SOCKET, "break", target=_known(state, target), fault=fault, timeout=60)


def mend(state: Path, target: str | None = None) -> list[str]:
    """Mend one system, or all.

    Returns:
        What was broken, as `platform/system fault`.
    """
    state = state.resolve()
    wanted = _known(state, target) if target else None
    mended: list[str] = control.ask(state / SOCKET, "mend", target=wanted, timeout=60)["mended"]
    return mended


def environment(state: Path) -> dict[str, str]:
    """Return the value of every name that the specs refer to.

    Raises:
        ConfigError: The lab is not up.
    """
    return lab_environment(state)


def resolver(state: Path) -> SecretResolver:
    """Return a resolver that knows what the lab fills and nothing else.

    Raises:
        ConfigError: The lab is not up.
    """
    return lab_resolver(state)


def _known(state: Path, target: str) -> str:
    if not _is_up(state):
        raise ConfigError(f"the lab is not up in {state}", hint="watchkeeper lab up")
    targets = [piece.target for piece in Lab.read(state).pieces]
    if target not in targets:
        close = difflib.get_close_matches(target, targets, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(targets)}"
        raise ConfigError(f"the lab has no system {target!r}", hint=hint)
    return target


def _is_up(state: Path) -> bool:
    if not supervisor.is_up(_kept(state)):
        return False
    with contextlib.suppress(Unreachable):
        return supervisor.status(_kept(state))["failed"] is None
    return False


def _kept(state: Path) -> Path:
    return state / "supervisor"


def _empty(state: Path) -> None:
    """Make the folder empty; end what a lab that died in it left behind, and touch nothing that is not a lab's."""
    if state.exists() and any(state.iterdir()) and not (state / _OWN_FILE).exists():
        raise ConfigError(f"{state} holds something that is no lab", hint="choose another --state")
    down(state)
    state.mkdir(parents=True, mode=0o700, exist_ok=True)
    (state / _OWN_FILE).touch()


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
