"""This machine by its own kernel, graphics processors by what `nvidia-smi` writes."""

import stat

import pytest

from tasks.core.results import Outcome
from tests.hostile import check, finding, measured


async def here(**fields):
    return await check({"kind": "host", "timeout": "4s", **fields})


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Put a program called nvidia-smi on the path."""

    def put(script):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


async def test_this_machine_tells_of_its_processors_memory_disks_and_network():
    report = await here()
    for name in ("cpu", "cpu_peak", "memory_used"):
        assert 0 <= measured(report, name).value <= 1
    assert measured(report, "cpu").value <= measured(report, "cpu_peak").value
    assert measured(report, "load").value >= 0
    assert 0 < measured(report, "disk_used", "/").value < 1
    assert {m.name for m in report.measurements} >= {"received", "sent", "network_errors", "network_drops"}


async def test_a_disk_is_red_above_its_limit_and_green_below():
    for bound, outcome in (("0%", Outcome.FAILED), ("100%", Outcome.PASSED)):
        report = await here(disks={"/": {"critical": bound}}, limits={"disk_used": {"warn": "100%"}})
        assert finding(report, "disk_used", "/").outcome is outcome


async def test_a_mount_point_that_the_spec_names_and_that_is_not_there_is_errored():
    report = await here(disks={"/no-such-disk": {"warn": "80%"}})
    assert finding(report, "disk_used", "/no-such-disk").outcome is Outcome.ERRORED


async def test_graphics_processors_are_read_from_nvidia_smi(smi):
    smi("echo '0, NVIDIA L4, 21000, 23034, 97'; echo '1, NVIDIA L4, 100, 23034, [N/A]'")
    report = await here(limits={"gpu_memory_used": {"warn": "90%"}, "gpus": {"critical": "< 2"}})
    assert finding(report, "gpu_memory_used", "0").outcome is Outcome.WARNED
    assert finding(report, "gpu_memory_used", "1").outcome is Outcome.PASSED
    assert finding(report, "gpus").outcome is Outcome.PASSED
    assert measured(report, "gpu_used", "0").value == pytest.approx(0.97)


@pytest.mark.parametrize(
    ("script", "outcome", "note"),
    [
        ("echo 'NVIDIA-SMI has failed'; exit 9", Outcome.ERRORED, "nvidia-smi ended with 9: NVIDIA-SMI has failed"),
        ("echo one, two", Outcome.ERRORED, "nvidia-smi writes something else than its documented CSV"),
        ("sleep 60", Outcome.ERRORED, "nvidia-smi did not end within 800 ms"),
        ("exec no-such-program", Outcome.ERRORED, "nvidia-smi ended with 127"),
    ],
)
async def test_an_nvidia_smi_that_fails_is_errored_where_a_limit_wants_it(smi, script, outcome, note):
    smi(script)
    report = await here(limits={"gpus": {"critical": "< 1"}})
    assert finding(report, "gpus").outcome is outcome
    assert finding(report, "gpus").note.startswith(note)
    assert finding(report, "reachable").outcome is Outcome.PASSED


async def test_a_machine_without_graphics_processors_is_not_checked_for_them(monkeypatch):
    monkeypatch.setenv("PATH", "/no-such-folder")
    assert finding(await here(limits={"gpus": {"critical": "< 1"}}), "gpus").outcome is Outcome.NOT_CHECKED
