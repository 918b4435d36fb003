"""`watchkeeper up`: Prefect's server, a worker with its warm runner, the deployments, and the lab.

All of it is on loopback and in one folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments import database, lab, prefect_ui, supervisor, warm
from deployments.lab.pieces import EVERYONE
from deployments.supervisor import Process
from tasks.core.errors import TransientError

Progress = Callable[[str], None]

_ROOT = Path(__file__).resolve().parents[1]
_HOST = "127.0.0.1"
_USUAL_PORT = 4200
_RUNS_AT_ONCE = max(2, os.cpu_count() or 2)
_BOOTSTRAP_SECONDS = 240
_LOOK_SECONDS = 0.05
_RUNNER = "runner.sock"
_RUNS = "runs.json"
_LAB_TOKEN = "xoxb-lab"  # noqa: S105 - the stand-in's, known to all


@dataclass(frozen=True)
class StackStatus:
    """What is up, and where."""

    up: bool
    state: str
    ui: str = ""
    api: str = ""
    slack: str = ""
    processes: tuple[tuple[str, str], ...] = ()
    lab: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"processes": dict(self.processes)}

    @property
    def text(self) -> str:
        """The same for a person."""
        if not self.up:
            return f"nothing is up in {self.state}" + (f"\nlab      up, Slack: {self.slack}" if self.lab else "")
        lines = [f"{name:<8} {state}" for name, state in self.processes]
        lines += [f"lab      {'up' if self.lab else 'not up'}", "", f"Prefect UI  {self.ui}"]
        return "\n".join([*lines, f"Slack       {self.slack}"] if self.slack else lines)


def up(state: Path, *, lab: bool, progress: Progress = lambda _: None) -> StackStatus:
    """Bring everything up; what is up already stays.

    Args:
        state: The folder for all of it.
        lab: Whether the worker looks after the embedded lab; started too where it is not up.
        progress: Told of each step.

    Raises:
        ConfigError: A spec has problems, or the folder is another's.
        TransientError: Something did not start; then nothing of the stack is left running.
    """
    state = state.resolve()
    if not supervisor.is_up(_kept(state)):
        _start(state, with_lab=lab, progress=progress)
    elif lab:
        _lab_up(state, progress)
    return status(state)


def down(state: Path) -> list[str]:
    """End all that is up, the lab too; returns what it was."""
    state = state.resolve()
    with ThreadPoolExecutor(1) as pool:
        of_lab = pool.submit(lab.down, state / "lab")
        ended = ["stack"] if supervisor.end(_kept(state)) else []
        return [*ended, "lab"] if of_lab.result() else ended


def status(state: Path) -> StackStatus:
    """Return what is up, and where."""
    state = state.resolve()
    of_lab = lab.status(state / "lab")
    if not supervisor.is_up(_kept(state)):
        return StackStatus(up=False, state=str(state), slack=of_lab.slack, lab=of_lab.up)
    processes = supervisor.status(_kept(state))["processes"]
    api = api_address(state) or ""
    return StackStatus(
        up=True,
        state=str(state),
        ui=api.removesuffix("/api"),
        api=api,
        slack=of_lab.slack,
        processes=tuple((name, one["state"]) for name, one in processes.items()),
        lab=of_lab.up,
    )


def api_address(state: Path) -> str | None:
    """Return the address of the Prefect API that is up in a folder, or None."""
    kept = _kept(state.resolve())
    if not supervisor.is_up(kept):
        return None
    address: str = json.loads((kept / "api.json").read_text(encoding="utf-8"))["api"]
    return address


def prefect_environment(state: Path, api: str) -> dict[str, str]:
    """Return the settings of Prefect's server and of all that talk to it."""
    home = state / "prefect"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_UI_URL": api.removesuffix("/api"),
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.address(home / "prefect.db"),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
        "WATCHKEEPER_STATE": str(state),
        **prefect_ui.settings(home),
    }


