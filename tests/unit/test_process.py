"""Programs of the host: bounded in time and output, without a shell and without our secrets."""

import contextlib
import os
import sys

import psutil
import pytest

from tasks.clients.process import ProgramFailed, run, streamed
from tasks.core.errors import Denied, NotOffered, Unreachable


async def test_what_a_program_writes_and_its_status_are_told():
    ran = await run(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"], seconds=9
    )
    assert (ran.status, ran.output, ran.errors, ran.cut) == (3, "out\n", "err\n", False)


async def test_a_program_sees_no_variable_of_ours(monkeypatch):
    monkeypatch.setenv("PASSWORD", "s3cret")
    ran = await run([sys.executable, "-c", "import os; print(sorted(os.environ))"], seconds=60)
    assert "PASSWORD" not in ran.output
    assert "PATH" in ran.output


async def test_arguments_are_not_read_by_a_shell():
    ran = await run([sys.executable, "-c", "import sys; print(sys.argv[1])", "$(id); `id`"], seconds=60)
    assert ran.output == "$(id); `id`\n"


async def test_output_without_end_is_cut_and_the_program_still_ends():
    ran = await run([sys.executable, "-c", "print('x' * 5_000_000)"], seconds=60, limit=1000)
    assert (ran.status, len(ran.output), ran.cut) == (0, 1000, True)


def running(mark):
    """Tell whether a child of this process runs what names the mark; one that waits to be reaped does not."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if mark in " ".join(child.cmdline()):
                return True
    return False


async def test_a_program_that_hangs_is_killed():
    with pytest.raises(Unreachable, match="did not end within 500 ms"):
        await run([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.5)
    assert not running("time.sleep(60)")


async def test_a_program_that_is_not_there_or_not_ours_says_so(tmp_path):
    with pytest.raises(NotOffered, match="there is no no-such-program here"):
        await run(["no-such-program"], seconds=1)
    plain = tmp_path / "plain"
    plain.write_text("no program")
    os.chmod(plain, 0o600)  # noqa: PTH101
    with pytest.raises(Denied):
        await run([str(plain)], seconds=1)


def python(script):
    return streamed([sys.executable, "-c", script], environment={"GIVEN": "word"}, quiet=60)


def test_a_stream_is_read_to_its_end_with_what_was_told_besides():
    script = "import os, sys; sys.stdout.write('x' * 1_000_000 + os.environ['GIVEN']); print('said', file=sys.stderr)"
    with python(script) as stream:
        assert b"".join(stream) == b"x" * 1_000_000 + b"word"
        assert stream.errors == ("said",)


@pytest.mark.parametrize("end", ["sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_stream_of_a_program_that_fails_never_just_ends(end):
    got = []
    with (
        pytest.raises(ProgramFailed, match=r"status 3: because|signal 9: because"),
        python(f"import os, sys; os.write(1, b'part'); print('because', file=sys.stderr, flush=True); {end}") as stream,
    ):
        got.extend(stream)
    assert got == [b"part"]


def test_a_stream_that_is_left_early_ends_its_program():
    with python("import os, time; os.write(1, b'a'); time.sleep(77)") as stream:
        assert next(iter(stream)) == b"a"
    assert not running("time.sleep(77)")


def test_a_stream_in_which_nothing_comes_is_given_up():
    command = [sys.executable, "-c", "import time; time.sleep(78)"]
    with (
        pytest.raises(Unreachable, match="wrote nothing for 200 ms"),
        streamed(command, environment={}, quiet=0.2) as stream,
    ):
        list(stream)
    assert not running("time.sleep(78)")
