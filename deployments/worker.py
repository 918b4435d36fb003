"""The stack's worker: loads Prefect while the server starts, then waits until it is told what runs are to find.

    python -m deployments.worker FILE [OPTION...]

FILE holds the environment of every run as JSON, without secrets; it is written once the deployments and the lab are
there, so that no run starts too early. The options are those of `prefect worker start`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import prefect.workers.process  # noqa: F401 - takes seconds, and the file is not there yet
from prefect.cli import app

_LOOK_SECONDS = 0.05


def main() -> None:
    """Wait for the file, take its environment, and work."""
    file, *options = sys.argv[1:]
    os.environ.update(_environment(Path(file)))
    sys.argv = ["prefect", "worker", "start", *options]
    app()


def _environment(file: Path) -> dict[str, str]:
    """Return what the file holds, once it is there; it is moved to its place whole."""
    while not file.exists():
        time.sleep(_LOOK_SECONDS)
    environment: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return environment


if __name__ == "__main__":
    main()
