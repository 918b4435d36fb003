"""Programs of the host, run without a shell: bounded in time and output, and without our own environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.errors import Denied, NotOffered, Unreachable, WatchkeeperError
from tasks.core.units import format_duration

_LARGEST_OUTPUT = 1 << 20
_CHUNK = 1 << 16
_GRACE = 0.5


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


async def run(command: Sequence[str], *, seconds: float, limit: int = _LARGEST_OUTPUT) -> Ran:
    """Run a program to its end, whatever its exit status.

    Args:
        command: The program and its arguments; none of it is read by a shell, and it sees none of our variables.
        seconds: It is killed when it takes longer.
        limit: So many bytes of each of its outputs are kept.

    Raises:
        NotOffered: There is no such program here.
        Denied: It may not be run.
        Unreachable: It did not end in time.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
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