def _start(state: Path, *, with_lab: bool, progress: Progress) -> None:
    port = _free_port()
    api = f"http://{_HOST}:{port}/api"
    environment = prefect_environment(state, api)
    kept = _kept(state)
    kept.mkdir(parents=True, exist_ok=True)
    (kept / _RUNS).unlink(missing_ok=True)
    given_up = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            playing: Future[dict[str, str]] | None = pool.submit(_lab_up, state, progress) if with_lab else None
            deploying = pool.submit(_deploy, kept, environment, given_up)
            database.provide(state / "prefect" / "prefect.db")
            (kept / "api.json").write_text(json.dumps({"api": api}), encoding="utf-8")
            supervisor.launch(kept, _processes(environment, port, kept), progress=progress)
            prefect_ui.keep_private(state / "prefect")
            deploying.result()
            progress("every deployment is in place")
            _let_work(kept, playing.result() if playing is not None else {})
        except BaseException:
            given_up.set()
            supervisor.end(kept)
            raise


def _processes(environment: dict[str, str], port: int, kept: Path) -> list[Process]:
    runner = str(kept / _RUNNER)
    worker = ("--pool", "watchkeeper", "--type", "process", "--name", "local", "--install-policy", "never")
    return [
        Process(
            "server",
            (sys.executable, "-m", "deployments.server", "--host", _HOST, "--port", str(port)),
            environment,
            str(_ROOT),
            answers=f"{environment['PREFECT_API_URL']}/health",
            timeout=240,
        ),
        Process(
            "runner",
            (sys.executable, "-m", "deployments.runner", runner),
            environment,
            str(_ROOT),
            answers=runner,
            timeout=240,
        ),
        Process(
            "worker",
            (sys.executable, "-m", "deployments.worker", str(kept / _RUNS), *worker, "--limit", str(_RUNS_AT_ONCE)),
            environment | {warm.RUNNER: runner},
            str(_ROOT),
            orphaned="TERM",
        ),
    ]


def _deploy(kept: Path, environment: dict[str, str], given_up: threading.Event) -> None:
    """Put pool and deployments in place as soon as the server answers, by a child of the warm runner."""
    while not (kept / _RUNNER).is_socket():
        if given_up.wait(_LOOK_SECONDS):
            return
    python = [sys.executable, "-m", "deployments.warm"]
    order = ["deployments.bootstrap", "--command", shlex.join(python), "--wait", str(_BOOTSTRAP_SECONDS)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [*python, *order],
            env={**os.environ, **environment, warm.RUNNER: str(kept / _RUNNER)},
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BOOTSTRAP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"the deployments were not in place within {_BOOTSTRAP_SECONDS} s") from None
    if done.returncode:
        raise TransientError("the deployments could not be put in place", hint=done.stdout[-800:])


def _let_work(kept: Path, environment: dict[str, str]) -> None:
    """Tell the worker what every run is to find in its environment; it waits for that."""
    fresh = kept / f"{_RUNS}.new"
    fresh.write_text(json.dumps(environment), encoding="utf-8")
    fresh.replace(kept / _RUNS)


def _lab_up(state: Path, progress: Progress) -> dict[str, str]:
    """Bring the lab up where none is, and return what a run against it has in its environment."""
    found = lab.status(state / "lab")
    slack = (found if found.up else lab.up([], state / "lab", progress=progress)).slack
    environment = {"WATCHKEEPER_LAB": str(state / "lab")}
    if slack:
        token = state / "lab" / "slack-token"
        token.write_text(_LAB_TOKEN, encoding="utf-8")
        environment |= {"WATCHKEEPER_SLACK_URL": f"{slack}/api/", "WATCHKEEPER_SLACK_TOKEN": f"file:{token}"}
        environment |= {"WATCHKEEPER_SLACK_CHANNEL": EVERYONE}
    return environment


def _free_port() -> int:
    """Return Prefect's usual port where it is free, else any."""
    for port in (_USUAL_PORT, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((_HOST, port))
            return int(probe.getsockname()[1])
    raise TransientError("there is no free port")


def _kept(state: Path) -> Path:
    return state / "stack"
