"""Servers of our own, started for a purpose and gone afterwards, whatever happens to us."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tasks.core.errors import NotOffered, TransientError, Unreachable
from tasks.core.units import format_duration

_OFTEN, _SELDOM = 0.02, 0.25
_LAST_WAIT = 10.0
_TAIL = 4000


class Served:
    """A server process that runs.

    Attributes:
        log: The file with all that it writes.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self.log = process, log

    @property
    def status(self) -> int | None:
        """Its exit status; negative where a signal ended it, None while it runs."""
        return self._process.poll()

    def tail(self) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL))
            return log.read().decode("utf-8", "replace")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until the server is ready.

        Args:
            ready: Asks it; what it raises ends the wait.
            seconds: How long it may take.

        Raises:
            TransientError: It ended; its status and log tell why.
            Unreachable: It was not ready in time.
        """
        end, pause = time.monotonic() + seconds, _OFTEN
        while not ready():
            if self.status is not None:
                raise TransientError(f"the scratch server ended with status {self.status}", operation="start scratch")
            if time.monotonic() > end:
                raise Unreachable(f"the scratch server was not ready within {format_duration(seconds)}")
            time.sleep(pause)
            pause = min(pause * 1.2, _SELDOM)


@contextlib.contextmanager
def served(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    prefix: Sequence[str] = (),
    stop: signal.Signals = signal.SIGTERM,
    orphaned: signal.Signals = signal.SIGKILL,
    patience: float = 10.0,
) -> Iterator[Served]:
    """Run a server as long as the block lasts; the kernel ends it where our own process is killed. Blocks.

    Args:
        command: The program and its arguments; it holds no secret.
        log: The file for its standard output and error.
        environment: All that it sees of variables.
        prefix: Words before the command that change what it may do, such as a user namespace.
        stop: The signal that ends it.
        orphaned: The signal that ends it when our process is gone.
        patience: Seconds that it may take to end before it is ended by force.

    Raises:
        NotOffered: There is no such program here.
    """
    dies = ["setpriv", "--pdeathsig", orphaned.name.removeprefix("SIG")] if shutil.which("setpriv") else []
    keeper = _Keeper([*prefix, *dies, *command], log, environment)
    process = keeper.start()
    try:
        yield Served(process, log)
    finally:
        _end(process, stop, patience)
        keeper.join(_LAST_WAIT)


def still_there(folder: Path) -> list[str]:
    """Name what is left of a scratch folder: itself, and processes that work in it or were started with it."""
    found = [str(folder)] if folder.exists() else []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in words or (entry / "cwd").readlink().is_relative_to(folder):
                found.append(f"process {entry.name}, {words.split(' ')[0]}")
    return found


def free_port() -> int:
    """Return a port of the loopback that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class _Keeper(threading.Thread):
    """Starts a process and lives as long as it: a process may ask to die with the thread that started it."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name=f"keep {Path(command[-1]).name}", daemon=True)
        self._command, self._log, self._environment = command, log, environment
        self._begun = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None

    def start(self) -> subprocess.Popen[bytes]:  # type: ignore[override]
        """Start the process, and return it."""
        super().start()
        self._begun.wait()
        if self._process is None:
            reason = self._error.strerror if self._error is not None else "unknown"
            raise NotOffered(f"{self._command[0]} cannot be started: {reason}")
        return self._process

    def run(self) -> None:
        """Start the process and wait for its end."""
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - no shell reads it
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(self._environment),
                    start_new_session=True,
                )
        except OSError as error:
            self._error = error
        self._begun.set()
        if self._process is not None:
            self._process.wait()


def _end(process: subprocess.Popen[bytes], stop: signal.Signals, patience: float) -> None:
    if process.poll() is None:
        process.send_signal(stop)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_LAST_WAIT)
