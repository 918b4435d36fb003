"""Has the lab's PostgreSQLs archive their write-ahead log into the lab's vaults, by the command that real ones call."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from deployments.lab.pieces import Piece
from deployments.lab.servers import Server, postgres

_SETTINGS = {"archive_mode": "on", "archive_timeout": "30"}
"""Seconds after which what was written is archived: the lab's answer to a recovery point objective."""
ARCHIVES = "archives"
"""The detail of a piece that archives."""
_SCRIPT = """#!/bin/sh
export WATCHKEEPER_LAB={lab}{platforms}
exec {python} -c 'from deployments.cli import main; main()' wal-push "$1" "$2"
"""


def wanted(system: Any) -> bool:
    """Tell whether a spec asks for a continuous archive."""
    physical = system.backup.physical if system.backup is not None else None
    return physical is not None and physical.wal == "continuous"


def server(folder: Path, port: int, *, name: str) -> Server:
    """Prepare a server that archives. It ends at once: it would try to archive the last of its log without a vault."""
    made = postgres.server(folder, port, _SETTINGS, name=name)
    return replace(made, stop=signal.SIGQUIT)


def begin(pieces: Iterable[Piece], state: Path, environment: Mapping[str, str]) -> None:
    """Have every server of which it is wanted archive from now on; before, its log waits.

    Args:
        pieces: The lab's pieces.
        state: The lab's folder; vaults and values are there already.
        environment: Of this process, which may name the folder of the specs.
    """
    archiving = [piece for piece in pieces if piece.details.get(ARCHIVES)]
    if not archiving:
        return
    platforms = environment.get("WATCHKEEPER_PLATFORMS")
    script = state / "wal-push.sh"
    script.write_text(
        _SCRIPT.format(
            lab=shlex.quote(str(state)),
            platforms=f" WATCHKEEPER_PLATFORMS={shlex.quote(platforms)}" if platforms else "",
            python=shlex.quote(sys.executable),
        ),
        encoding="utf-8",
    )
    with ThreadPoolExecutor(len(archiving)) as pool:
        list(pool.map(lambda piece: _begin(piece, script), archiving))


def _begin(piece: Piece, script: Path) -> None:
    command = f"sh {shlex.quote(str(script))} {piece.target} %p"
    with psycopg.connect(piece.address, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER SYSTEM SET archive_command = {}").format(sql.Literal(command)))
        connection.execute("SELECT pg_stat_reset_shared('archiver')")  # the cluster is a copy of an older one
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_switch_wal()")
