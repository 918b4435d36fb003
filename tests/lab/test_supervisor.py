"""The supervisor starts in order, tells readiness, ends everything, and nothing outlives it however it dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from deployments import supervisor
from deployments.lab.servers import free_ports
from deployments.supervisor import Process
from tasks.core.errors import ConfigError, PermanentError, TransientError

pytestmark = pytest.mark.lab

SLEEPER = Process("sleeper", ("sleep", "600"))
ESCAPIST = Process("escapist", ("sh", "-c", "setsid sleep 601 & exec sleep 602"))


def server(name: str, port: int, **more) -> Process:
    code = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    return Process(name, (sys.executable, "-c", code), answers=port, **more)


def launch(folder: Path, *processes: Process) -> list[str]:
    told: list[str] = []
    supervisor.launch(folder, processes, progress=told.append)
    return told


def wait_for_all(mark: str, count: int, seconds: float = 60) -> list[int]:
    """Wait for processes that start others in their own time, and return those that are there."""
    deadline = time.monotonic() + seconds
    while len(there := supervisor.marked(mark)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return there


def wait_for_end(mark: str, seconds: float = 60) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := supervisor.marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def mark(folder: Path) -> str:
    return (folder / "mark").read_text()


@pytest.fixture
def folder(tmp_path):
    deep = tmp_path / ("deep" * 20) / ("deeper" * 10)
    yield deep
    supervisor.end(deep)


def test_it_tells_each_process_that_is_ready_and_ends_them_all(folder):
    told = launch(folder, SLEEPER, server("web", free_ports(1)[0]))
    assert sorted(line.split()[0] for line in told) == ["sleeper", "web"]
    assert {one["state"] for one in supervisor.status(folder)["processes"].values()} == {"ready"}
    assert supervisor.end(folder)
    assert not supervisor.is_up(folder)
    assert not supervisor.marked(mark(folder))
    assert not supervisor.end(folder)


def test_nothing_outlives_a_supervisor_that_is_killed_not_even_a_grandchild_in_a_session_of_its_own(folder):
    launch(folder, SLEEPER, ESCAPIST)
    assert len(wait_for_all(mark(folder), 5)) == 5  # guardian, supervisor, two children, one grandchild
    os.kill(supervisor.status(folder)["pid"], signal.SIGKILL)
    assert wait_for_end(mark(folder)) == []


def test_the_guardian_dies_too_and_the_children_still_end(folder):
    launch(folder, SLEEPER)
    guardian = psutil.Process(supervisor.status(folder)["pid"]).parent()
    assert guardian is not None
    guardian.kill()
    assert wait_for_end(mark(folder)) == []


def test_a_later_start_ends_what_a_killed_pair_left_behind(folder):
    launch(folder, ESCAPIST)
    old = mark(folder)
    assert len(wait_for_all(old, 4)) == 4  # guardian, supervisor, child, grandchild
    pid = supervisor.status(folder)["pid"]
    guardian = psutil.Process(pid).parent()
    assert guardian is not None
    os.kill(guardian.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    guardian.kill()
    assert supervisor.marked(old)
    launch(folder, SLEEPER)
    assert wait_for_end(old) == []


def test_one_starts_only_when_what_it_needs_is_ready(folder):
    port = free_ports(1)[0]
    check = f"import socket; socket.create_connection(('127.0.0.1', {port})); import time; time.sleep(600)"
    after = Process("client", (sys.executable, "-c", check), after=("web",))
    told = launch(folder, after, server("web", port))
    assert {line.partition(" ")[0] for line in told} == {"web", "client"}
    states = supervisor.status(folder)["processes"]
    assert states["client"]["state"] == "ready"
    assert psutil.Process(states["client"]["pid"]).create_time() >= psutil.Process(states["web"]["pid"]).create_time()


def test_a_process_that_ends_fails_the_start_with_its_log_and_leaves_nothing(folder):
    broken = Process("broken", ("sh", "-c", "echo no such disk; exit 3"), answers=free_ports(1)[0])
    with pytest.raises(TransientError, match=r"broken ended with 3: no such disk"):
        launch(folder, SLEEPER, broken)
    assert not supervisor.marked(mark(folder))


def test_a_process_that_never_answers_fails_the_start_in_time(folder):
    mute = Process("mute", ("sleep", "600"), answers=free_ports(1)[0], timeout=0.3)
    with pytest.raises(TransientError, match=r"mute was not ready within 0\.3 s"):
        launch(folder, mute)


def test_a_program_that_is_not_there_fails_the_start(folder):
    with pytest.raises(TransientError, match="nowhere"):
        launch(folder, Process("gone", ("/nowhere/at/all",), answers=free_ports(1)[0]))


def test_one_process_is_restarted_and_the_others_stay(folder):
    launch(folder, SLEEPER, server("web", free_ports(1)[0]))
    before = supervisor.status(folder)["processes"]
    after = supervisor.restart(folder, "web")["processes"]
    assert after["web"]["pid"] != before["web"]["pid"]
    assert after["web"]["state"] == "ready"
    assert after["sleeper"]["pid"] == before["sleeper"]["pid"]
    with pytest.raises(PermanentError, match="no such"):
        supervisor.restart(folder, "nobody")


def test_two_in_one_folder_are_refused(folder):
    launch(folder, SLEEPER)
    with pytest.raises(ConfigError, match="already"):
        launch(folder, SLEEPER)


def test_a_process_that_ignores_the_signal_is_ended_by_force(folder):
    script = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); open('set', 'w'); time.sleep(600)"
    launch(folder, Process("stubborn", (sys.executable, "-c", script), stop="INT", patience=0.3))
    deadline = time.monotonic() + 60
    while not (folder / "set").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    supervisor.end(folder)
    assert not supervisor.marked(mark(folder))
    assert "stubborn did not end within 0.3 s" in (folder / "supervisor.log").read_text()


def test_the_folder_is_private_and_no_command_line_shows_the_environment(folder):
    launch(folder, Process("keeper", ("sleep", "600"), environment={"PASSWORD": "hunter2"}))
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "processes.json").stat().st_mode & 0o077 == 0
    for pid in supervisor.marked(mark(folder)):
        assert "hunter2" not in " ".join(psutil.Process(pid).cmdline())
