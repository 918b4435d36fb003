"""The lab's own process: keeps the doors, feeds the metrics, and makes and mends faults on command."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments import control
from deployments.lab import metrics, wear
from deployments.lab.catalog import DOOR, Fault, Undo, Workshop, find
from deployments.lab.doors import Doorkeeper
from deployments.lab.heartbeats import Heartbeats
from deployments.lab.pieces import SOCKET, Lab, Piece
from deployments.lab.servers import rabbitmq
from tasks.core.errors import ConfigError, TransientError, WatchkeeperError

_FEED_SECONDS = 5.0
_CONSUMERS_SECONDS = 0.3
log = logging.getLogger("lab")


class Feeder:
    """Keeps every Prometheus of the lab fresh.

    Args:
        pieces: Where each platform's metrics go.
    """

    def __init__(self, pieces: list[Piece]) -> None:
        self._addresses = {piece.target: piece.address for piece in pieces}
        self._healthy = {piece.target: wear.told(piece) for piece in pieces}
        self._worse: list[tuple[str, list[metrics.Series]]] = []
        self._feeding = threading.Lock()

    def run(self) -> None:
        """Feed until the process ends."""
        while True:
            for target, address in self._addresses.items():
                with self._feeding:
                    self._feed(target, address)
            time.sleep(_FEED_SECONDS)

    def _feed(self, target: str, address: str) -> None:
        worse = [one for where, series in self._worse if where == target for one in series]
        series = metrics.laid_over(self._healthy[target], worse)
        try:
            metrics.push(address, metrics.latest(series, time.time()))
        except OSError as error:
            log.warning("%s cannot be fed: %s", target, error)

    def add(self, target: str, series: list[metrics.Series]) -> Undo:
        """Feed worse series from now on, over the healthy ones of the same labels; returns how they are taken out."""
        added = (target, series)
        with self._feeding:
            self._worse.append(added)

        def stop() -> None:
            with self._feeding:
                self._worse.remove(added)

        return stop


class Consumers:
    """Keeps consumers at every broker of the lab, as the platforms' workers would be; they are slow without end.

    Args:
        brokers: The pieces that are a broker.
    """

    def __init__(self, brokers: list[Piece]) -> None:
        self._brokers = {piece.target: piece for piece in brokers}
        self._held: dict[str, contextlib.ExitStack] = {}

    def run(self) -> None:
        """Consume from every broker's queues as soon as they are there."""
        waiting = list(self._brokers)
        while waiting:
            for target in list(waiting):
                with contextlib.suppress(OSError, WatchkeeperError):
                    if self._is_filled(target):
                        self._connect(target)
                        waiting.remove(target)
            time.sleep(_CONSUMERS_SECONDS)

    def _is_filled(self, target: str) -> bool:
        piece = self._brokers[target]
        return all(rabbitmq.has(piece.address, queue) for queue in rabbitmq.played(piece.details["queues"]))

    def disconnect(self, target: str) -> Undo:
        """Take a broker's consumers away; returns how they come back."""
        if held := self._held.pop(target, None):
            held.close()
        return lambda: self._connect(target)

    def _connect(self, target: str) -> None:
        piece, held = self._brokers[target], contextlib.ExitStack()
        held.enter_context(rabbitmq.consuming(piece.address, *rabbitmq.played(piece.details["queues"])))
        self._held[target] = held


@dataclass(frozen=True, eq=False)
class _Broken:
    """A fault that holds."""

    piece: Piece
    fault: Fault
    undo: Undo

    def __str__(self) -> str:
        return f"{self.piece.target} {self.fault.name}"

    def excludes(self, piece: Piece, fault: Fault) -> bool:
        """Tell whether it cannot hold together with another; a door is shared by all systems behind it."""
        if not fault.instead or fault.instead != self.fault.instead:
            return False
        return self.piece.front == piece.front if fault.instead == DOOR else self.piece is piece


class Agent:
    """Answers commands; the faults that hold are its only memory.

    Args:
        lab: What is up.
        workshop: What faults work with.
    """

    def __init__(self, lab: Lab, workshop: Workshop) -> None:
        self._pieces = {piece.target: piece for piece in lab.pieces}
        self._workshop = workshop
        self._broken: list[_Broken] = []
        self._lock = threading.Lock()
        self._commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "break": self._break,
            "mend": self._mend,
            "faults": lambda _: {"faults": self._faults()},
        }

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says; what went wrong is in the answer's `error`."""
        command = self._commands.get(str(body.get("command")))
        try:
            if command is None:
                raise ConfigError(f"no such command: {body.get('command')}")  # noqa: TRY301
            with self._lock:
                return command(body)
        except WatchkeeperError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            log.exception("%s failed", body.get("command"))
            return {"error": f"{type(error).__name__}: {error}"}

    def _faults(self) -> dict[str, list[str]]:
        faults: dict[str, list[str]] = {}
        for one in self._broken:
            faults.setdefault(one.piece.target, []).append(one.fault.name)
        return faults

    def _break(self, body: dict[str, Any]) -> dict[str, Any]:
        piece = self._pieces[body["target"]]
        fault = find(body["fault"], piece)
        if not any(one.piece is piece and one.fault is fault for one in self._broken):
            self._undo([one for one in self._broken if one.excludes(piece, fault)])
            self._broken.append(_Broken(piece, fault, fault.make(piece, self._workshop)))
        return {"target": piece.target, "fault": fault.name}

    def _mend(self, body: dict[str, Any]) -> dict[str, Any]:
        target = body.get("target")
        return {"mended": self._undo([one for one in self._broken if target in (None, one.piece.target)])}

    def _undo(self, broken: list[_Broken]) -> list[str]:
        """Undo the newest first, as one fault may stand in the way of undoing an older one; stop at none."""
        failures = []
        for one in reversed(broken):
            try:
                one.undo()
            except Exception as error:
                log.exception("%s cannot be mended", one)
                failures.append(f"{one} cannot be mended: {type(error).__name__}: {error}")
            else:
                self._broken.remove(one)
        if failures:
            raise TransientError("; ".join(failures), hint="mend again, or start the lab anew")
        return [str(one) for one in broken]


def serve(agent: Agent, server: socket.socket) -> None:
    """Answer one command after the other until the process ends."""
    while True:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError, json.JSONDecodeError):
            connection.settimeout(60)
            with connection.makefile("rwb") as stream:
                body = json.loads(stream.readline(65536))
                stream.write(json.dumps(agent.answer(body)).encode() + b"\n")


def main() -> None:
    """Serve the lab in the state folder, the only argument."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    state = Path(sys.argv[1])
    lab = Lab.read(state)
    doors = Doorkeeper({piece.front: piece.back for piece in lab.pieces if piece.front and piece.back})
    feeder = Feeder([piece for piece in lab.pieces if piece.kind == "prometheus" and piece.address])
    threading.Thread(target=feeder.run, name="feeder", daemon=True).start()
    consumers = Consumers([piece for piece in lab.pieces if piece.kind == "rabbitmq" and piece.address])
    threading.Thread(target=consumers.run, name="consumers", daemon=True).start()
    heartbeats = Heartbeats(lab.pieces)
    threading.Thread(target=heartbeats.run, name="heartbeats", daemon=True).start()
    agent = Agent(lab, Workshop(state, doors.set, feeder.add, lab.stage, consumers.disconnect, heartbeats))
    serve(agent, control.listen(state / SOCKET))


if __name__ == "__main__":
    main()
