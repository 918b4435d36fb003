"""Runs a program behind a fence: the only ports it reaches are those of the sockets in a folder.

It is started in a network of its own, with nothing but a loopback, by `tasks.clients.fence`; and by its path, so it
imports nothing of ours. For each socket it listens on the port of its name, and hands what comes on to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

_LOOPBACK = "127.0.0.1"
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_CHUNK = 1 << 16
_OFTEN = 0.5


def bring_up() -> None:
    """Bring the loopback up: a new network's is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        told = fcntl.ioctl(one, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        (flags,) = struct.unpack_from("h", told, 16)
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def listen(path: Path) -> None:
    """Listen on the port that a socket is named for, and hand each connection on to it."""
    server = socket.create_server((_LOOPBACK, int(path.name)), backlog=128)

    def serve() -> None:
        while True:
            client, _ = server.accept()
            outside = socket.socket(socket.AF_UNIX)
            try:
                outside.connect(str(path))
            except OSError:
                client.close()
                continue
            for one, other in ((client, outside), (outside, client)):
                threading.Thread(target=hand_on, args=(one, other), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def hand_on(one: socket.socket, other: socket.socket) -> None:
    """Hand on what comes from one to the other until it ends; then tell the other that it has."""
    with contextlib.suppress(OSError):
        while data := one.recv(_CHUNK):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_WR if end is other else socket.SHUT_RD)


def end_with(parent: int) -> None:
    """End with all that was started once the process that started us is gone: nobody is there to read on."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_OFTEN)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: str, *command: str) -> int:
    """Run a program with the ports of a folder, and return its exit status; 126 or 127 where it cannot be run."""
    end_with(os.getppid())
    bring_up()
    for path in Path(folder).iterdir():
        listen(path)
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603 - no shell reads it
    except OSError as error:
        print(f"{command[0]}: {os.strerror(error.errno or 0)}", file=sys.stderr)  # noqa: T201 - what a shell would say
        return 126 if isinstance(error, PermissionError) else 127


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
