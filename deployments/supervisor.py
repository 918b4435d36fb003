"""Keeps a handful of processes: starts them in order, knows when they are ready, ends them all, leaves none behind.

Three things see to the last: the kernel ends each child when the supervisor dies (`setpriv --pdeathsig`); a guardian,
its parent, then ends whatever else carries the same mark in its environment, so grandchildren too; and the next
start ends what carries the mark of a supervisor whose lock is free. No process without the mark is ever signalled.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deployments import control
from tasks.core.errors import ConfigError, TransientError, Unreachable

MARK = "WATCHKEEPER_SUPERVISED_BY"
_PR_SET_PDEATHSIG = 1
_PROBE_SECONDS = 0.5
log = logging.getLogger("supervisor")


@dataclass(frozen=True)
class Process:
    """One process to keep.

    Attributes:
        name: What commands call it; its log is `<name>.log`.
        command: The command line; never with a secret in it.
        environment: Added to the supervisor's environment.
        folder: Working directory; the supervisor's folder by default.
        answers: A loopback port, a URL, or the absolute path of a Unix socket that answers when it is ready; ready at
            once without.
        timeout: Seconds that it may take to be ready.
        after: Names of processes that must be ready before it starts.
        stop: Name of the signal that ends it in order.
        patience: Seconds that it may take to end, before it is ended by force.
        orphaned: Name of the signal that the kernel sends it when the supervisor is gone.
        prefix: Words before the command that change what it may do.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    folder: str | None = None
    answers: int | str | None = None
    timeout: float = 60
    after: tuple[str, ...] = ()
    stop: str = "TERM"
    patience: float = 10
    orphaned: str = "KILL"
    prefix: tuple[str, ...] = ()


def launch(folder: Path, processes: Iterable[Process], *, progress: Callable[[str], None]) -> None:
    """Start a supervisor in the background and wait until all its processes are ready.

    Args:
        folder: Its own private folder, for logs, lock and control socket.
        processes: What to keep; names are unique.
        progress: Told of each process that is ready.

    Raises:
        ConfigError: One is up in this folder already.
        TransientError: A process ended or was not ready in time; then nothing is left running.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if _stays_up(folder):
        raise ConfigError(f"something is up in {folder} already", hint="end it first")
    sweep_stale(folder)
    mark = secrets.token_hex(16)
    _write_private(folder / "mark", mark)
    _write_private(folder / "processes.json", json.dumps([asdict(process) for process in processes]))
    with (folder / "supervisor.log").open("wb") as log:
        daemon = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "deployments.supervisor", str(folder)],
            env={**os.environ, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _follow_start(folder, daemon, progress)
    except BaseException:
        end(folder)
        daemon.wait(10)
        raise
    daemon.returncode = 0  # it lives on without us; Popen shall not complain of a process that was left


def _follow_start(folder: Path, daemon: subprocess.Popen[bytes], progress: Callable[[str], None]) -> None:
    told: set[str] = set()
    while True:
        try:
            state = status(folder)
        except Unreachable:
            if daemon.poll() is not None:
                text = (folder / "supervisor.log").read_text(encoding="utf-8", errors="replace")
                raise TransientError("the supervisor did not start", hint=text[-800:]) from None
            time.sleep(0.03)
            continue
        for name, one in state["processes"].items():
            if one["state"] == "ready" and name not in told:
                told.add(name)
                progress(f"{name} is ready after {one['seconds']:.1f} s")
        if state["failed"]:
            raise TransientError(state["failed"])
        if len(told) == len(state["processes"]):
            return
        time.sleep(0.05)


def is_up(folder: Path) -> bool:
    """Tell whether a supervisor lives in the folder; its lock says so, no process id can mislead."""
    with contextlib.suppress(FileNotFoundError), (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _stays_up(folder: Path, patience: float = 5) -> bool:
    """Tell whether a supervisor lives in the folder, once one that was killed has let go of the lock."""
    deadline = time.monotonic() + patience
    while is_up(folder):
        with contextlib.suppress(Unreachable):
            status(folder)
            return True
        if time.monotonic() > deadline:
            return True
        time.sleep(0.03)
    return False


def status(folder: Path) -> dict[str, Any]:
    """Return `pid`, `failed` and for each of `processes` its `state`, `pid`, `seconds` and `exit_code`.

    Raises:
        Unreachable: No supervisor answers in the folder.
    """
    return control.ask(folder / "control", "status", timeout=10)


def restart(folder: Path, name: str) -> dict[str, Any]:
    """End one process in order, start it again, and wait until it is ready."""
    return control.ask(folder / "control", "restart", name=name, timeout=120)


def end(folder: Path, timeout: float = 30) -> bool:
    """End the supervisor of a folder with all its processes, by force after the time-out (seconds).

    Returns:
        Whether there was one.
    """
    was_up = is_up(folder)
    if was_up:
        with contextlib.suppress(Unreachable):
            control.ask(folder / "control", "down", timeout=timeout)
        deadline = time.monotonic() + timeout
        while is_up(folder) and time.monotonic() < deadline:
            time.sleep(0.03)
    sweep_stale(folder)
    return was_up


def sweep_stale(folder: Path) -> None:
    """End by force what carries the mark of this folder's last supervisor."""
    with contextlib.suppress(FileNotFoundError):
        _sweep((folder / "mark").read_text(encoding="utf-8"))


