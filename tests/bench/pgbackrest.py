"""pgBackRest on the distribution's PostgreSQL, where both are installed: it cannot run on the lab's."""

from __future__ import annotations

import functools
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import psycopg

from deployments.lab.servers import HOST, Server, free_ports, postgres, running

_DEBIAN = Path("/usr/lib/postgresql")
_STANZA = "bench"
_SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "wal_level": "replica",
    "archive_mode": "on",
    "archive_command": "/bin/true",
}


def installed() -> Path | None:
    """Return the folder of the distribution's newest server, or None where it or pgBackRest is not installed."""
    found = sorted(path.parent for path in _DEBIAN.glob("*/bin/postgres"))
    return found[-1] if found and shutil.which("pgbackrest") else None


def version() -> str:
    """Return pgBackRest's version."""
    told = subprocess.run(["pgbackrest", "version"], capture_output=True, text=True, check=True)  # noqa: S607
    return told.stdout.split()[-1]


@contextmanager
def running_server(programs: Path, folder: Path) -> Iterator[str]:
    """Run a fresh server of the distribution, and give its administrator's address."""
    folder.mkdir()
    prefix, data = postgres.user_namespace(), folder / "data"
    command = [*prefix, str(programs / "initdb"), "-D", str(data), "-U", postgres.ADMIN, "-A", "trust", "-E", "UTF8"]
    subprocess.run([*command, "--locale=C.UTF-8", "--no-sync"], check=True, capture_output=True)
    port = free_ports(1)[0]
    options = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(folder)}
    address = f"postgresql://{postgres.ADMIN}@{HOST}:{port}/postgres"
    server = Server(
        name="debian",
        command=(
            str(programs / "postgres"),
            "-D",
            str(data),
            *(word for pair in options.items() for word in ("-c", "=".join(pair))),
        ),
        folder=folder,
        port=port,
        address=address,
        ready=functools.partial(_connect, address),
        environment={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stop=signal.SIGINT,
        orphaned=signal.SIGQUIT,
        prefix=prefix,
    )
    with running(server):
        _pgbackrest(address, folder, "stanza-create")
        yield address


def backup(address: str, folder: Path) -> float:
    """Take a full backup by pgBackRest, remove it again outside of the time, and return the seconds."""
    began = perf_counter()
    _pgbackrest(address, folder, "backup", "--type=full", "--start-fast", "--no-archive-check")
    seconds = perf_counter() - began
    shutil.rmtree(folder / "repository")
    _pgbackrest(address, folder, "stanza-create")
    return seconds


def _pgbackrest(address: str, folder: Path, command: str, *options: str) -> None:
    given = {
        "stanza": _STANZA,
        "config": "/dev/null",
        "repo1-path": folder / "repository",
        "repo1-retention-full": 1,
        "pg1-path": folder / "data",
        "pg1-port": urlsplit(address).port,
        "pg1-socket-path": folder,
        "pg1-user": postgres.ADMIN,
        "log-path": folder,
        "lock-path": folder / "lock",
        "log-level-console": "warn",
        "compress-type": "zst",
        "process-max": 2,
    }
    words = [f"--{name}={value}" for name, value in given.items() if command == "backup" or name not in _OF_BACKUP]
    subprocess.run(["pgbackrest", *words, *options, command], check=True, timeout=3600)  # noqa: S607


_OF_BACKUP = {"compress-type", "process-max", "repo1-retention-full"}


def _connect(address: str) -> None:
    psycopg.connect(address, connect_timeout=3).close()
