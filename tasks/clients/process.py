"""Programs of the host, run without a shell: bounded in time and output, and without our own environment."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.core.errors import Denied, NotOffered, TransientError, Unreachable, WatchkeeperError
from tasks.core.units import format_duration

_LARGEST_OUTPUT = 1 << 20
_LARGEST_TOLD = 1 << 26
_CHUNK = 1 << 16
_GRACE = 0.5
_STREAM_CHUNK = 1 << 18
_LITTLE = 1 << 16
_MOMENT = 0.001
_PIPE = 1 << 20
_ERROR_LINES = 50
_LONGEST_LINE = 2000


@dataclass(frozen=True)
class Ran:
    """What a program did.

    Attributes:
        status: Its exit status; negative where a signal ended it.
        output: What it wrote on its standard output, as far as it was read.
        errors: The same of its standard error.
        cut: Whether it wrote more than was read.
    """

    status: int
    output: str
    errors: str
    cut: bool


@dataclass(frozen=True)
class Fed:
    """What a program said that read our bytes to its end.

    Attributes:
        output: What it wrote on its standard output, as far as it is kept.
        errors: The last lines of its standard error.
    """

    output: str
    errors: tuple[str, ...]


class ProgramFailed(TransientError):
    """A program ended with another status than 0, or was ended by a signal.

    Attributes:
        status: Its exit status; negative where a signal ended it.
        errors: The last lines of its standard error.
        output: What it wrote on its standard output, where that is kept.
    """

    def __init__(self, program: str, status: int, errors: Sequence[str], output: str = "") -> None:
        how = f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
        super().__init__(f"{os.path.basename(program)} {how}{': ' + errors[-1] if errors else ''}")  # noqa: PTH119
        self.status = status
        self.errors = tuple(errors)
        self.output = output


class Stream:
    """What a program writes on its standard output, chunk by chunk.

    Reading ends without an exception only where the program ended with status 0, so that a short output is never taken
    for a whole one.
    """

    def __init__(self, process: subprocess.Popen[bytes], program: str, quiet: float) -> None:
        self._process, self._program, self._quiet = process, program, quiet
        self._lines: deque[str] = deque(maxlen=_ERROR_LINES)
        self._listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        self._listener.start()

    @property
    def errors(self) -> tuple[str, ...]:
        """The last lines of its standard error so far; all of them once the output was read to its end."""
        return tuple(self._lines)

    def __iter__(self) -> Iterator[bytes]:
        """Yield what it writes.

        Raises:
            ProgramFailed: It did not end well; raised instead of the end of the output.
            Unreachable: It wrote nothing for too long.
        """
        output = self._process.stdout
        while output is not None:
            if not select.select([output], [], [], self._quiet)[0]:
                raise Unreachable(f"{self._program} wrote nothing for {format_duration(self._quiet)}")
            if not (chunk := os.read(output.fileno(), _STREAM_CHUNK)):
                break
            yield chunk
            if len(chunk) < _LITTLE:
                time.sleep(_MOMENT)  # its pipe fills meanwhile, and both sides are woken less often
        self._listener.join(self._quiet)
        if status := self._process.wait(self._quiet):
            raise ProgramFailed(self._program, status, self.errors)

    def listened(self) -> None:
        """Wait until its standard error has ended."""
        self._listener.join()

    def finish(self) -> None:
        """Let go of the program's outputs, once it has ended."""
        self._listener.join(_GRACE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _listen(self, errors: IO[bytes]) -> None:
        while line := errors.readline(_LONGEST_LINE):
            self._lines.append(line.decode("utf-8", "replace").rstrip())


@contextlib.contextmanager
def streamed(
    command: Sequence[str], *, environment: Mapping[str, str], quiet: float, inherited: Sequence[int] = ()
) -> Iterator[Stream]:
    """Start a program whose output is read as it comes; it is killed where the block ends before it does. Blocks.

    Args:
        command: The program and its arguments; none of it is read by a shell.
        environment: What it sees besides PATH; the place for a password, which others could read on a command line.
        quiet: It is given up when it writes nothing for so many seconds.
        inherited: Descriptors that it may read as `/dev/fd/N`: another place for a password.

    Raises:
        NotOffered: There is no such program here.
        Denied: It may not be run.
    """
    base = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell reads it
            command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**base, **environment},
            start_new_session=True,
            pass_fds=inherited,
        )
    except OSError as error:
        raise _translated(error, command[0]) from error
    if process.stdout is not None:
        _widen(process.stdout)
    stream = Stream(process, command[0], quiet)
    try:
        yield stream
    finally:
        _kill(process)
        stream.finish()


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold more, where the system lets us, so that both of its sides are woken less often."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