def marked(mark: str) -> list[int]:
    """Return the ids of all processes with a mark in their environment, other than this one."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def _sweep(mark: str, timeout: float = 5) -> None:
    deadline = time.monotonic() + timeout
    while (left := marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


class _Child:
    """A process as the supervisor sees it."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.popen: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.seconds: float | None = None

    @property
    def state(self) -> str:
        """One of waiting, starting, ready, ended."""
        if self.popen is None:
            return "waiting"
        if self.popen.poll() is not None:
            return "ended"
        return "starting" if self.seconds is None else "ready"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.process.name}.log"

    def start(self) -> None:
        """Start it. The kernel watches the thread that does this, so it must be the main one."""
        process = self.process
        dies = ("setpriv", "--pdeathsig", process.orphaned)
        self.began, self.seconds = time.monotonic(), None
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(  # noqa: S603 - what the supervisor was told to keep
                [*process.prefix, *dies, *process.command],
                cwd=process.folder or self.folder,
                env={**os.environ, **process.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> None:
        """Notice that it has become ready."""
        if self.state == "starting" and _answers(self.process.answers):
            self.seconds = time.monotonic() - self.began

    def problem(self) -> str | None:
        """Say why it did not become ready, with the end of its log."""
        if self.seconds is not None or self.popen is None:
            return None
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-800:].strip()
        if self.state == "ended":
            return f"{self.process.name} ended with {self.popen.returncode}: {tail}"
        if time.monotonic() - self.began > self.process.timeout:
            return f"{self.process.name} was not ready within {self.process.timeout:g} s: {tail}"
        return None

    def signal(self) -> None:
        """Ask it to end."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(signal.Signals[f"SIG{self.process.stop}"])

    def wait(self) -> None:
        """Wait for its end; by force after its time."""
        if self.popen is None:
            return
        try:
            self.popen.wait(self.process.patience)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %g s and is killed", self.process.name, self.process.patience)
            self.popen.kill()
            self.popen.wait(10)

    def as_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "pid": self.popen.pid if self.popen else None,
            "seconds": None if self.seconds is None else round(self.seconds, 2),
            "exit_code": self.popen.returncode if self.popen else None,
        }


def _answers(where: int | str | None) -> bool:
    try:
        if isinstance(where, int):
            socket.create_connection(("127.0.0.1", where), _PROBE_SECONDS).close()
        elif where is not None and where.startswith("/"):
            control.connect(Path(where), _PROBE_SECONDS).close()
        elif where is not None:
            urllib.request.urlopen(where, timeout=_PROBE_SECONDS).close()  # noqa: S310 - an address of our own
    except OSError:
        return False
    return True


@dataclass
class _Request:
    """A command with the place where its answer goes."""

    body: dict[str, Any]
    answer: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)


class Supervisor:
    """The process that keeps the others. All that starts or ends one happens in the thread that calls `run`."""

    def __init__(self, folder: Path, processes: Iterable[Process]) -> None:
        self.folder = folder
        self.children = {process.name: _Child(process, folder) for process in processes}
        self.failed: str | None = None
        self.requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()

    def run(self) -> None:
        """Keep the processes until a command or a signal says that it is enough."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.requests.put(_Request({"command": "down"})))
        server = control.listen(self.folder / "control")
        threading.Thread(target=self._serve, args=(server,), daemon=True).start()
        last: _Request | None = None
        while last is None:
            self._tick()
            with contextlib.suppress(queue.Empty):
                request = self.requests.get(timeout=0.03 if self._starting() else 0.5)
                if request.body.get("command") == "down":
                    last = request
                else:
                    self._answer(request)
        log.info("ending %d processes", len(self.children))
        self.stop()
        log.info("all have ended")
        last.answer.put({})
        time.sleep(0.05)

    def stop(self) -> None:
        """End all, each before what it depends on."""
        left = dict(self.children)
        while left:
            needed = {name for child in left.values() for name in child.process.after}
            wave = [child for name, child in left.items() if name not in needed] or list(left.values())
            for child in wave:
                child.signal()
            for child in wave:
                child.wait()
                del left[child.process.name]

    def _tick(self) -> None:
        for child in self.children.values():
            child.look()
            if child.state == "waiting" and self.failed is None:
                self._start_when_possible(child)
            self.failed = self.failed or child.problem()

    def _start_when_possible(self, child: _Child) -> None:
        if not all(self.children[name].seconds is not None for name in child.process.after):
            return
        try:
            child.start()
        except OSError as error:
            self.failed = f"{child.process.name} cannot be started: {error}"

    def _starting(self) -> bool:
        return any(child.seconds is None for child in self.children.values())

    def _answer(self, request: _Request) -> None:
        body = request.body
        if body.get("command") == "status":
            request.answer.put(self._status())
            return
        child = self.children.get(str(body.get("name")))
        if child is None or body.get("command") != "restart":
            request.answer.put({"error": f"no such command or process: {body.get('command')} {body.get('name')}"})
            return
        child.signal()
        child.wait()
        child.start()
        while child.state == "starting" and child.problem() is None:
            child.look()
            time.sleep(0.03)
        problem = child.problem()
        request.answer.put({"error": problem} if problem else self._status())

    def _status(self) -> dict[str, Any]:
        processes = {name: child.as_dict() for name, child in self.children.items()}
        return {"pid": os.getpid(), "failed": self.failed, "processes": processes}

    def _serve(self, server: socket.socket) -> None:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, json.JSONDecodeError):
            connection.settimeout(120)
            with connection.makefile("rwb") as stream:
                request = _Request(json.loads(stream.readline(65536)))
                self.requests.put(request)
                stream.write(json.dumps(request.answer.get(timeout=120)).encode() + b"\n")


def _guard(mark: str) -> None:
    """Go on as a child of a guardian that ends everything marked when this process is gone, however it went."""
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: os.kill(child, got))
    os.waitpid(child, 0)
    _sweep(mark)
    os._exit(0)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("wb") as lock:
        deadline = time.monotonic() + 1
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # `is_up` holds it for a moment
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield


def main() -> None:
    """Keep what `processes.json` in the folder names; the folder is the only argument."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder = Path(sys.argv[1])
    processes = json.loads((folder / "processes.json").read_text(encoding="utf-8"))
    with _only_one(folder):
        _guard(os.environ[MARK])
        Supervisor(folder, [Process(**process) for process in processes]).run()


if __name__ == "__main__":
    main()
