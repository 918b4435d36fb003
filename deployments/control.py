"""One request and one answer as JSON lines over a Unix socket in a private folder: how commands reach what is up."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import PermanentError, Unreachable

_LONGEST = 4 * 1024 * 1024


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a path of a few characters for a socket in a folder of any depth; the kernel takes 107 at most."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """Listen at a path, in place of whoever listened there before; only this user may connect.

    The path is there only once it is listened to: who sees it may connect.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    with short_path(fresh) as short:
        server.bind(short)
    fresh.chmod(0o600)
    server.listen(16)
    fresh.replace(path)
    return server


def connect(path: Path, timeout: float) -> socket.socket:
    """Connect to who listens at a path.

    Raises:
        OSError: Nobody does.
    """
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(timeout)
        with short_path(path) as short:
            client.connect(short)
    except OSError:
        client.close()
        raise
    return client


def ask(path: Path, command: str, *, timeout: float = 30, **arguments: Any) -> dict[str, Any]:
    """Send a command and return the answer.

    Raises:
        Unreachable: Nobody listens there, or there was no answer within the time-out (seconds).
        PermanentError: The other side refused; the message is its own.
    """
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    try:
        with connect(path, timeout) as client:
            client.sendall(line)
            with client.makefile("rb") as answers:
                answer = answers.readline(_LONGEST)
    except OSError as error:
        raise Unreachable(f"nothing answers at {path}: {error.strerror or error}") from None
    if not answer:
        raise Unreachable(f"{path} gave no answer")
    result: dict[str, Any] = json.loads(answer)
    if "error" in result:
        raise PermanentError(str(result["error"]), hint=result.get("hint"))
    return result
