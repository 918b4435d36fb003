"""A migrated SQLite database for Prefect's server: made once for each version, then copied, as migrating takes long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tasks.core.errors import PermanentError

_TIMEOUT = 240


def address(database: Path) -> str:
    """Return the setting that names a database's file."""
    return f"sqlite+aiosqlite:///{database}"


def provide(database: Path) -> None:
    """Put a migrated database where there is none yet.

    Args:
        database: The file; its folder is made.

    Raises:
        PermanentError: Prefect could not migrate; the hint holds the end of what it said.
    """
    if database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    template = _cache() / f"prefect-{version('prefect')}.db"
    if not template.exists():
        _migrate(template)
    shutil.copyfile(template, database)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper"


def _migrate(template: Path) -> None:
    """Make the template beside its place and move it there, so that a half-made one is never copied."""
    template.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=template.parent) as folder:
        fresh = Path(folder) / "fresh.db"
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={
                **os.environ,
                "PREFECT_HOME": folder,
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": address(fresh),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode or not fresh.exists():
            raise PermanentError("Prefect's database could not be made", hint=(done.stdout + done.stderr)[-800:])
        fresh.replace(template)
