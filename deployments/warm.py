"""Starts a flow run in the time that a bare Python takes: the warm runner, which has loaded all, forks a child for it.

    python -m deployments.warm                     # in place of `python -m prefect.engine`
    python -m deployments.warm MODULE [ARGUMENT...]

The child has this process's arguments, environment, working folder and standard streams; this process passes signals
on to it and ends as it did. Ended by force, it takes the child along. Where no runner is up, or the runner's code is no
longer that on disk, the module runs as `python -m MODULE` would, here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

from deployments import control

RUNNER = "WATCHKEEPER_RUNNER"
ENGINE = "prefect.engine"
PASSED_ON = (signal.SIGTERM, signal.SIGINT)
LENGTH_BYTES = 4
_TIMEOUT = 5.0


def main() -> None:
    """Run a module through the runner that the environment names, else here."""
    command = sys.argv[1:] or [ENGINE]
    where = os.environ.get(RUNNER)
    runner = _hand_over(Path(where), command) if where else None
    if runner is None:
        os.execv(sys.executable, [sys.executable, "-m", *command])  # noqa: S606 - the same program, on purpose
    _end_as(_follow(runner))


def _hand_over(path: Path, command: list[str]) -> socket.socket | None:
    """Send the runner what the child shall be; None where it cannot have one."""
    order = {"command": command, "environment": dict(os.environ), "folder": str(Path.cwd())}
    body = json.dumps(order).encode()
    try:
        runner = control.connect(path, _TIMEOUT)
    except OSError:
        return None
    try:
        socket.send_fds(runner, [len(body).to_bytes(LENGTH_BYTES, "big")], [0, 1, 2])
        runner.sendall(body)
        if runner.recv(1) == b"+":
            runner.settimeout(None)
            return runner
    except OSError:
        pass
    runner.close()
    return None


def _follow(runner: socket.socket) -> int:
    """Pass signals on until the child has ended; return its exit code, negative for a signal as `subprocess` has it."""
    for number in PASSED_ON:
        signal.signal(number, lambda got, _frame: runner.sendall(bytes([got])))
    try:
        answer = runner.makefile("rb").readline()
    except OSError:
        answer = b""
    if not answer:
        sys.stderr.write("the warm runner has gone, and the run with it\n")
        return 1
    return int(answer)


def _end_as(code: int) -> None:
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
