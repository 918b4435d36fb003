"""How quickly a flow's process stands ready through the warm runner, against a Python that loads it all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments import warm
from tests.bench.figures import Figure, ratio

_FLOW = "flows.health_check"
_PATIENCE = 120


def run() -> dict[str, Figure]:
    """Time the whole process that loads a flow and ends."""
    with tempfile.TemporaryDirectory() as folder, _runner(Path(folder) / "runner.sock") as environment:
        value = ratio(
            lambda: _python("deployments.warm", _FLOW, environment=environment),
            lambda: _python(_FLOW, environment=environment),
            rounds=3,
        )
    return {"start": Figure(value, 0.25, "python -m with the same flow")}


@contextmanager
def _runner(path: Path) -> Iterator[dict[str, str]]:
    process = subprocess.Popen([sys.executable, "-m", "deployments.runner", str(path)])
    try:
        deadline = time.monotonic() + _PATIENCE
        while not path.is_socket():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the warm runner did not start")
            time.sleep(0.05)
        yield {**os.environ, warm.RUNNER: str(path)}
    finally:
        process.terminate()
        process.wait(20)


def _python(*command: str, environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True, env=environment, stdout=subprocess.DEVNULL)
