"""The warm runner, with real processes: a child is a run of its own, ends as it should, and outlives nobody."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from deployments import control, runner, warm

ROOT = Path(__file__).parents[2]
SERVE = """
import sys
from pathlib import Path
from deployments import runner
serving = runner.Runner(Path(sys.argv[1]), runner.sources() | {Path(sys.argv[2]): runner._stamp(Path(sys.argv[2]))})
order = serving.serve()
if order is not None:
    runner.run(order)
sys.exit(7 if serving.stale else 0)
"""
SAY = """
import os, sys
print(__name__, sys.argv[1:], os.getcwd(), os.environ.get("SAID"), os.getpid() == os.getsid(0), sys.stdin.read())
sys.exit(int(sys.argv[1]))
"""
STAY = """
import os, signal, sys, time
print(os.getpid(), flush=True)
time.sleep(60)
"""


class Served:
    """A runner with nothing loaded, and modules for its children."""

    def __init__(self, folder):
        self.folder, self.socket, self.source = folder, folder / "runner.sock", folder / "source.py"
        for name, text in {"say": SAY, "stay": STAY, "source": ""}.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", SERVE, str(self.socket), str(self.source)]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
        until(self.socket.is_socket)

    def run(self, *command, **options):
        environment = {**os.environ, warm.RUNNER: str(self.socket), "SAID": "hello"}
        return subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, "-m", "deployments.warm", *command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def stay(self):
        """Start a child that stays; return who asked for it and the child."""
        asking = self.run("stay")
        child = psutil.Process(int(asking.stdout.readline()))
        assert child.ppid() == self.process.pid
        return asking, child


@pytest.fixture
def served(tmp_path):
    found = Served(tmp_path)
    with found.process:
        yield found
        found.process.terminate()
        found.process.communicate(timeout=60)


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("code", [0, 3])
def test_a_child_has_the_arguments_folder_environment_and_streams_of_who_asked_and_its_exit_code(served, code):
    asking = served.run("say", str(code), "x y")
    out, err = asking.communicate("typed", timeout=60)
    assert out.split() == ["__main__", f"['{code}',", "'x", "y']", str(served.folder), "hello", "True", "typed"]
    assert (asking.returncode, err) == (code, "")


def test_a_signal_is_passed_on_and_who_asked_ends_by_it_too(served):
    asking, child = served.stay()
    asking.terminate()
    asking.communicate(timeout=60)
    assert asking.returncode == -signal.SIGTERM
    until(lambda: is_gone(child))


def test_a_child_that_is_killed_is_seen_as_killed(served):
    asking, child = served.stay()
    child.kill()
    asking.communicate(timeout=60)
    assert asking.returncode == -signal.SIGKILL


def test_a_child_does_not_outlive_who_asked_for_it(served):
    asking, child = served.stay()
    asking.kill()
    asking.communicate(timeout=60)
    until(lambda: is_gone(child))


def test_no_child_outlives_the_runner_and_who_asked_says_so(served):
    asking, child = served.stay()
    served.process.kill()
    _, err = asking.communicate(timeout=60)
    assert asking.returncode == 1
    assert "the warm runner has gone" in err
    until(lambda: is_gone(child))


def test_a_runner_that_is_told_to_end_takes_its_children_along(served):
    asking, child = served.stay()
    served.process.terminate()
    assert served.process.wait(60) == 0
    asking.communicate(timeout=60)
    assert asking.returncode == -signal.SIGKILL
    assert is_gone(child)
    assert not served.socket.exists()


def test_without_a_runner_the_module_runs_all_the_same(served):
    served.process.kill()
    served.process.wait(60)
    asking = served.run("say", "5")
    out, _ = asking.communicate("", timeout=60)
    assert (out.split()[0], asking.returncode) == ("__main__", 5)


def test_changed_code_is_never_run_by_a_runner_that_loaded_it_before(served):
    running, child = served.stay()
    os.utime(served.source, (1, 1))
    asking = served.run("stay")
    fresh = psutil.Process(int(asking.stdout.readline()))
    assert fresh.pid == asking.pid
    assert not is_gone(child)
    for process in (asking, running):
        process.kill()
        process.communicate(timeout=60)
    assert served.process.wait(60) == 7
    assert "changed since it was loaded" in served.process.stderr.read()


def test_two_runs_are_two_processes_side_by_side(served):
    (first, one), (second, other) = served.stay(), served.stay()
    assert one.pid != other.pid
    assert not is_gone(one)
    for process in (first, second):
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize("sent", [b"", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}"])
def test_who_sends_no_order_gets_no_child_and_does_no_harm(served, sent):
    with control.connect(served.socket, 5) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    asking = served.run("say", "0")
    asking.communicate("", timeout=60)
    assert asking.returncode == 0


def test_nothing_is_forked_beside_a_thread(tmp_path):
    """A lock that the other thread held would be held for ever in the child."""
    serving = runner.Runner(tmp_path / "runner.sock", {})
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert "thread" in serving._unfit()
    finally:
        done.set()
        thread.join()
        serving.close()


def test_loading_all_that_a_run_needs_starts_no_thread_and_finds_our_own_sources():
    code = """
        import os, sys
        from deployments import runner
        runner.load()
        loaded = {path.name for path in runner.sources()}
        assert {"health_check.py", "deliver_reports.py", "publishing.py", "probe.py"} <= loaded, loaded
        sys.exit(len(os.listdir("/proc/self/task")) - 1)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode == 0  # noqa: S603 - ours