def fed(command: Sequence[str], chunks: Iterable[bytes], *, environment: Mapping[str, str]) -> Fed:
    """Run a program to its end, and write what is to be read into its standard input. Blocks.

    Args:
        command: The program and its arguments; none of it is read by a shell.
        chunks: What it reads; where this raises, the program is killed, and the exception goes on.
        environment: What it sees besides PATH; the place for a password.

    Raises:
        ProgramFailed: It did not end well.
        NotOffered: There is no such program here.
        Denied: It may not be run.
    """
    base = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell reads it
                command, stdin=PIPE, stdout=told, stderr=PIPE, env={**base, **environment}, start_new_session=True
            )
        except OSError as error:
            raise _translated(error, command[0]) from error
        if process.stdin is not None:
            _widen(process.stdin)
        stream = Stream(process, command[0], 0)
        try:
            _feed(process, chunks)
            stream.listened()
            status = process.wait()
            told.seek(0)
            output = told.read(_LARGEST_TOLD).decode("utf-8", "replace")
        finally:
            _kill(process)
            stream.finish()
    if status:
        raise ProgramFailed(command[0], status, stream.errors, output)
    return Fed(output, stream.errors)


def _feed(process: subprocess.Popen[bytes], chunks: Iterable[bytes]) -> None:
    """Write into a program; one that reads no further tells why by its exit status, so its input is read on."""
    there = process.stdin
    if there is None:
        return
    listens = True
    for chunk in chunks:
        if listens:
            try:
                there.write(chunk)
            except BrokenPipeError:
                listens = False
                if process.wait():
                    break
    with contextlib.suppress(BrokenPipeError):
        there.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


async def run(
    command: Sequence[str],
    *,
    seconds: float,
    limit: int = _LARGEST_OUTPUT,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Ran:
    """Run a program to its end, whatever its exit status.

    Args:
        command: The program and its arguments; none of it is read by a shell, and it sees none of our variables.
        seconds: It is killed when it takes longer.
        limit: So many bytes of each of its outputs are kept.
        environment: What it sees besides PATH.
        folder: Where it is run; where we are, without one.

    Raises:
        NotOffered: There is no such program here.
        Denied: It may not be run.
        Unreachable: It did not end in time.
    """
    base = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**base, **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise _translated(error, command[0]) from error
    try:
        async with asyncio.timeout(seconds):
            (output, more), (errors, _) = await asyncio.gather(
                _read(process.stdout, limit), _read(process.stderr, limit)
            )
            status = await process.wait()
    except TimeoutError:
        raise Unreachable(f"{command[0]} did not end within {format_duration(seconds)}") from None
    finally:
        await _end(process)
    return Ran(status, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"), more)


def _translated(error: OSError, program: str) -> WatchkeeperError:
    """Map what starting a program may raise; the only place that knows it."""
    if isinstance(error, PermissionError):
        return Denied(f"{program} may not be run")
    if isinstance(error, FileNotFoundError):
        return NotOffered(f"there is no {program} here")
    return Unreachable(f"{program} cannot be started: {error.strerror}")


async def _read(stream: asyncio.StreamReader | None, limit: int) -> tuple[bytes, bool]:
    """Read to the end, so that the program does not wait for us, and keep the beginning."""
    kept, more = bytearray(), False
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        room = limit - len(kept)
        kept += chunk[:room]
        more = more or len(chunk) > room
    return bytes(kept), more


async def _end(process: Process) -> None:
    """Kill what still runs, with all that it started; one that a driver holds in the kernel is left to the kernel."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), _GRACE)
