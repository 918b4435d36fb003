"""The warm runner: loads Prefect, the flows and every driver once, then forks a child for each flow run.

    python -m deployments.runner SOCKET

Loading takes as long as a whole check of a platform. `deployments.warm` asks for a child and speaks for it. A child
is a process like any other run's: its own session, environment, folder and streams, and the module runs as
`__main__`. No child outlives the runner, and no child outlives who asked for it.

When a file that was loaded has changed on disk, the runner takes no more orders, waits for its children, and starts
itself anew; until then runs start without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import logging
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments import control
from deployments.warm import LENGTH_BYTES, PASSED_ON

_LOADED = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.cli",
    "flows.health_check",
    "flows.deliver_reports",
    "flows.silence_problem",
)
_OWN = ("deployments", "flows", "tasks")
_PR_SET_PDEATHSIG = 1
_TIMEOUT = 5.0
_LONGEST = 4 * 1024 * 1024
log = logging.getLogger("runner")


@dataclass(frozen=True)
class Order:
    """What a child shall be."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str

    @classmethod
    def receive(cls, connection: socket.socket) -> tuple[Order, list[int]]:
        """Read an order and the three streams that come with it.

        Raises:
            OSError: Who asks went away, or took too long.
            ValueError: It is no order.
        """
        connection.settimeout(_TIMEOUT)
        head, streams, _, _ = socket.recv_fds(connection, LENGTH_BYTES, 3)
        try:
            length = int.from_bytes(head, "big")
            if len(head) != LENGTH_BYTES or length > _LONGEST or len(streams) != len((0, 1, 2)):
                raise ValueError("no order")  # noqa: TRY301 - the streams must be closed for this one too
            body = b""
            while len(body) < length:
                if not (piece := connection.recv(length - len(body))):
                    raise ValueError("half an order")  # noqa: TRY301
                body += piece
            told = json.loads(body)
            return cls(tuple(told["command"]), told["environment"], told["folder"]), streams
        except BaseException:
            _close(streams)
            raise


class Runner:
    """Forks on demand. It has one thread: what is forked with more may find a lock held by nobody."""

    def __init__(self, path: Path, sources: Mapping[Path, int]) -> None:
        self._path = path
        self._sources = sources
        self._pid = os.getpid()
        self._listener = control.listen(path)
        self._listener.settimeout(0)
        self._woken, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        self._runs: dict[int, socket.socket | None] = {}
        self._ending = False
        self.stale = False

    def serve(self) -> Order | None:
        """Fork a child for each order.

        Returns:
            In a child, what it shall be. In the runner None, once it was told to end or `stale` has come true.
        """
        self._listen_to_signals()
        while not self._ending and (self._runs or not self.stale):
            for key, _ in self._selector.select():
                order: Order | None = key.data()
                if order is not None:
                    return order
        for pid in self._runs:
            _kill(pid)
        for pid in list(self._runs):
            self._tell(pid, os.waitpid(pid, 0)[1])
        self._path.unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Let go of all that it holds open."""
        self._selector.close()
        for held in (self._listener, self._woken, self._wake, *self._runs.values()):
            if held is not None:
                held.close()

    def _listen_to_signals(self) -> None:
        self._woken.settimeout(0)
        self._wake.settimeout(0)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in PASSED_ON:
            signal.signal(number, self._end)

    def _end(self, *_: object) -> None:
        self._ending = True

    def _accept(self) -> Order | None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return None
        try:
            order, streams = Order.receive(connection)
        except (OSError, ValueError, KeyError, TypeError):
            connection.close()
            return None
        try:
            if reason := self._unfit():
                log.warning("no child for %s: %s", " ".join(order.command), reason)
                connection.close()
                return None
            return self._fork(order, streams, connection)
        finally:
            _close(streams)

    def _unfit(self) -> str | None:
        """Say why there can be no child; a runner whose code has changed takes no more orders."""
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - counted, not walked
            return "a thread was started while loading"
        if not self.stale and (changed := [str(path) for path, seen in self._sources.items() if _stamp(path) != seen]):
            self.stale = True
            self._path.unlink(missing_ok=True)
            self._selector.unregister(self._listener)
            self._listener.close()
            return f"changed since it was loaded: {', '.join(changed)}"
        return None

    def _fork(self, order: Order, streams: list[int], connection: socket.socket) -> Order | None:
        pid = os.fork()
        if pid == 0:
            connection.close()
            self._become(order, streams)
            return order
        self._runs[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ, functools.partial(self._hear, pid, connection))
        with contextlib.suppress(OSError):
            connection.sendall(b"+")
        return None

    def _become(self, order: Order, streams: list[int]) -> None:
        """Leave the runner's things behind and take what the order says."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (*PASSED_ON, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        self.close()
        for at, stream in enumerate(streams):
            os.dup2(stream, at)
        os.environ.clear()
        os.environ.update(order.environment)
        os.chdir(order.folder)

    def _hear(self, pid: int, connection: socket.socket) -> None:
        """Pass a signal on; where who asked has gone, end the child."""
        try:
            numbers = connection.recv(16)
        except OSError:
            numbers = b""
        for wanted in PASSED_ON:
            if wanted in numbers:
                os.kill(pid, wanted)
        if not numbers:
            self._let_go(connection)
            self._runs[pid] = None
            _kill(pid)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(256):
                pass
        for pid in list(self._runs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._tell(pid, status)

    def _tell(self, pid: int, status: int) -> None:
        """Tell who asked how the child ended."""
        connection = self._runs.pop(pid)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            self._let_go(connection)

    def _let_go(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()


def load() -> None:
    """Import all that a run may need, so that no child has to."""
    from tasks.systems import kinds  # noqa: PLC0415 - what is loaded is loaded here

    for name in _LOADED:
        importlib.import_module(name)
    for kind in kinds().values():
        kind.probe()
    gc.collect()
    gc.freeze()


def sources() -> dict[Path, int]:
    """Return the files of our own code that are loaded, each with the time of its last change."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.partition(".")[0] in _OWN:
            found[Path(file)] = _stamp(Path(file))
    return found


def run(order: Order) -> None:
    """Run the module as `python -m` would, with Prefect's settings read anew."""
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - loaded by `load`, not before

    refresh_global_settings_context()
    name, *arguments = order.command
    sys.argv = [name, *arguments]
    sys.path[0] = order.folder
    sys.modules.pop(name, None)  # so that it is not there twice
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def main() -> None:
    """Serve at a socket until told to end; the socket's path is the only argument."""
    log.propagate = False  # nothing of the runner's logging is left to a run
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler())
    load()
    runner = Runner(Path(sys.argv[1]), sources())
    order = runner.serve()
    if order is not None:
        run(order)
    elif runner.stale:
        log.info("starting again, on the code as it is now")
        os.execv(sys.executable, [sys.executable, "-m", "deployments.runner", *sys.argv[1:]])  # noqa: S606


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _kill(pid: int) -> None:
    """End a child that is not reaped yet, with all that it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _close(streams: list[int]) -> None:
    for stream in streams:
        os.close(stream)


if __name__ == "__main__":
    main()
