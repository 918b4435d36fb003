"""A fence for programs that are not ours: behind it they reach the ports that are named, and nothing else at all.

The kernel holds it, not the program's good will: it runs in a network of its own. Where the host lets nobody make one,
there is no fence, and whoever asked says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from tasks.clients.process import fed
from tasks.core.errors import NotOffered, WatchkeeperError

_LOOPBACK = "127.0.0.1"
_INSIDE = Path(__file__).with_name("inside_fence.py")
_CHUNK = 1 << 16


@functools.cache
def own_network() -> tuple[str, ...] | None:
    """Return what stands before a command that is to run in a network of its own, or None where that is not allowed."""
    unshare = shutil.which("unshare")
    for flags in (("-n",), ("-U", "-r", "-n")) if unshare else ():
        with contextlib.suppress(WatchkeeperError):
            fed([str(unshare), *flags, "true"], (), environment={})
            return (str(unshare), *flags)
    return None


@contextlib.asynccontextmanager
async def fenced(command: Sequence[str], ports: Collection[int]) -> AsyncIterator[list[str]]:
    """Give the command that runs another behind a fence with these ports of the loopback; they close after the block.

    Args:
        command: The program and its arguments.
        ports: Those of the loopback that it may reach, under their own numbers.

    Raises:
        NotOffered: This host lets nobody make a network of its own.
    """
    prefix = own_network()
    if prefix is None:
        raise NotOffered("this host lets us make no network of its own", hint="run as root, or allow user namespaces")
    folder = Path(tempfile.mkdtemp(prefix="wk-"))
    gates: list[asyncio.Server] = []
    try:
        for port in ports:
            gates += [await asyncio.start_unix_server(functools.partial(_pass, port), folder / str(port))]
        yield [*prefix, sys.executable, "-I", str(_INSIDE), str(folder), *command]
    finally:
        for gate in gates:
            gate.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _pass(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one connection through to a port of the loopback."""
    try:
        outer_reader, outer_writer = await asyncio.open_connection(_LOOPBACK, port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_hand_on(reader, outer_writer), _hand_on(outer_reader, writer))
    for one in (writer, outer_writer):
        one.close()
        with contextlib.suppress(OSError):
            await one.wait_closed()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
