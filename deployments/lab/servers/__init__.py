"""Real servers, one module a kind: how each is prepared in a folder, started on a loopback port, and known to be ready.

Nothing here starts a process that lasts: the lab hands the command to its supervisor, a test to `running`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.core.errors import ConfigError, TransientError

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below what the kernel gives to clients, who would otherwise take one in between
_taken: set[int] = set()


@dataclass(frozen=True)
class Server:
    """How to run one server.

    Attributes:
        name: What logs and errors call it.
        command: The command line; it holds no secret.
        folder: Its own folder, made and filled; also the working directory.
        port: The loopback port on which clients reach it.
        address: What clients connect with as its administrator; holds the password.
        ready: Returns once the server answers a client; raises any error of the driver before.
        environment: Added to the environment of the process.
        stop: The signal that ends it in order.
        patience: Seconds that it may take to end, before it is ended by force.
        orphaned: The signal that ends it when its parent is gone.
        prefix: Words before the command that change what the process may do, such as a user namespace.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    port: int
    address: str
    ready: Callable[[], object] = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM
    patience: float = 10
    orphaned: signal.Signals = signal.SIGKILL
    prefix: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """The whole command line: the kernel ends the process when the thread that started it ends."""
        dies = ("setpriv", "--pdeathsig", self.orphaned.name.removeprefix("SIG"))
        return [*self.prefix, *dies, *self.command]


def free_ports(count: int) -> list[int]:
    """Return loopback ports that are free, and that no earlier call in this process returned."""
    found: list[int] = []
    while len(found) < count:
        if len(_taken) == len(PORTS):
            raise TransientError(f"there is no free port between {PORTS.start} and {PORTS.stop}")
        port = random.choice(PORTS)  # noqa: S311 - spread, not secrecy
        if port in _taken:
            continue
        _taken.add(port)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind((HOST, port))
            found.append(port)
    return found


def cache_folder() -> Path:
    """Return the folder for what is made or fetched once for each user, made private."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "watchkeeper" / "lab"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the user's cache, filled at the first call; safe when several do so at once.

    Args:
        name: The folder's name; with the version of what makes it.
        make: Fills an empty folder.
    """
    kept = cache_folder() / name
    if kept.exists():
        return kept
    with kept.with_name(f"{name}.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=kept.parent) as work:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            fresh = Path(work) / "fresh"
            fresh.mkdir()
            make(fresh)
            fresh.rename(kept)
    return kept


def wait_until_ready(server: Server, *, alive: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until a server answers.

    Raises:
        TransientError: It ended, or did not answer within the time-out (seconds); the message ends with its log.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            server.ready()
        except Exception as error:  # noqa: BLE001 - every driver has its own; the last one is told below
            ended = not alive()
            if ended or time.monotonic() > deadline:
                why = "ended" if ended else f"did not answer within {timeout:g} s ({type(error).__name__})"
                raise TransientError(f"{server.name} {why}", hint=log_tail(server.folder)) from None
            time.sleep(0.03)
        else:
            return


def log_tail(folder: Path, size: int = 800) -> str:
    """Return the end of a server's log, on one line."""
    log = folder / "log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return " | ".join(text[-size:].split("\n")).strip(" |")


def start(server: Server) -> subprocess.Popen[bytes]:
    """Start a server; call it from a thread that lives as long as the server shall."""
    with (server.folder / "log").open("ab") as log:
        try:
            return subprocess.Popen(  # noqa: S603 - our own command lines
                server.arguments,
                cwd=server.folder,
                env={**os.environ, **server.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise ConfigError(f"{error.filename} is not installed", hint="install util-linux") from None


def end(server: Server, process: subprocess.Popen[bytes]) -> None:
    """End a server in order, or by force after its time."""
    if process.poll() is None:
        process.send_signal(server.stop)
    try:
        process.wait(server.patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def running(server: Server, timeout: float = 30) -> Iterator[Server]:
    """Run a server until the end of the block."""
    process = start(server)
    try:
        wait_until_ready(server, alive=lambda: process.poll() is None, timeout=timeout)
        yield server
    finally:
        end(server, process)
