"""SecantusDB: the MongoDB protocol, a replica set of one. GPL, so it only ever runs as a process of its own."""

from __future__ import annotations

import functools
import importlib.metadata
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

import pymongo

from deployments.lab.servers import HOST, Server, free_ports, made_once, running
from tasks.core.errors import ConfigError

ADMIN = "admin"


def server(folder: Path, port: int, name: str = "mongodb") -> Server:
    """Prepare an empty server in the folder that asks for a password.

    It has no other way to its first user than a start without passwords, so a copy of one that had it is used.
    """
    template = made_once(f"secantusdb-{importlib.metadata.version('secantusdb')}", _first_start)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(template / "data", folder / "data")
    password = (template / "password").read_text(encoding="utf-8")
    address = f"mongodb://{ADMIN}:{password}@{HOST}:{port}/?authSource=admin&directConnection=true"
    return Server(
        name=name,
        command=(*_command(folder, port), "--auth"),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_ping, address),
    )


def _first_start(folder: Path) -> None:
    password = secrets.token_urlsafe(18)
    with running(_open(folder, free_ports(1)[0])) as first:
        _create_admin(first.address, password)
    (folder / "password").write_text(password, encoding="utf-8")


def _open(folder: Path, port: int) -> Server:
    address = f"mongodb://{HOST}:{port}/?directConnection=true"
    ready = functools.partial(_ping, address)
    return Server("mongodb", _command(folder, port), folder, port, address, ready)


def _command(folder: Path, port: int) -> tuple[str, ...]:
    binary = Path(sys.prefix) / "bin" / "secantusd-py"
    if not binary.exists():
        raise ConfigError("the lab's MongoDB server is not installed", hint="pip install 'watchkeeper[lab]'")
    command = (str(binary), "--host", HOST, "--port", str(port), "--log-level", "WARNING")
    return (*command, "--storage-path", str(folder / "data"), "--cache-size", "64M")


def _create_admin(address: str, password: str) -> None:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(address, serverSelectionTimeoutMS=5000) as client:
        client.admin.command("createUser", ADMIN, pwd=password, roles=["root"])


def _ping(address: str) -> None:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(address, serverSelectionTimeoutMS=500, connectTimeoutMS=2000) as client:
        client.admin.command("ping")
