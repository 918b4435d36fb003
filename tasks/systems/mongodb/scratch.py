"""A MongoDB of our own for as long as a block lasts: on the loopback, empty, with a password that nobody else knows."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo
from pymongo import errors

from tasks.clients.process import fed
from tasks.clients.scratch import free_port, served
from tasks.core.errors import NotOffered, TransientError
from tasks.systems.mongodb.connection import Blocking, blocking

_HOST = "127.0.0.1"
_USER = "scratch"
_START_SECONDS = 120.0
_ANSWER = 2000  # milliseconds


def program() -> Path:
    """Return the server to restore into: `mongod` on PATH, or a server of its protocol beside our own Python.

    Raises:
        NotOffered: There is none here.
    """
    beside = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    for name, path in (("mongod", None), ("secantusd-py", beside)):
        if found := shutil.which(name, path=path):
            return Path(found)
    raise NotOffered("there is no mongod here to restore into", hint="install MongoDB's server, or name a place")


def version_of(command: Path) -> str | None:
    """Return the version of a mongod; None of a server of another make, which tells it only once it runs."""
    if command.name != "mongod":
        return None
    found = re.search(r"db version v(\S+)", fed([str(command), "--version"], (), environment={}).output)
    return found[1] if found else None


@contextmanager
def scratch(folder: Path) -> Iterator[str]:
    """Run an empty server in a folder; gives the URI of its administrator.

    Raises:
        NotOffered: There is no server here.
        TransientError: It ended, or was not ready in time; the hint has the end of its log.
    """
    command, port, password = program(), free_port(), secrets.token_urlsafe(24)
    data = folder / "data"
    data.mkdir(mode=0o700)
    uri = f"mongodb://{_USER}:{password}@{_HOST}:{port}/?authSource=admin&directConnection=true"
    if command.name == "mongod":
        with _running(_mongod(command, folder, data, port), folder, port):
            _make_user(port, password)
            yield uri
        return
    # It lets nobody make the first user but while it asks nobody for a password, and is empty.
    others = _other(command, data, port)
    with _running(others, folder, port, signal.SIGTERM):
        _make_user(port, password)
    with _running([*others, "--auth"], folder, port):
        yield uri


def _mongod(command: Path, folder: Path, data: Path, port: int) -> list[str]:
    settings = {
        "net": {"bindIp": _HOST, "port": port, "unixDomainSocket": {"enabled": False}},
        "storage": {"dbPath": str(data), "wiredTiger": {"engineConfig": {"cacheSizeGB": 0.5}}},
        "security": {"authorization": "enabled"},
        # What has expired since is a part of what was copied.
        "setParameter": {"ttlMonitorEnabled": False},
    }
    file = folder / "mongod.conf"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return [str(command), "--config", str(file)]


def _other(command: Path, data: Path, port: int) -> list[str]:
    least = ["--log-level", "WARNING", "--cache-size", "128M", "--oplog-max-entries", "1000"]
    return [str(command), "--host", _HOST, "--port", str(port), "--storage-path", str(data), *least]


@contextmanager
def _running(command: list[str], folder: Path, port: int, stop: signal.Signals = signal.SIGKILL) -> Iterator[None]:
    """Run the server; its data are of no use afterwards, so it need not tidy up."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    with served(command, log=folder / "server.log", environment=environment, stop=stop) as server:
        try:
            server.wait_until(lambda: _answers(port), _START_SECONDS)
        except TransientError as error:
            raise TransientError(error.message, hint=" | ".join(server.tail().strip().splitlines()[-3:])) from None
        yield


def _answers(port: int) -> bool:
    address = f"mongodb://{_HOST}:{port}/?directConnection=true"
    client: Blocking
    with pymongo.MongoClient(address, serverSelectionTimeoutMS=_ANSWER, connectTimeoutMS=_ANSWER) as client:
        try:
            client.admin.command("hello")
        except errors.PyMongoError:
            return False
        return True


def _make_user(port: int, password: str) -> None:
    with blocking(f"mongodb://{_HOST}:{port}/?directConnection=true") as client:
        client.admin.command("createUser", _USER, pwd=password, roles=["root"])
